"""Drawing tokens against a naive row-by-row implementation in float64."""

import math
import random
from bisect import bisect_right
from itertools import accumulate

import pytest
import torch
from torch import Tensor

from palestra.policy.sampling import draw, truncates
from palestra.rollout.types import Sampling

ROWS = [
    Sampling(temperature=1.0, top_p=1.0),
    Sampling(temperature=0.7, top_p=0.9),
    Sampling(temperature=1.3, top_p=0.5, top_k=3),
    Sampling(temperature=1.0, top_p=1.0, top_k=4),
    Sampling(temperature=0.0, top_p=0.95),
    Sampling(temperature=0.0, top_p=1.0),
    Sampling(temperature=1.0, top_p=1e-9),
    Sampling(temperature=1.0, top_p=0.95, top_k=1000),
    Sampling(temperature=1.0, top_p=1.0, min_p=0.2),
    Sampling(temperature=0.6, top_p=0.97, top_k=9, min_p=0.01),
    Sampling(temperature=1.0, top_p=1.0 - 1e-12),
    Sampling(temperature=0.0, top_p=1.0, min_p=0.1),
    Sampling(temperature=1.0, top_p=1.0, min_p=1.0),
]


def naive_distribution(logits: list[float], row: Sampling) -> dict[int, float]:
    """Kept ids, most likely first, and their renormalised probabilities."""
    temperature = row.temperature or 1.0
    top = max(logits)
    weights = [math.exp((logit - top) / temperature) for logit in logits]
    probs = [weight / sum(weights) for weight in weights]
    order = sorted(range(len(logits)), key=lambda token: (-logits[token], token))
    kept: list[int] = []
    for token in order:
        if row.top_k and len(kept) == row.top_k:
            break
        if row.top_p < 1 and math.fsum(probs[other] for other in kept) >= row.top_p:
            break
        if probs[token] < row.min_p * max(probs):
            break
        kept.append(token)
    mass = math.fsum(probs[token] for token in kept)
    return {token: probs[token] / mass for token in kept}


def naive_draw(logits: list[float], row: Sampling, uniform: float) -> tuple[int, float, tuple[int, ...] | None]:
    distribution = naive_distribution(logits, row)
    kept = tuple(distribution) if len(distribution) < len(logits) else None
    if row.temperature == 0:
        token = next(iter(distribution))
        return token, math.log(distribution[token]), kept
    if not truncates(row):
        distribution = dict(sorted(distribution.items()))
    below = list(accumulate(distribution.values()))
    token = list(distribution)[min(bisect_right(below, uniform), len(below) - 1)]
    return token, math.log(distribution[token]), kept


def random_logits(seed: int, rows: int, vocabulary: int = 23) -> Tensor:
    return torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed)) * 2


def test_draws_equal_the_naive_ones() -> None:
    rng = random.Random(0)
    for seed in range(60):
        logits_BV = random_logits(seed, len(ROWS))
        uniforms = [rng.random() for _ in ROWS]
        drawn = draw(logits_BV, ROWS, uniforms)
        for number, row in enumerate(ROWS):
            token, logprob, kept = naive_draw(logits_BV[number].double().tolist(), row, uniforms[number])
            assert drawn.tokens[number] == token
            assert drawn.logprobs[number] == pytest.approx(logprob, abs=1e-5)
            assert drawn.kept[number] == kept


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_large_vocabularies_equal_the_naive_draws(scale: float) -> None:
    """Flat and peaked distributions over several blocks, many tokens of the very same probability."""
    rng = random.Random(2)
    logits_BV = (random_logits(5, len(ROWS), 1500) * scale * 2).round() / 2
    uniforms = [rng.random() for _ in ROWS]
    drawn = draw(logits_BV, ROWS, uniforms)
    for number, row in enumerate(ROWS):
        if 1 - 1e-6 < row.top_p < 1:
            continue  # What is left out weighs less than float32 can tell.
        token, logprob, kept = naive_draw(logits_BV[number].double().tolist(), row, uniforms[number])
        if kept is not None or drawn.kept[number] is not None:
            found = drawn.kept[number] or tuple(range(1500))
            # Where the mass of many equals reaches top_p exactly, rounding may tip one token in or out.
            assert abs(len(found) - len(kept or range(1500))) <= 1
            assert kept is None or found[: len(kept) - 1] == kept[:-1]
        assert drawn.tokens[number] == token
        assert drawn.logprobs[number] == pytest.approx(logprob, abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_any_dtype_of_logits(dtype: torch.dtype) -> None:
    logits_BV = random_logits(9, len(ROWS)).to(dtype)
    uniforms = [0.37] * len(ROWS)
    assert draw(logits_BV, ROWS, uniforms) == draw(logits_BV.float(), ROWS, uniforms)


def test_kept_is_the_smallest_set_that_reaches_top_p() -> None:
    logits_BV = torch.tensor([[0.1, 0.5, 0.15, 0.25]]).log()
    for top_p, expected in ((0.49, (1,)), (0.51, (1, 3)), (0.74, (1, 3)), (0.76, (1, 3, 2)), (0.91, None)):
        assert draw(logits_BV, [Sampling(top_p=top_p)], [0.3]).kept == [expected]


def test_a_row_does_not_depend_on_the_others() -> None:
    logits_BV = random_logits(7, len(ROWS), 300)
    rng = random.Random(1)
    uniforms = [rng.random() for _ in ROWS]
    together = draw(logits_BV, ROWS, uniforms)
    for number, row in enumerate(ROWS):
        alone = draw(logits_BV[number : number + 1], [row], uniforms[number : number + 1])
        assert alone.tokens == [together.tokens[number]]
        assert alone.logprobs == [together.logprobs[number]]
        assert alone.kept == [together.kept[number]]


@pytest.mark.parametrize("row", ROWS[:4])
def test_frequencies_match_the_probabilities(row: Sampling) -> None:
    logits_V = random_logits(11, 1)[0]
    expected = naive_distribution(logits_V.double().tolist(), row)
    rng = random.Random(5)
    size = 40_000
    drawn = draw(logits_V.expand(size, -1), [row] * size, [rng.random() for _ in range(size)])
    counts = torch.bincount(torch.tensor(drawn.tokens), minlength=len(logits_V)).tolist()
    assert sum(counts[token] for token in expected) == size
    chi_square = sum((counts[token] - size * prob) ** 2 / (size * prob) for token, prob in expected.items())
    freedom = len(expected) - 1
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom), (chi_square, freedom)


@pytest.mark.parametrize("top_p", [1.0, 0.97, 0.3])
@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_the_tail_never_yields_an_impossible_token(top_p: float, scale: float) -> None:
    uniforms = [1 - 2**-53, 1 - 2**-30, 0.9999999, 0.0]
    for seed in range(20):
        logits_V = random_logits(seed, 1, 200)[0] * scale
        logits_V[17] = -1e4
        row = Sampling(top_p=top_p)
        drawn = draw(logits_V.expand(len(uniforms), -1), [row] * len(uniforms), uniforms)
        possible = naive_distribution(logits_V.double().tolist(), row)
        for token, logprob, kept in zip(drawn.tokens, drawn.logprobs, drawn.kept, strict=True):
            assert math.isfinite(logprob)
            assert logprob <= 0
            assert possible[token] > 0
            assert kept is None or token in kept


def test_greedy_takes_the_first_of_the_highest_logits() -> None:
    logits_BV = torch.tensor([[0.0, 5.0, 5.0, 1.0], [20.0, 20.000002, 0.0, 0.0]])
    assert draw(logits_BV, [Sampling(temperature=0.0)] * 2, [0.99, 0.99]).tokens == [1, 1]


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-300])
def test_a_very_low_temperature_is_greedy_and_not_nan(temperature: float) -> None:
    drawn = draw(torch.tensor([[1.0, 900.0, -900.0]]), [Sampling(temperature=temperature, top_p=1.0)], [0.999])
    assert drawn.tokens == [1]
    assert drawn.logprobs == [0.0]


def test_reported_probabilities_sum_to_one_over_the_kept() -> None:
    logits_V = random_logits(3, 1, 40)[0]
    row = Sampling(temperature=0.8, top_p=0.9)
    grid = [(number + 0.5) / 4000 for number in range(4000)]
    drawn = draw(logits_V.expand(4000, -1), [row] * 4000, grid)
    found = dict(zip(drawn.tokens, drawn.logprobs, strict=True))
    kept = drawn.kept[0]
    assert kept is not None
    assert set(found) == set(kept)
    assert math.fsum(math.exp(logprob) for logprob in found.values()) == pytest.approx(1.0, abs=1e-5)
