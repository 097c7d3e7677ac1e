"""The GRPO objective and its gradient against a naive float64 loop over sequences and tokens."""

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from palestra.policy.grpo import GrpoConfig, advantages, grpo_loss, sequence_mask, unbiased_kl


@dataclass(frozen=True)
class Case:
    new_N: Tensor
    old_N: Tensor
    reference_N: Tensor
    rows_N: Tensor
    advantages_B: Tensor


def random_case(seed: int, spread: float, counts: tuple[int, ...] = (3, 1, 7, 4, 5, 2)) -> Case:
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
        rows_N=torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)),
        advantages_B=normal(len(counts)),
    )


def naive_loss(case: Case, config: GrpoConfig) -> tuple[Tensor, dict[str, int]]:
    """The report's formula, one token at a time."""
    objective = torch.zeros((), dtype=torch.float64)
    seen = {"clipped": 0, "masked": 0}
    sequences = len(case.advantages_B)
    new_N = case.new_N.detach()
    for row in range(sequences):
        places = [n for n in range(len(case.rows_N)) if int(case.rows_N[n]) == row]
        gain = float(case.advantages_B[row])
        moved = sum(float(case.old_N[n] - new_N[n]) for n in places) / len(places)
        masked = gain < 0 and moved > config.off_policy
        seen["masked"] += masked
        for n in places:
            ratio = torch.exp(case.new_N[n]) / torch.exp(case.old_N[n])
            plain = ratio * gain
            if ratio < 1 - config.clip or ratio > 1 + config.clip:
                bound = 1 - config.clip if ratio < 1 - config.clip else 1 + config.clip
                limited = torch.tensor(bound * gain, dtype=torch.float64)
            else:
                limited = plain
            seen["clipped"] += bool(plain > limited)
            term = limited if plain > limited else plain
            reference_ratio = torch.exp(case.reference_N[n]) / torch.exp(case.new_N[n])
            kl = ratio * (reference_ratio - torch.log(reference_ratio) - 1)
            objective = objective + ((0.0 if masked else 1.0) * term - config.kl * kl) / len(places) / sequences
    return -objective, seen


def loss_of(case: Case, config: GrpoConfig) -> Tensor:
    return grpo_loss(case.new_N, case.old_N, case.rows_N, case.advantages_B, config, case.reference_N).loss


@pytest.mark.parametrize("config", [GrpoConfig(), GrpoConfig(clip=0.05, kl=0.3, off_policy=0.1)])
@pytest.mark.parametrize("spread", [0.0, 0.1, 0.8])
def test_value_and_gradient_equal_the_naive_loop(config: GrpoConfig, spread: float) -> None:
    seen = {"clipped": 0, "masked": 0}
    for seed in range(8):
        case = random_case(seed, spread)
        ours = loss_of(case, config)
        (our_grad,) = torch.autograd.grad(ours, case.new_N)
        naive, found = naive_loss(case, config)
        (naive_grad,) = torch.autograd.grad(naive, case.new_N)
        assert float(ours.detach()) == pytest.approx(float(naive.detach()), rel=1e-12, abs=1e-13)
        assert torch.allclose(our_grad, naive_grad, rtol=1e-10, atol=1e-14)
        seen = {name: seen[name] + found[name] for name in seen}
    if spread == 0.8:
        assert seen["clipped"] > 20
        assert seen["masked"] > 3


def test_metrics_say_what_was_clipped_and_masked() -> None:
    case = random_case(3, 0.8, counts=(4, 4, 4, 4))
    config = GrpoConfig(clip=0.1, kl=0.2, off_policy=0.1)
    part = grpo_loss(case.new_N, case.old_N, case.rows_N, case.advantages_B, config, case.reference_N)
    _, seen = naive_loss(case, config)
    assert part.clipped == pytest.approx(seen["clipped"] / 16)
    assert part.masked == pytest.approx(seen["masked"] / 4)
    kl_N = unbiased_kl(case.new_N, case.old_N, case.reference_N)
    assert part.kl == pytest.approx(float(kl_N.mean().detach()))


def test_parts_of_a_batch_sum_to_the_whole() -> None:
    case = random_case(5, 0.5)
    config = GrpoConfig(clip=0.1, kl=0.2, off_policy=0.2)
    whole = grpo_loss(case.new_N, case.old_N, case.rows_N, case.advantages_B, config, case.reference_N)
    parts, clipped = [], 0.0
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
        )
        parts.append(part.loss)
        clipped += part.clipped
    (grad,) = torch.autograd.grad(whole.loss, case.new_N, retain_graph=True)
    (summed,) = torch.autograd.grad(torch.stack(parts).sum(), case.new_N)
    assert float(torch.stack(parts).sum().detach()) == pytest.approx(float(whole.loss.detach()), rel=1e-12)
    assert torch.allclose(grad, summed, rtol=1e-12, atol=1e-15)
    assert clipped == pytest.approx(whole.clipped)


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


def test_kl_without_a_reference_is_refused() -> None:
    case = random_case(0, 0.1)
    with pytest.raises(ValueError, match=r"kl is 0\.1, but there is no reference policy"):
        grpo_loss(case.new_N, case.old_N, case.rows_N, case.advantages_B, GrpoConfig(kl=0.1))


def test_a_sequence_without_sampled_tokens_counts_but_adds_nothing() -> None:
    old_N, rows_N = torch.tensor([-1.0, -1.0]), torch.tensor([0, 0])
    part = grpo_loss(old_N.clone(), old_N, rows_N, torch.tensor([1.0, -1.0]), GrpoConfig())
    assert float(part.loss) == pytest.approx(-0.5)


def test_advantages_are_centred_and_not_scaled() -> None:
    assert advantages([1.0, 0.0, 0.0, 1.0]) == [0.5, -0.5, -0.5, 0.5]
    assert advantages([0.9, None, 0.1]) == [pytest.approx(0.4), None, pytest.approx(-0.4)]
    assert advantages([None, None]) == [None, None]
    assert advantages([]) == []


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=9), st.floats(0, 1), st.integers(1, 9))
def test_advantages_in_general(rewards: list[float | None], equal: float, count: int) -> None:
    found = advantages(rewards)
    assert [item is None for item in found] == [item is None for item in rewards]
    assert math.fsum(item for item in found if item is not None) == pytest.approx(0.0, abs=1e-12)
    assert advantages([equal] * count + [None]) == [0.0] * count + [None]
