"""Draw tokens from logits, for a batch whose rows want different things.

Letters: B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..rollout.types import Sampling


@dataclass(frozen=True)
class Drawn:
    """`tokens` and `logprobs` per row, under the truncated and renormalised distribution, and the ids that truncation
    kept (None
    where nothing was cut off).
    """

    tokens: list[int]
    logprobs: list[float]
    kept: list[tuple[int, ...] | None]


def draw(logits_BV: Tensor, rows: Sequence[Sampling], uniforms: Sequence[float]) -> Drawn:
    """Sample each row by inverse transform of its own uniform number in [0, 1), so that a row's result does not
    depend on the others.

    Temperature 0 takes the most likely token, whose log-probability is then that of the untempered distribution.
    """
    temperature_B1 = torch.tensor([[row.temperature or 1.0] for row in rows])
    probs_BV = torch.softmax(logits_BV.float() / temperature_B1, dim=-1)
    sorted_BV, order_BV = probs_BV.sort(dim=-1, descending=True, stable=True)
    counts_B = _kept_counts(sorted_BV, rows)
    kept_BV = torch.arange(sorted_BV.shape[1]) < counts_B[:, None]
    sorted_BV = sorted_BV * kept_BV
    cumulative_BV = sorted_BV.cumsum(dim=-1)
    total_B = cumulative_BV[:, -1]
    target_B1 = (torch.tensor(uniforms) * total_B)[:, None]
    place_B = torch.searchsorted(cumulative_BV, target_B1, right=True)[:, 0].minimum(counts_B - 1)
    greedy_B = torch.tensor([row.temperature == 0 for row in rows])
    place_B = place_B.masked_fill(greedy_B, 0)[:, None]
    tokens_B = order_BV.gather(1, place_B)[:, 0]
    logprobs_B = (sorted_BV.gather(1, place_B)[:, 0] / total_B).log()
    return Drawn(tokens_B.tolist(), logprobs_B.tolist(), _kept_ids(order_BV, counts_B))


def _kept_counts(sorted_BV: Tensor, rows: Sequence[Sampling]) -> Tensor:
    """How many of the most likely tokens each row keeps: the smallest set whose mass reaches top_p, and at most
    top_k.
    """
    vocabulary = sorted_BV.shape[1]
    top_p_B1 = torch.tensor([[row.top_p] for row in rows])
    before_BV = sorted_BV.cumsum(dim=-1) - sorted_BV
    counts_B = (before_BV < top_p_B1).sum(dim=-1)
    counts_B = counts_B.masked_fill(top_p_B1[:, 0] >= 1.0, vocabulary)
    top_k_B = torch.tensor([row.top_k or vocabulary for row in rows])
    return counts_B.minimum(top_k_B).clamp(min=1)


def _kept_ids(order_BV: Tensor, counts_B: Tensor) -> list[tuple[int, ...] | None]:
    vocabulary = order_BV.shape[1]
    counts = counts_B.tolist()
    widest = max((count for count in counts if count < vocabulary), default=0)
    ids = order_BV[:, :widest].tolist()
    return [tuple(row[:count]) if count < vocabulary else None for row, count in zip(ids, counts, strict=True)]
