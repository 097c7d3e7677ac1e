"""Group relative policy optimisation as the DeepSeek-V3.2 report gives it (section 3.1), as small pure functions.

Letters: G episodes of a group, B sequences, N sampled tokens of the batch. All logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class GrpoConfig:
    """`clip` is epsilon, `kl` beta, `off_policy` delta of the sequence mask. The report does not publish their
    values.
    """

    clip: float = 0.2
    kl: float = 0.0
    off_policy: float = 0.5


@dataclass(frozen=True)
class GrpoLoss:
    """The loss to minimise, and what to watch: how much was clipped, masked, and how far the policy moved."""

    loss: Tensor
    clipped: float
    masked: float
    kl: float


def advantages(rewards_G: Sequence[float | None]) -> list[float | None]:
    """`R_i - mean(R)` over the valid episodes of a group, without division by the standard deviation; None (no valid
    verdict) stays None. Equal rewards give exactly 0.
    """
    valid = [reward for reward in rewards_G if reward is not None]
    # The rounded mean of equal numbers need not be that number.
    mean = sum(valid) / len(valid) if len(set(valid)) > 1 else (valid or [0.0])[0]
    return [None if reward is None else reward - mean for reward in rewards_G]


def grpo_loss(
    logprobs_N: Tensor,
    old_N: Tensor,
    rows_N: Tensor,
    advantages_B: Tensor,
    config: GrpoConfig,
    reference_N: Tensor | None = None,
    sequences: int | None = None,
) -> GrpoLoss:
    """The negated objective `1/G sum_i 1/|o_i| sum_t ( min(r A, clip(r) A) M_i - beta KL )`.

    `old_N` are the log-probabilities the inference engine returned while sampling. `sequences` is the number to
    average over when the batch is one part of a larger one (default: the batch's own). A sequence without sampled
    tokens adds nothing but is counted. ValueError where `config.kl` has no reference to be measured against.
    """
    if config.kl and reference_N is None:
        raise ValueError(f"kl is {config.kl}, but there is no reference policy: give one or set kl to 0")
    count_B = torch.bincount(rows_N, minlength=advantages_B.shape[0])
    weight_N = (count_B[rows_N] * (sequences or advantages_B.shape[0])).to(logprobs_N.dtype).reciprocal()
    keep_B = sequence_mask(logprobs_N.detach(), old_N, rows_N, advantages_B, config.off_policy)
    advantage_N = advantages_B[rows_N]
    ratio_N = torch.exp(logprobs_N - old_N)
    clipped_N = ratio_N.clamp(1 - config.clip, 1 + config.clip)
    gain_N = torch.minimum(ratio_N * advantage_N, clipped_N * advantage_N)
    objective = (weight_N * gain_N * keep_B[rows_N]).sum()
    kl = torch.zeros((), dtype=logprobs_N.dtype)
    if reference_N is not None and config.kl:
        kl = (weight_N * unbiased_kl(logprobs_N, old_N, reference_N)).sum()
    was_clipped_N = ratio_N * advantage_N > clipped_N * advantage_N
    return GrpoLoss(
        loss=config.kl * kl - objective,
        clipped=float((weight_N * was_clipped_N).sum()),
        masked=float((1 - keep_B).mean()),
        kl=float(kl.detach()),
    )


def sequence_mask(logprobs_N: Tensor, old_N: Tensor, rows_N: Tensor, advantages_B: Tensor, delta: float) -> Tensor:
    """M_B: 0 for a sequence with a negative advantage that the policy has moved away from by more than `delta` nats
    per token.
    """
    count_B = torch.bincount(rows_N, minlength=advantages_B.shape[0]).clamp(min=1)
    moved_B = torch.zeros(advantages_B.shape[0], dtype=old_N.dtype).index_add(0, rows_N, old_N - logprobs_N) / count_B
    return 1.0 - ((advantages_B < 0) & (moved_B > delta)).to(old_N.dtype)


def unbiased_kl(logprobs_N: Tensor, old_N: Tensor, reference_N: Tensor) -> Tensor:
    """`(pi/pi_old) (pi_ref/pi - log(pi_ref/pi) - 1)` per token: k3, importance weighted to be unbiased."""
    away_N = reference_N - logprobs_N
    return torch.exp(logprobs_N - old_N) * (torch.exp(away_N) - away_N - 1)
