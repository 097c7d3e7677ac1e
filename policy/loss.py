"""Log-probabilities of given tokens from hidden states, without ever holding all logits.

Letters: M distributions, P tokens whose probability is asked for, D hidden, V vocabulary, m distributions of a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

# A chunk's logits fill at most this much. What all chunks together need up to the second bound is kept for the
# backward pass; above it, logits are computed again there.
CHUNK_BYTES = 64 << 20
KEPT_BYTES = 256 << 20


@dataclass(frozen=True)
class Truncation:
    """Keep Sampling Mask: ``ids`` holds, row after row, the token ids that sampling had kept, ``offsets`` [M + 1] where
    each row's begin. A row without any was not truncated."""

    ids: Tensor
    offsets: Tensor

    @classmethod
    def of(cls, kept: Sequence[tuple[int, ...] | None]) -> Truncation | None:
        """None where nothing was cut off anywhere."""
        if all(ids is None for ids in kept):
            return None
        sizes = [0 if ids is None else len(ids) for ids in kept]
        flat = np.fromiter(chain.from_iterable(ids for ids in kept if ids is not None), np.int64, sum(sizes))
        offsets = np.concatenate(([0], np.cumsum(sizes)))
        return cls(torch.from_numpy(flat), torch.from_numpy(offsets))

    def cut(self, rows: slice, vocabulary: int) -> Tensor:
        """True at what sampling had cut off of the distributions ``rows``, bool [m, V]."""
        offsets = self.offsets[rows.start : rows.stop + 1]
        sizes = offsets.diff()
        cut = (sizes > 0).unsqueeze(-1).repeat(1, vocabulary)
        row = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
        cut[row, self.ids[offsets[0] : offsets[-1]]] = False
        return cut


def _chunks(rows_P: Tensor, rows: int, row_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Slices of the distributions, and of the tokens asked of them."""
    size = max(1, CHUNK_BYTES // row_bytes)
    bounds = [*range(0, rows, size), rows]
    pairs = torch.searchsorted(rows_P, torch.tensor(bounds, device=rows_P.device)).tolist()
    for number in range(len(bounds) - 1):
        yield slice(bounds[number], bounds[number + 1]), slice(pairs[number], pairs[number + 1])


def _logits(hidden: Tensor, weight: Tensor, temperature: Tensor, truncation: Truncation | None, rows: slice) -> Tensor:
    """What was sampled from, [m, V]: tempered and truncated, at least float32."""
    logits = hidden[rows] @ weight.T
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)).div_(temperature[rows].unsqueeze(-1))
    if truncation is not None:
        logits.masked_fill_(truncation.cut(rows, len(weight)).to(logits.device), float("-inf"))
    return logits


class _TokenLogprobs(torch.autograd.Function):
    """See ``token_logprobs``."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        hidden, weight, rows_P, targets, temperature, truncation = given
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        row_bytes = len(weight) * dtype.itemsize
        keeps = any(ctx.needs_input_grad[:2]) and len(hidden) * row_bytes <= KEPT_BYTES
        logprobs, total = hidden.new_empty(len(rows_P), dtype=dtype), hidden.new_empty(len(hidden), dtype=dtype)
        kept: list[Tensor] = []
        for rows, pairs in _chunks(rows_P, len(hidden), row_bytes):
            logits = _logits(hidden, weight, temperature, truncation, rows)
            total[rows] = logits.logsumexp(dim=-1)
            logprobs[pairs] = logits[rows_P[pairs] - rows.start, targets[pairs]] - total[rows_P[pairs]]
            kept += [logits] if keeps else []
        ctx.truncation = truncation
        ctx.save_for_backward(hidden, weight, rows_P, targets, temperature, total, *kept)
        assert isinstance(logprobs, Tensor)
        return logprobs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, rows_P, targets, temperature, total, *kept = ctx.saved_tensors
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        dhidden = torch.empty_like(hidden) if needs_hidden else None
        dweight = weight.new_zeros(weight.shape, dtype=total.dtype) if needs_weight else None
        sum_M = torch.zeros_like(total).index_add_(0, rows_P, grads[0])
        for number, (rows, pairs) in enumerate(_chunks(rows_P, len(hidden), len(weight) * total.element_size())):
            logits = kept[number] if kept else _logits(hidden, weight, temperature, ctx.truncation, rows)
            slope = torch.sub(logits, total[rows].unsqueeze(-1)).exp_().mul_(-sum_M[rows].unsqueeze(-1))
            slope.index_put_((rows_P[pairs] - rows.start, targets[pairs]), grads[0][pairs], accumulate=True)
            slope.div_(temperature[rows].unsqueeze(-1))
            if dhidden is not None:
                dhidden[rows] = slope.to(weight.dtype) @ weight
            if dweight is not None:
                dweight.addmm_(slope.T, hidden[rows].to(slope.dtype))
        return dhidden, None if dweight is None else dweight.to(weight.dtype), None, None, None, None


def token_logprobs(
    hidden_MD: Tensor,
    weight_VD: Tensor,
    rows_P: Tensor,
    targets_P: Tensor,
    temperature_M: Tensor,
    truncation: Truncation | None = None,
) -> Tensor:
    """Natural-log probabilities [P] of the tokens ``targets_P`` under the distributions ``rows_P`` (ascending) of
    softmax(hidden weight^T / temperature) among the ids that sampling had kept; -inf for one that it had not.

    In float32 (float64 for such inputs), differentiable by hidden states and weight, in memory for some chunks of
    logits.
    """
    apply: Callable[..., Tensor] = _TokenLogprobs.apply
    return apply(hidden_MD, weight_VD, rows_P, targets_P, temperature_M, truncation)
