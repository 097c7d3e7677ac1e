"""Draw tokens from logits, for a batch whose rows want different things.

Letters: B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..rollout.types import Sampling

# A lower temperature than this (and above 0) would overflow float32; it is greedy in all but name.
_COLDEST = 1e-6


@dataclass(frozen=True)
class Drawn:
    """`tokens` and `logprobs` per row, under the truncated and renormalised distribution, and the ids that truncation
    kept, most likely first (None where nothing was cut off).
    """

    tokens: list[int]
    logprobs: list[float]
    kept: list[tuple[int, ...] | None]


def draw(logits_BV: Tensor, rows: Sequence[Sampling], uniforms: Sequence[float]) -> Drawn:
    """Sample each row by inverse transform of its own uniform number in [0, 1), so that a row's result does not
    depend on the others. Logits are finite.

    Temperature 0 takes the most likely token (of equals the lowest id), whose log-probability is then that of the
    untempered, truncated distribution.
    """
    sorted_BV, order_BV = logits_BV.float().sort(dim=-1, descending=True, stable=True)
    temperature_B1 = torch.tensor([[max(row.temperature, _COLDEST) if row.temperature else 1.0] for row in rows])
    probs_BV = torch.softmax((sorted_BV - sorted_BV[:, :1]) / temperature_B1, dim=-1)
    cumulative_BV = probs_BV.cumsum(dim=-1, dtype=torch.float64)
    counts_B = _kept_counts(cumulative_BV, rows)
    total_B1 = cumulative_BV.gather(1, counts_B[:, None] - 1)
    target_B1 = torch.tensor(uniforms, dtype=torch.float64)[:, None] * total_B1
    # The second search guards the end: rounding may lift the target to the total, beyond the last likely token.
    place_B1 = torch.searchsorted(cumulative_BV, target_B1, right=True).minimum(
        torch.searchsorted(cumulative_BV, total_B1)
    )
    place_B1[[row for row, sampling in enumerate(rows) if sampling.temperature == 0]] = 0
    tokens_B = order_BV.gather(1, place_B1)[:, 0]
    logprobs_B = (probs_BV.gather(1, place_B1) / total_B1).log()[:, 0]
    return Drawn(tokens_B.tolist(), logprobs_B.tolist(), _kept_ids(order_BV, counts_B))


def _kept_counts(cumulative_BV: Tensor, rows: Sequence[Sampling]) -> Tensor:
    """How many of the most likely tokens each row keeps: the smallest set whose mass reaches top_p, and at most
    top_k; both are measured on the whole distribution.
    """
    vocabulary = cumulative_BV.shape[1]
    top_p_B1 = torch.tensor([[row.top_p] for row in rows], dtype=torch.float64)
    counts_B = (cumulative_BV < top_p_B1).sum(dim=-1) + 1
    counts_B = counts_B.masked_fill(top_p_B1[:, 0] >= 1.0, vocabulary)
    top_k_B = torch.tensor([row.top_k or vocabulary for row in rows])
    return counts_B.minimum(top_k_B).clamp(min=1, max=vocabulary)


def _kept_ids(order_BV: Tensor, counts_B: Tensor) -> list[tuple[int, ...] | None]:
    vocabulary = order_BV.shape[1]
    counts = counts_B.tolist()
    widest = max((count for count in counts if count < vocabulary), default=0)
    ids = order_BV[:, :widest].tolist()
    return [tuple(row[:count]) if count < vocabulary else None for row, count in zip(ids, counts, strict=True)]
