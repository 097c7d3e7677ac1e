"""Draw tokens from logits, for a batch whose rows want different things.

Only what may be kept is ever sorted, and nothing where a row keeps everything.

Letters: B rows, V vocabulary, M candidates of the row that has most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..rollout.types import Sampling

# A lower temperature than this (and above 0) would overflow float32; it is greedy in all but name.
_COLDEST = 1e-6
_BLOCK = 256
# Probabilities above which the most likely tokens are looked for, and what summing may be off by.
_FLOORS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_SLACK = 1e-9


@dataclass(frozen=True)
class Drawn:
    """`tokens` and `logprobs` per row, under the truncated and renormalised distribution, and the ids that truncation
    kept, most likely first (None where nothing was cut off).
    """

    tokens: list[int]
    logprobs: list[float]
    kept: list[tuple[int, ...] | None]


def truncates(row: Sampling) -> bool:
    """Whether `row` may cut something off."""
    return row.top_p < 1 or row.top_k > 0 or row.min_p > 0


def draw(logits_BV: Tensor, rows: Sequence[Sampling], uniforms: Sequence[float]) -> Drawn:
    """Sample each row by inverse transform of its own uniform number in [0, 1), so that a row's result does not
    depend on the others. Logits are finite, of any floating dtype.

    `top_p`, `top_k` and `min_p` are all measured on the whole tempered distribution, and what each of them keeps is
    kept. Temperature 0 takes the most likely token (of equals the lowest id), whose log-probability is then that of the
    untempered, truncated distribution. Tokens are walked through by id, or most likely first where `truncates(row)`.
    """
    logits_BV = logits_BV.float()
    probs_BV = _probabilities(logits_BV, rows)
    place_B, prob_B = torch.zeros(len(rows), dtype=torch.long), torch.zeros(len(rows), dtype=torch.float64)
    kept: list[tuple[int, ...] | None] = [None] * len(rows)
    if best := [n for n, row in enumerate(rows) if row.temperature == 0 and not truncates(row)]:
        place_B[best] = logits_BV[best].argmax(dim=-1)
        prob_B[best] = probs_BV[best].gather(1, place_B[best].unsqueeze(-1))[:, 0].double()
    if whole := [n for n, row in enumerate(rows) if row.temperature > 0 and not truncates(row)]:
        some = probs_BV if len(whole) == len(rows) else probs_BV[whole]
        place_B[whole], prob_B[whole] = _from_whole(some, torch.tensor([[uniforms[n]] for n in whole]).double())
    if cut := [n for n, row in enumerate(rows) if truncates(row)]:
        given = [rows[n] for n in cut], torch.tensor([[uniforms[n]] for n in cut], dtype=torch.float64)
        place_B[cut], prob_B[cut], ids = _from_kept(logits_BV[cut], probs_BV[cut], *given)
        for n, found in zip(cut, ids, strict=True):
            kept[n] = found
    return Drawn(place_B.tolist(), prob_B.log().clamp_(max=0).tolist(), kept)


def _probabilities(logits_BV: Tensor, rows: Sequence[Sampling]) -> Tensor:
    """The tempered distribution over the whole vocabulary."""
    if all(row.temperature in (0.0, 1.0) for row in rows):
        return logits_BV.softmax(dim=-1)
    temperature_B1 = torch.tensor([[max(row.temperature, _COLDEST) if row.temperature else 1.0] for row in rows])
    return ((logits_BV - logits_BV.amax(dim=-1, keepdim=True)) / temperature_B1).softmax(dim=-1)


def _from_whole(probs_BV: Tensor, uniform_B1: Tensor) -> tuple[Tensor, Tensor]:
    """(token, its probability float64) of each row, tokens in the order of their ids: first a block, then within it."""
    blocks = F.pad(probs_BV, (0, -probs_BV.shape[1] % _BLOCK)).unflatten(-1, (-1, _BLOCK))  # type: ignore[no-untyped-call]
    ends = blocks.sum(dim=-1).cumsum(dim=-1, dtype=torch.float64)
    target = uniform_B1 * ends[:, -1:]
    block = _search(ends, target)
    before = F.pad(ends, (1, 0)).gather(1, block)
    inside = blocks.gather(1, block.unsqueeze(-1).expand(-1, 1, _BLOCK))[:, 0]
    within = _search(inside.cumsum(dim=-1, dtype=torch.float64), target - before)
    prob = inside.gather(1, within).double() / ends[:, -1:]
    return (block * _BLOCK + within)[:, 0], prob[:, 0]


def _search(cumulative: Tensor, target_B1: Tensor) -> Tensor:
    """The first place whose cumulated mass exceeds the target, never one beyond the last that has any mass: rounding
    may lift the target to the total."""
    last = torch.searchsorted(cumulative, cumulative[:, -1:].contiguous())
    return torch.searchsorted(cumulative, target_B1, right=True).minimum(last)


def _from_kept(
    logits_BV: Tensor, probs_BV: Tensor, rows: Sequence[Sampling], uniform_B1: Tensor
) -> tuple[Tensor, Tensor, list[tuple[int, ...] | None]]:
    """(token, its renormalised probability float64, kept ids) of each row."""
    order_BM, probs_BM = _candidates(logits_BV, probs_BV, rows)
    cumulative_BM = probs_BM.cumsum(dim=-1, dtype=torch.float64)
    counts_B = _kept_counts(cumulative_BM, probs_BM, rows, probs_BV.shape[1])
    total_B1 = cumulative_BM.gather(1, counts_B.clamp(max=probs_BM.shape[1])[:, None] - 1)
    target_B1 = uniform_B1 * total_B1
    place_B1 = torch.searchsorted(cumulative_BM, target_B1, right=True).minimum(
        torch.searchsorted(cumulative_BM, total_B1)
    )
    place_B1[[row for row, sampling in enumerate(rows) if sampling.temperature == 0]] = 0
    prob_B = (probs_BM.gather(1, place_B1).double() / total_B1)[:, 0]
    return order_BM.gather(1, place_B1)[:, 0], prob_B, _kept_ids(order_BM, counts_B, probs_BV.shape[1])


def _candidates(logits_BV: Tensor, probs_BV: Tensor, rows: Sequence[Sampling]) -> tuple[Tensor, Tensor]:
    """Ids and probabilities of all that may be kept, most likely first (of equals the lowest id), then padding of no
    probability; [B, M]."""
    open_BV = probs_BV >= _floors(probs_BV, rows).unsqueeze(-1)
    row_N, id_N = open_BV.nonzero(as_tuple=True)
    counts_B = open_BV.sum(dim=-1)
    place_N = torch.arange(len(row_N)) - (counts_B.cumsum(0) - counts_B)[row_N]
    ids_BM = torch.zeros(len(rows), int(counts_B.max()), dtype=torch.long)
    ids_BM[row_N, place_N] = id_N
    padding_BM = torch.arange(ids_BM.shape[1]) >= counts_B.unsqueeze(-1)
    best = logits_BV.gather(1, ids_BM).masked_fill_(padding_BM, -torch.inf).sort(dim=-1, descending=True, stable=True)
    ids_BM = ids_BM.gather(1, best.indices)
    return ids_BM, probs_BV.gather(1, ids_BM).masked_fill_(best.values == -torch.inf, 0.0)


def _floors(probs_BV: Tensor, rows: Sequence[Sampling]) -> Tensor:
    """A probability per row below which nothing is kept, float32 [B]."""
    floors_B = torch.tensor([row.min_p for row in rows], dtype=torch.float32) * probs_BV.amax(dim=-1)
    for row, sampling in enumerate(rows):
        if 0 < sampling.top_k < probs_BV.shape[1]:
            least = probs_BV[row].topk(sampling.top_k).values[-1]
            floors_B[row] = torch.maximum(floors_B[row], least)
    left = torch.tensor([n for n, row in enumerate(rows) if row.top_p < 1], dtype=torch.long)
    wanted_B = torch.tensor([row.top_p + _SLACK for row in rows], dtype=torch.float64)
    for floor in _FLOORS:
        if not len(left):
            break
        some = probs_BV[left]
        enough = some.masked_fill_(some < floor, 0.0).sum(dim=-1, dtype=torch.float64) >= wanted_B[left]
        reached = left[enough]
        floors_B[reached] = floors_B[reached].clamp(min=floor)
        left = left[~enough]
    return floors_B


def _kept_counts(cumulative_BM: Tensor, probs_BM: Tensor, rows: Sequence[Sampling], vocabulary: int) -> Tensor:
    """How many of the most likely tokens each row keeps: the smallest set whose mass reaches top_p, at most top_k, and
    none less likely than min_p times the most likely; int64 [B].
    """
    top_p_B1 = torch.tensor([[row.top_p] for row in rows], dtype=torch.float64)
    counts_B = ((cumulative_BM < top_p_B1).sum(dim=-1) + 1).masked_fill(top_p_B1[:, 0] >= 1.0, vocabulary)
    min_p_B1 = torch.tensor([[row.min_p] for row in rows], dtype=torch.float32)
    likely_B = (probs_BM >= min_p_B1 * probs_BM[:, :1]).sum(dim=-1).masked_fill(min_p_B1[:, 0] <= 0, vocabulary)
    top_k_B = torch.tensor([row.top_k or vocabulary for row in rows])
    return counts_B.minimum(likely_B).minimum(top_k_B).clamp(min=1, max=vocabulary)


def _kept_ids(order_BM: Tensor, counts_B: Tensor, vocabulary: int) -> list[tuple[int, ...] | None]:
    counts = counts_B.tolist()
    widest = max((count for count in counts if count < vocabulary), default=0)
    ids = order_BM[:, :widest].tolist()
    return [tuple(row[:count]) if count < vocabulary else None for row, count in zip(ids, counts, strict=True)]
