"""The GRPO objective and its gradient against a naive float64 loop over sequences and tokens."""

import dataclasses
import math
import re
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from palestra.policy.grpo import (
    STD_FLOOR,
    GrpoConfig,
    GrpoLoss,
    Normalisation,
    advantages,
    combine,
    forward_kl,
    grpo_loss,
    sequence_mask,
    unbiased_kl,
)


@dataclass(frozen=True)
class Case:
    new_N: Tensor
    old_N: Tensor
    reference_N: Tensor
    recomputed_N: Tensor
    rows_N: Tensor
    staleness_N: Tensor
    advantages_B: Tensor
    kl_B: Tensor | None = None


def random_case(seed: int, spread: float, counts: tuple[int, ...] = (3, 1, 7, 4, 5, 2), domains: bool = False) -> Case:
    """`domains` gives each sequence a KL strength of its own, every second one none."""
    generator = torch.Generator().manual_seed(seed)

    def normal(size: int) -> Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64)

    total = sum(counts)
    old = -normal(total).abs() - 0.1
    drift = normal(len(counts)).repeat_interleave(torch.tensor(counts)) * spread
    return Case(
        new_N=(old + drift + spread * normal(total)).requires_grad_(),
        old_N=old,
        reference_N=old + 0.5 * normal(total),
        recomputed_N=old + 0.3 * normal(total),
        rows_N=torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)),
        staleness_N=torch.randint(0, 4, (total,), generator=generator),
        advantages_B=normal(len(counts)),
        kl_B=normal(len(counts)).abs() * (torch.arange(len(counts)) % 2) if domains else None,
    )


def naive_loss(case: Case, config: GrpoConfig) -> tuple[Tensor, dict[str, int]]:
    """The objective, one token at a time, with Python's numbers but for what is differentiated."""
    objective = torch.zeros((), dtype=torch.float64)
    seen = {"low": 0, "high": 0, "masked": 0, "stale": 0, "capped": 0}
    low = config.clip_low if config.clip_low is not None else config.clip
    high = config.clip_high if config.clip_high is not None else config.clip
    sequences = len(case.advantages_B)
    for row in range(sequences):
        places = [n for n in range(len(case.rows_N)) if int(case.rows_N[n]) == row]
        gain = float(case.advantages_B[row])
        beta = config.kl if case.kl_B is None else float(case.kl_B[row])
        moved = sum(float(case.old_N[n]) - float(case.new_N[n].detach()) for n in places) / max(1, len(places))
        masked = config.off_policy is not None and gain < 0 and moved > config.off_policy
        seen["masked"] += masked
        ages = [int(case.staleness_N[n]) for n in places]
        for n, age in zip(places, ages, strict=True):
            if config.max_staleness is not None:
                oldest = max(ages) if config.stale == "sequence" else age
                if oldest > config.max_staleness:
                    seen["stale"] += 1
                    continue
            new, old, reference = case.new_N[n], float(case.old_N[n]), float(case.reference_N[n])
            importance, base = 1.0, old
            if config.importance_cap is not None:
                base = float(case.recomputed_N[n])
                importance = math.exp(base) / math.exp(old)
                if importance > config.importance_cap:
                    importance = config.importance_cap
                    seen["capped"] += 1
            ratio = torch.exp(new) / math.exp(base)
            term = ratio * gain
            if gain > 0 and ratio > 1 + high:
                term = torch.tensor((1 + high) * gain, dtype=torch.float64)
                seen["high"] += 1
            if gain < 0 and ratio < 1 - low:
                term = torch.tensor((1 - low) * gain, dtype=torch.float64)
                seen["low"] += 1
            cost = beta * naive_kl(config.kl_estimator, new, old, reference)
            if config.forward_kl:
                ahead = torch.exp(new) / math.exp(reference)
                cost = cost + config.forward_kl * math.exp(reference) / math.exp(old) * (ahead - torch.log(ahead) - 1)
            if config.normalisation == "sequence":
                divisor = len(places) * sequences
            elif config.normalisation == "constant":
                assert config.length is not None
                divisor = config.length * sequences
            else:
                divisor = len(case.rows_N)
            objective = objective + ((0.0 if masked else 1.0) * importance * term - cost) / divisor
    return -objective, seen


def naive_kl(estimator: str, new: Tensor, old: float, reference: float) -> Tensor:
    reference_ratio = math.exp(reference) / torch.exp(new)
    k3 = reference_ratio - torch.log(reference_ratio) - 1
    if estimator == "k1":
        return -torch.log(reference_ratio)
    if estimator == "k2":
        return 0.5 * torch.log(reference_ratio) ** 2
    return k3 if estimator == "k3" else torch.exp(new) / math.exp(old) * k3


def whole(case: Case, config: GrpoConfig) -> GrpoLoss:
    return grpo_loss(
        case.new_N,
        case.old_N,
        case.rows_N,
        case.advantages_B,
        config,
        case.reference_N,
        recomputed_N=case.recomputed_N,
        kl_B=case.kl_B,
        staleness_N=case.staleness_N,
    )


def assert_equal_to_naive(case: Case, config: GrpoConfig) -> dict[str, int]:
    ours = whole(case, config).loss
    (our_grad,) = torch.autograd.grad(ours, case.new_N)
    naive, seen = naive_loss(case, config)
    (naive_grad,) = torch.autograd.grad(naive, case.new_N) if naive.requires_grad else (torch.zeros_like(case.new_N),)
    assert float(ours.detach()) == pytest.approx(float(naive.detach()), rel=1e-10, abs=1e-12)
    assert torch.allclose(our_grad, naive_grad, rtol=1e-9, atol=1e-12)
    return seen


CONFIGS = {
    "report": GrpoConfig(),
    "kl": GrpoConfig(clip=0.05, kl=0.3, off_policy=0.1),
    "no mask": GrpoConfig(off_policy=None),
    "k1": GrpoConfig(kl=0.3, kl_estimator="k1"),
    "k2": GrpoConfig(kl=0.3, kl_estimator="k2"),
    "k3": GrpoConfig(kl=0.3, kl_estimator="k3"),
    "dr": GrpoConfig(kl=0.1, normalisation="constant", length=11),
    "token": GrpoConfig(kl=0.1, normalisation="token"),
    "asymmetric": GrpoConfig(clip_low=0.1, clip_high=0.3),
    "importance": GrpoConfig(importance_cap=1.1),
    "forward": GrpoConfig(forward_kl=0.2),
    "stale tokens": GrpoConfig(kl=0.1, max_staleness=1),
    "stale sequences": GrpoConfig(kl=0.1, max_staleness=2, stale="sequence"),
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("spread", [0.0, 0.1, 0.8])
def test_value_and_gradient_equal_the_naive_loop(name: str, spread: float) -> None:
    config = CONFIGS[name]
    seen = {"low": 0, "high": 0, "masked": 0, "stale": 0, "capped": 0}
    for seed in range(8):
        found = assert_equal_to_naive(random_case(seed, spread, domains=seed % 2 > 0), config)
        seen = {key: seen[key] + found[key] for key in seen}
    if spread == 0.8:  # what is compared did happen
        assert seen["masked"] > 2 or config.off_policy is None
        assert seen["low"] > 3
        assert seen["high"] > 3
        assert seen["stale"] > 8 or config.max_staleness is None
        assert seen["capped"] > 8 or config.importance_cap is None


@st.composite
def configs(draw: st.DrawFn) -> GrpoConfig:
    positive = st.floats(0.01, 3.0)
    choices: list[Normalisation] = ["sequence", "constant", "token"]
    normalisation = draw(st.sampled_from(choices))
    return GrpoConfig(
        clip=draw(positive),
        kl=draw(st.sampled_from([0.0, 0.2])),
        off_policy=draw(st.none() | st.floats(0, 1)),
        clip_low=draw(st.none() | positive),
        clip_high=draw(st.none() | positive),
        kl_estimator=draw(st.sampled_from(["unbiased", "k1", "k2", "k3"])),
        normalisation=normalisation,
        length=draw(st.integers(1, 40)) if normalisation == "constant" else None,
        importance_cap=draw(st.none() | positive),
        forward_kl=draw(st.sampled_from([0.0, 0.3])),
        max_staleness=draw(st.none() | st.integers(0, 4)),
        stale=draw(st.sampled_from(["token", "sequence"])),
    )


@settings(deadline=None, max_examples=150)
@given(
    configs(),
    st.integers(0, 10**6),
    st.floats(0, 1),
    st.lists(st.integers(0, 6), min_size=1, max_size=6),
    st.booleans(),
)
def test_all_choices_together_equal_the_naive_loop(
    config: GrpoConfig, seed: int, spread: float, counts: list[int], domains: bool
) -> None:
    assert_equal_to_naive(random_case(seed, spread, tuple(counts), domains), config)


def test_metrics_say_what_was_clipped_and_masked() -> None:
    case = random_case(3, 0.8, counts=(4, 4, 4, 4))
    config = GrpoConfig(clip=0.1, kl=0.2, off_policy=0.1, importance_cap=1.0, max_staleness=1)
    _, seen = naive_loss(case, dataclasses.replace(config, max_staleness=None))
    part = whole(case, config)
    ratio_N = (case.new_N.detach() - case.recomputed_N).exp()
    assert part.clipped == pytest.approx((seen["low"] + seen["high"]) / 16)
    assert part.masked == pytest.approx(seen["masked"] / 4)
    assert part.kl == pytest.approx(float(unbiased_kl(case.new_N, case.old_N, case.reference_N).mean().detach()))
    expected = {
        "clipped": part.clipped,
        "clipped_low": seen["low"] / 16,
        "clipped_high": seen["high"] / 16,
        "masked": part.masked,
        "kl": part.kl,
        "entropy": -float(case.new_N.detach().mean()),
        "ratio_mean": float(ratio_N.mean()),
        "ratio_max": float(ratio_N.max()),
        "importance": float((case.recomputed_N - case.old_N).exp().clamp(max=1.0).mean()),
        "stale": float((case.staleness_N > 1).double().mean()),
        "staleness_mean": float(case.staleness_N.double().mean()),
        "staleness_max": 3.0,
    }
    assert part.metrics == pytest.approx(expected)


@pytest.mark.parametrize("name", CONFIGS)
def test_parts_of_a_batch_sum_to_the_whole(name: str) -> None:
    case, config = random_case(5, 0.5, domains=True), CONFIGS[name]
    parts = []
    assert case.kl_B is not None
    for rows in ([0, 1], [2, 3, 4], [5]):
        chosen = torch.tensor([int(row) in rows for row in case.rows_N])
        part = grpo_loss(
            case.new_N[chosen],
            case.old_N[chosen],
            case.rows_N[chosen] - rows[0],
            case.advantages_B[rows],
            config,
            case.reference_N[chosen],
            sequences=6,
            tokens=len(case.rows_N),
            recomputed_N=case.recomputed_N[chosen],
            kl_B=case.kl_B[rows],
            staleness_N=case.staleness_N[chosen],
        )
        parts.append(part)
    all_of_it = whole(case, config)
    summed = torch.stack([part.loss for part in parts]).sum()
    assert float(summed.detach()) == pytest.approx(float(all_of_it.loss.detach()), rel=1e-12)
    (grad,) = torch.autograd.grad(all_of_it.loss, case.new_N)
    (summed_grad,) = torch.autograd.grad(summed, case.new_N)
    assert torch.allclose(grad, summed_grad, rtol=1e-12, atol=1e-15)
    assert combine(part.metrics for part in parts) == pytest.approx(all_of_it.metrics)
    assert sum(part.clipped for part in parts) == pytest.approx(all_of_it.clipped)


def test_an_empty_part_adds_nothing() -> None:
    empty = torch.zeros(0)
    part = grpo_loss(empty, empty, torch.zeros(0, dtype=torch.long), torch.zeros(2), GrpoConfig(), sequences=5)
    assert float(part.loss) == 0.0
    assert part.metrics["ratio_max"] == 0.0


def test_sequence_mask_takes_only_bad_sequences_that_were_left_far_behind() -> None:
    old_N = torch.tensor([-1.0, -1.0, -1.0, -1.0, -1.0, -1.0])
    new_N = torch.tensor([-2.0, -1.4, -2.0, -1.4, -0.2, -0.2])
    rows_N = torch.tensor([0, 0, 1, 1, 2, 2])
    advantages_B = torch.tensor([-0.5, 0.5, -0.5])
    assert sequence_mask(new_N, old_N, rows_N, advantages_B, 0.69).tolist() == [0, 1, 1]
    assert sequence_mask(new_N, old_N, rows_N, advantages_B, 0.71).tolist() == [1, 1, 1]


def test_kl_estimate_is_unbiased_off_policy() -> None:
    generator = torch.Generator().manual_seed(0)
    new, old, reference = torch.randn(3, 20, generator=generator, dtype=torch.float64).log_softmax(dim=-1)
    expected = float((new.exp() * (new - reference)).sum())
    assert float((old.exp() * unbiased_kl(new, old, reference)).sum()) == pytest.approx(expected, rel=1e-12)


def test_forward_kl_and_its_gradient_are_unbiased_off_policy() -> None:
    generator = torch.Generator().manual_seed(1)
    scores, old, reference = torch.randn(3, 20, generator=generator, dtype=torch.float64)
    scores.requires_grad_()
    old, reference = old.log_softmax(dim=-1), reference.log_softmax(dim=-1)
    new = scores.log_softmax(dim=-1)
    exact = (reference.exp() * (reference - new)).sum()
    estimate = (old.exp() * forward_kl(new, old, reference)).sum()
    assert float(estimate.detach()) == pytest.approx(float(exact.detach()), rel=1e-12)
    (exact_grad,) = torch.autograd.grad(exact, scores, retain_graph=True)
    (grad,) = torch.autograd.grad(estimate, scores)
    assert torch.allclose(grad, exact_grad, rtol=1e-10, atol=1e-14)
    assert bool((forward_kl(new, old, reference) >= 0).all())


@pytest.mark.parametrize(
    ("config", "kl_B", "said"),
    [
        (GrpoConfig(kl=0.1), None, "kl is 0.1, but there is no reference policy: give one or set kl to 0"),
        (GrpoConfig(), torch.tensor([0.0, 0.5]), "kl is 0.5, but there is no reference policy"),
        (GrpoConfig(forward_kl=0.2), None, "forward_kl is 0.2, but there is no reference policy"),
        (GrpoConfig(importance_cap=2.0), None, "importance_cap is 2.0, but there are no recomputed"),
        (GrpoConfig(max_staleness=1), None, "max_staleness is 1, but the versions of the tokens are not known"),
        (GrpoConfig(), torch.tensor([0.0, -0.5]), "kl of a sequence is -0.5: it must be 0 or more"),
    ],
)
def test_what_is_asked_for_but_not_given_is_said(config: GrpoConfig, kl_B: Tensor | None, said: str) -> None:
    old_N, rows_N = torch.tensor([-1.0, -1.0]), torch.tensor([0, 1])
    with pytest.raises(ValueError, match=re.escape(said)):
        grpo_loss(old_N.clone(), old_N, rows_N, torch.tensor([1.0, -1.0]), config, kl_B=kl_B)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"clip": 0.0}, "clip is 0.0: it must be above 0"),
        ({"clip": math.nan}, "clip is nan: it must be above 0"),
        ({"clip_high": -1.0}, "clip_high is -1.0: it must be above 0"),
        ({"importance_cap": 0.0}, "importance_cap is 0.0: it must be above 0"),
        ({"kl": -0.1}, "kl is -0.1: it must be 0 or more"),
        ({"kl": math.inf}, "kl is inf: it must be 0 or more, and finite"),
        ({"forward_kl": -0.1}, "forward_kl is -0.1: it must be 0 or more"),
        ({"max_staleness": -1}, "max_staleness is -1: it must be 0 or more"),
        ({"off_policy": -1.0}, "off_policy is -1.0: it must be 0 or more"),
        ({"kl_estimator": "k4"}, "kl_estimator is 'k4': it must be one of unbiased, k1, k2, k3"),
        ({"normalisation": "mean"}, "normalisation is 'mean': it must be one of sequence, constant, token"),
        ({"stale": "batch"}, "stale is 'batch': it must be one of token, sequence"),
        ({"normalisation": "constant"}, "normalisation is 'constant' and length None: a length goes with 'constant'"),
        ({"length": 5}, "normalisation is 'sequence' and length 5: a length goes with 'constant'"),
    ],
)
def test_impossible_configs_are_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        GrpoConfig(**wrong)  # type: ignore[arg-type]


def test_a_sequence_without_sampled_tokens_counts_but_adds_nothing() -> None:
    old_N, rows_N = torch.tensor([-1.0, -1.0]), torch.tensor([0, 0])
    part = grpo_loss(old_N.clone(), old_N, rows_N, torch.tensor([1.0, -1.0]), GrpoConfig())
    assert float(part.loss) == pytest.approx(-0.5)


def test_advantages_are_centred_and_not_scaled() -> None:
    assert advantages([1.0, 0.0, 0.0, 1.0]) == [0.5, -0.5, -0.5, 0.5]
    assert advantages([0.9, None, 0.1]) == [pytest.approx(0.4), None, pytest.approx(-0.4)]
    assert advantages([None, None]) == [None, None]
    assert advantages([]) == []


def test_advantages_in_standard_deviations() -> None:
    scale = math.sqrt(1 / 3) + STD_FLOOR
    assert advantages([1.0, 0.0, None, 0.0, 1.0], divide_std=True) == pytest.approx(
        [0.5 / scale, -0.5 / scale, None, -0.5 / scale, 0.5 / scale]
    )
    assert advantages([0.3, 0.3, None], divide_std=True) == [0.0, 0.0, None]
    assert advantages([0.3], divide_std=True) == [0.0]


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=9), st.floats(0, 1), st.integers(1, 9))
def test_advantages_in_general(rewards: list[float | None], equal: float, count: int) -> None:
    found = advantages(rewards)
    assert [item is None for item in found] == [item is None for item in rewards]
    assert math.fsum(item for item in found if item is not None) == pytest.approx(0.0, abs=1e-12)
    assert advantages([equal] * count + [None]) == [0.0] * count + [None]
