"""Attention of new tokens over the paged cache, absorbed or unfolded, dense or as the indexer selects.

Letters: N new tokens of one request, D rows (one new token each), H heads, J index heads, S cached tokens, C kv latent,
W cached latent, P tokens per page, K = index_topk, v value width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..kernels.dsa import TIE_STEP
from .cascade import Batch, Run, Slots, read
from .folded import FoldedLayer, Projected, heads_linear, linear

# A run that so many rows share is unfolded into keys and values per head, kept while they share it.
_UNFOLDED_ROWS = 8
_UNFOLDED_NUMBERS = 1 << 28
# Scores of so many numbers at once at most.
_STRIPE_NUMBERS = 1 << 22
Unfolded = dict[tuple[int, ...], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class LayerCache:
    """One layer's stores, [slots, W] and [slots, index_head_dim], and what stays unfolded of it."""

    latent: Tensor
    index_keys: Tensor
    unfolded: Unfolded


@dataclass
class Singles:
    """The rows of a batch of a step, from row ``first`` of the step on: where each stands, and what that means for its
    columns. Made once per step."""

    batch: Batch
    first: int
    positions_D: Tensor
    selects: bool
    dtype: torch.dtype
    heads: int

    def __post_init__(self) -> None:
        rows = self.batch.last - self.batch.first
        self.rows = slice(self.first, self.first + rows)
        self.page_size = self.batch.page_size
        self.wide = torch.float64 if self.dtype == torch.float64 else torch.float32
        offsets_P = torch.arange(self.page_size)
        self.closed = []
        for column in self.batch.columns:
            seen = offsets_P <= (self.positions_D[column.rows] - column.starts_D).unsqueeze(-1)
            self.closed.append(torch.zeros(seen.shape, dtype=self.dtype).masked_fill_(~seen, -math.inf).unsqueeze(1))
        shape = (rows, self.batch.width) if self.selects else (self.heads, rows, self.batch.width)
        self.scores = torch.full(shape, -math.inf, dtype=torch.float32 if self.selects else self.dtype)
        if self.selects:
            self.slots_DS, positions_DS = self.batch.places
            self.ties_DS = (positions_DS + 1) * TIE_STEP


def attend_dense(layer: FoldedLayer, made: Projected, cache: LayerCache, step: Singles) -> Tensor:
    """Each row over all its context: one product per shared run, one batched product per column. [D, H, v]."""
    rows = step.rows
    nope, rotary = made.nope_NHd[rows], made.rotary_NHR[rows]
    absorbed = layer.absorbed(nope, rotary)
    whole = torch.cat((nope, rotary), dim=-1).transpose(0, 1)
    scores_HDS = step.scores
    unfolded = [_unfolded(layer, cache, run) for run in step.batch.runs]
    for run, pair in zip(step.batch.runs, unfolded, strict=True):
        here = scores_HDS[:, run.rows, run.at : run.at + run.length]
        if pair is not None:
            here.copy_(heads_linear(whole[:, run.rows].contiguous(), pair[0]))
        else:
            asked = linear(absorbed[run.rows].flatten(0, 1), read(cache.latent, run.slots))
            here.copy_(asked.unflatten(0, (-1, layer.config.num_attention_heads)).transpose(0, 1))  # type: ignore[no-untyped-call]
    pages = [
        read(cache.latent, column.slots).view(-1, step.page_size, cache.latent.shape[-1])
        for column in step.batch.columns
    ]
    for column, page_DPW, closed in zip(step.batch.columns, pages, step.closed, strict=True):
        asked = torch.bmm(absorbed[column.rows], page_DPW.transpose(1, 2))
        scores_HDS[:, column.rows, column.at : column.at + step.page_size] = (asked + closed).transpose(0, 1)
    probs_HDS = scores_HDS.softmax(dim=-1)
    rank = layer.config.kv_lora_rank
    mixed_DHC: Tensor | None = None
    for column, page_DPW in zip(step.batch.columns, pages, strict=True):
        share = probs_HDS[:, column.rows, column.at : column.at + step.page_size].transpose(0, 1)
        mixed = torch.bmm(share, page_DPW[..., :rank])
        if mixed_DHC is None:
            mixed_DHC = mixed if len(mixed) == len(absorbed) else torch.zeros_like(absorbed[..., :rank])
        if mixed_DHC is not mixed:
            mixed_DHC[column.rows] += mixed
    if mixed_DHC is None:
        mixed_DHC = torch.zeros_like(absorbed[..., :rank])
    for run, pair in zip(step.batch.runs, unfolded, strict=True):
        if pair is None:
            share = probs_HDS[:, run.rows, run.at : run.at + run.length].transpose(0, 1)
            latent = read(cache.latent, run.slots)[:, :rank]
            mixed_DHC[run.rows] += (share.flatten(0, 1) @ latent).view(-1, *mixed_DHC.shape[1:])
    values_HDv = layer.values(mixed_DHC.transpose(0, 1).contiguous())
    for run, pair in zip(step.batch.runs, unfolded, strict=True):
        if pair is not None:
            share = probs_HDS[:, run.rows, run.at : run.at + run.length]
            values_HDv[:, run.rows] += heads_linear(share.contiguous(), pair[1])
    return values_HDv.transpose(0, 1)


def _unfolded(layer: FoldedLayer, cache: LayerCache, run: Run) -> tuple[Tensor, Tensor] | None:
    """Keys and values per head of a run that many rows share; None where asking its latents is cheaper."""
    config = layer.config
    numbers = run.length * config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    if run.rows.stop - run.rows.start < _UNFOLDED_ROWS or numbers * config.num_hidden_layers > _UNFOLDED_NUMBERS:
        return None
    if run.key not in cache.unfolded:
        cache.unfolded[run.key] = layer.unfold(read(cache.latent, run.slots))
    return cache.unfolded[run.key]


def attend_selected(layer: FoldedLayer, made: Projected, turns: Tensor, cache: LayerCache, step: Singles) -> Tensor:
    """Each row over the K positions that the indexer scores highest (its context is longer than that): [D, H, v]."""
    rows = step.rows
    query_DJd, weight_DJ = layer.index_queries(made.normed_ND[rows], made.q_latent_NQ[rows], turns[rows])
    scores_DS = step.scores
    for run in step.batch.runs:
        keys = read(cache.index_keys, run.slots)
        scores_DS[run.rows, run.at : run.at + run.length] = index_scores(query_DJd[run.rows], weight_DJ[run.rows], keys)
    for column, closed in zip(step.batch.columns, step.closed, strict=True):
        keys_DPd = read(cache.index_keys, column.slots).view(-1, step.page_size, query_DJd.shape[-1])
        relu_DJP = torch.bmm(query_DJd[column.rows], keys_DPd.transpose(1, 2)).float().clamp_(min=0)
        found = torch.bmm(weight_DJ[column.rows].unsqueeze(1), relu_DJP).squeeze(1)
        scores_DS[column.rows, column.at : column.at + step.page_size] = found + closed.squeeze(1).float()
    chosen_DK = (scores_DS + step.ties_DS).topk(layer.config.index_topk, dim=-1, sorted=False).indices
    slots = step.slots_DS.gather(1, chosen_DK).flatten()
    latent_DKW = cache.latent.index_select(0, slots).view(*chosen_DK.shape, -1)
    query_DHW = layer.absorbed(made.nope_NHd[rows], made.rotary_NHR[rows])
    # Row by row, and keys first: both are about twice as fast as one batched product of these narrow queries.
    pairs = zip(query_DHW, latent_DKW, strict=True)
    scores_DHK = torch.stack([linear(query_HW, latent_KW) for query_HW, latent_KW in pairs])
    probs_DHK = scores_DHK.softmax(dim=-1, dtype=step.wide).to(step.dtype)
    values_DCK = latent_DKW[..., : layer.config.kv_lora_rank].transpose(1, 2)
    mixed_DCH = torch.bmm(values_DCK, probs_DHK.transpose(1, 2))
    return layer.values(mixed_DCH.permute(2, 0, 1).contiguous()).transpose(0, 1)


def index_scores(query_DJd: Tensor, weight_DJ: Tensor, keys_Sd: Tensor) -> Tensor:
    """``I[t,s] = sum_j w[t,j] relu(q[t,j] . k[s])`` (V3.2, equation 1), float32 [D, S]."""
    rows, heads, _ = query_DJd.shape
    stripe = max(1, _STRIPE_NUMBERS // (heads * len(keys_Sd)))
    parts = []
    for query, weight in zip(query_DJd.split(stripe), weight_DJ.split(stripe), strict=True):  # type: ignore[no-untyped-call]
        relu = linear(query.flatten(0, 1), keys_Sd).float().clamp_(min=0).unflatten(0, (-1, heads))  # type: ignore[no-untyped-call]
        parts.append(torch.bmm(weight.unsqueeze(1), relu).squeeze(1))
    return torch.cat(parts) if rows > stripe else parts[0]


def attend_chunk(
    layer: FoldedLayer,
    made: Projected,
    turns: Tensor,
    cache: LayerCache,
    rows: slice,
    slots: Slots,
    *,
    sparse: bool,
    recent_ties: bool = True,
) -> Tensor:
    """N new tokens in a row of one request over its S cached ones, themselves the last of them: [N, H, v]."""
    config, new = layer.config, rows.stop - rows.start
    latent = read(cache.latent, slots)
    span = len(latent)
    stripe = max(1, min(new, _STRIPE_NUMBERS // (span * (config.index_n_heads if sparse else 1))))
    absorbs = _absorbing_is_cheaper(layer, new)
    keys, values = (latent, latent) if absorbs else layer.unfold(latent)
    index_keys = read(cache.index_keys, slots) if sparse and span > config.index_topk else None
    out = []
    for low in range(0, new, stripe):
        some = slice(rows.start + low, min(rows.start + low + stripe, rows.stop))
        first = span - new + low
        closed_NS = _causal(first, some.stop - some.start, span, latent.dtype)
        if index_keys is not None:
            closed_NS = _selected(layer, made, turns, some, index_keys, closed_NS, recent_ties=recent_ties)
        nope, rotary = made.nope_NHd[some], made.rotary_NHR[some]
        if absorbs:
            out.append(_absorbed_chunk(layer, nope, rotary, latent, closed_NS))
        else:
            whole = torch.cat((nope, rotary), dim=-1).transpose(0, 1).contiguous()
            heads = [
                linear((linear(query, key).to(closed_NS.dtype) + closed_NS).softmax(dim=-1).to(latent.dtype), value)
                for query, key, value in zip(whole, keys, values, strict=True)
            ]
            out.append(torch.stack(heads, dim=1))
    return torch.cat(out)


def _absorbed_chunk(layer: FoldedLayer, nope: Tensor, rotary: Tensor, latent: Tensor, closed_NS: Tensor) -> Tensor:
    query_NHW = layer.absorbed(nope, rotary)
    scores = linear(query_NHW.flatten(0, 1), latent).unflatten(0, query_NHW.shape[:2])  # type: ignore[no-untyped-call]
    probs = (scores.to(closed_NS.dtype) + closed_NS.unsqueeze(1)).softmax(dim=-1).to(latent.dtype)
    mixed = probs.flatten(0, 1) @ latent[:, : layer.config.kv_lora_rank]
    return layer.values(mixed.unflatten(0, query_NHW.shape[:2]).transpose(0, 1).contiguous()).transpose(0, 1)


def _causal(first: int, new: int, span: int, dtype: torch.dtype) -> Tensor:
    """0 where the token at position ``first + n`` sees position s, else -inf; [N, S]."""
    hidden = torch.arange(span) > torch.arange(first, first + new).unsqueeze(-1)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    return torch.zeros(new, span, dtype=wide).masked_fill_(hidden, -math.inf)


def _selected(
    layer: FoldedLayer,
    made: Projected,
    turns: Tensor,
    rows: slice,
    index_keys: Tensor,
    closed_NS: Tensor,
    *,
    recent_ties: bool,
) -> Tensor:
    """``closed_NS`` with everything closed but the K best positions of each token."""
    query, weight = layer.index_queries(made.normed_ND[rows], made.q_latent_NQ[rows], turns[rows])
    scores = index_scores(query, weight, index_keys) + closed_NS.float()
    if recent_ties:
        scores += torch.arange(1, closed_NS.shape[1] + 1) * TIE_STEP
    chosen = scores.topk(layer.config.index_topk, dim=-1, sorted=False).indices
    return torch.full_like(closed_NS, -math.inf).scatter_(1, chosen, closed_NS.gather(1, chosen))


def _absorbing_is_cheaper(layer: FoldedLayer, new: int) -> bool:
    """Multiplications per head and cached position: ask the latents, or unfold them once and ask heads."""
    config = layer.config
    absorbed = new * (config.latent_dim + config.kv_lora_rank)
    unfolded = (new + config.kv_lora_rank) * (config.qk_nope_head_dim + config.v_head_dim)
    return absorbed < unfolded + new * config.qk_rope_head_dim


def attend_each(
    layer: FoldedLayer, made: Projected, turns: Tensor, cache: LayerCache, slots_N: list[Tensor], *, sparse: bool
) -> Tensor:
    """Row by row, in shapes and memory that depend on nothing but the row's own length: [N, H, v].

    ``slots_N[n]`` are all slots that row n sees, in order.
    """
    config, rank = layer.config, layer.config.kv_lora_rank
    out = torch.zeros(len(made.normed_ND), config.num_attention_heads, config.v_head_dim, dtype=cache.latent.dtype)
    for row, slots in enumerate(slots_N):
        seen, here = slots, slice(row, row + 1)
        if sparse and len(slots) > config.index_topk:
            query, weight = layer.index_queries(
                made.normed_ND[here].clone(), made.q_latent_NQ[here].clone(), turns[here].clone()
            )
            scores = index_scores(query, weight, cache.index_keys.index_select(0, slots))[0]
            best = (scores + torch.arange(1, len(slots) + 1) * TIE_STEP).topk(config.index_topk).indices
            seen = slots[best.sort().values]
        latent = cache.latent.index_select(0, seen)
        query = layer.absorbed(made.nope_NHd[here].clone(), made.rotary_NHR[here].clone())[0]
        probs = (query @ latent.T).float().softmax(dim=-1).to(latent.dtype)
        out[row] = layer.values((probs @ latent[:, :rank]).unsqueeze(1))[:, 0]
    return out
