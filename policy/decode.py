"""Cached inference: new tokens of many requests go through the model as flat rows, without padding.

Letters: N new tokens of all requests, B requests, V vocabulary, D hidden, X mixture-of-experts layers, K experts per
token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from .attend import LayerCache, Singles, Unfolded, attend_chunk, attend_dense, attend_each, attend_selected
from .cache import Context, PagedCache
from .cascade import Batch, Slots, plan
from .folded import FoldedLayer, Matrix, Projected
from .model import DeepseekV32ForCausalLM, Ties
from .rope import rotation_table, softmax_scale

# In deterministic mode rows go through matrices in tiles of this many: a product's rounding depends on its shape, and
# not on where in it a row stands (so for float32 by oneDNN and MKL, and for bfloat16; not for float64).
_TILE = 32
# Weights up to this size are laid out a second time for faster products.
_PACKED_BYTES = 4 << 30


@dataclass(frozen=True)
class Chunk:
    """``tokens`` of one request from position ``start`` on; ``context`` has pages for them. Positions it already holds
    are computed again but not stored again. ``wanted``: how many of the last tokens' logits are asked for."""

    context: Context
    start: int
    tokens: Sequence[int]
    wanted: int = 1


@torch.no_grad()
def extend(
    model: DeepseekV32ForCausalLM | Decoder,
    cache: PagedCache,
    contexts: Sequence[Context],
    tokens: Sequence[Sequence[int]],
    *,
    sparse: bool = True,
    last_only: bool = True,
) -> Tensor:
    """Append ``tokens[b]`` (one or more) to ``contexts[b]`` (from ``cache.open``) and store what they leave there.

    Returns the logits [B, V] after each context's last token, or with ``last_only=False`` those after every new token,
    [N, V], context by context. Given a model, ties between indexer scores fall as in the reference implementation.
    Raises ValueError, with nothing changed, where the cache has no room for them.
    """
    decoder = model if isinstance(model, Decoder) else Decoder(model, sparse=sparse, ties="reference")
    ends = [(context, context.length + len(new)) for context, new in zip(contexts, tokens, strict=True)]
    if not cache.reserve(ends):
        raise ValueError(f"contexts of {sum(end for _, end in ends)} tokens in all need pages; {cache.room} are left")
    chunks = [
        Chunk(context, context.length, new, 1 if last_only else len(new))
        for context, new in zip(contexts, tokens, strict=True)
    ]
    logits = decoder.run(cache, chunks)
    for context, new in zip(contexts, tokens, strict=True):
        cache.commit(context, new)
    return logits


class Decoder:
    """Runs a model on a ``PagedCache``. It keeps folded copies of some weights: call ``refold`` when they change.

    ``sparse=False`` ignores the indexer (plain MLA). ``deterministic``: a token's numbers depend, to the last bit, on
    the tokens before it alone; slower, and for float32 and bfloat16 only (ValueError otherwise). ``ties`` between
    exactly equal indexer scores as in ``DeepseekV32ForCausalLM.forward``; "reference" takes requests one by one.
    """

    def __init__(
        self,
        model: DeepseekV32ForCausalLM,
        *,
        sparse: bool = True,
        deterministic: bool = False,
        ties: Ties = "recent",
    ) -> None:
        if deterministic and model.dtype not in (torch.float32, torch.bfloat16):
            raise ValueError(f"deterministic mode is for float32 and bfloat16, not {model.dtype}")
        self.model, self.config = model, model.config
        self.sparse, self.deterministic, self.recent_ties = sparse, deterministic, ties == "recent"
        self._turns = torch.zeros(0)
        self._planned: dict[bool, tuple[object, list[int], list[Batch]]] = {}
        self.refold()

    @torch.no_grad()
    def refold(self) -> None:
        """Take the model's present weights."""
        tensors = [*self.model.parameters()]
        packed = sum(tensor.nbytes for tensor in tensors) <= _PACKED_BYTES and tensors[0].device.type == "cpu"
        self._layers = [FoldedLayer(layer, self.config, packed=packed) for layer in self.model._layers()]
        self._head = Matrix(self.model.lm_head.weight, packed=packed)
        self._unfolded: list[Unfolded] = [{} for _ in self._layers]

    @torch.no_grad()
    def run(self, cache: PagedCache, chunks: Sequence[Chunk]) -> Tensor:
        """Compute the chunks' tokens, store them in the cache (``commit`` is the caller's), and return the logits asked
        for, in the order of the chunks."""
        step = _Step(self, cache, chunks)
        x = self.model.model.embed_tokens(step.tokens_N)
        choices: list[Tensor] = []
        for number, layer in enumerate(self._layers):
            x, choice = self._layer(number, layer, x, step)
            choices += [] if choice is None else [choice]
        if choices:
            chosen = torch.stack(choices, dim=1).to(cache.experts.dtype)
            cache.experts.index_copy_(0, step.writes_N, chosen[: len(step.writes_N)])
        return self._logits(x.index_select(0, step.wanted_M))

    def turns(self, length: int) -> tuple[Tensor, Tensor]:
        """Complex rotations [length or more, R / 2] of queries (times the softmax scale) and of keys."""
        wide = torch.complex128 if self.model.dtype == torch.float64 else torch.complex64
        if len(self._turns) < length:
            size = min(max(1 << (length - 1).bit_length(), 64), self.config.max_position_embeddings)
            cos, sin = rotation_table(self.config, size)
            real = torch.float64 if wide == torch.complex128 else torch.float32
            self._turns = torch.complex(cos.to(real), sin.to(real))
            self._query_turns = self._turns * softmax_scale(self.config)
        return self._query_turns, self._turns

    def batches(
        self, cache: PagedCache, contexts: Sequence[Context], positions: Sequence[int], *, selects: bool
    ) -> tuple[list[int], list[Batch]]:
        """``plan``, remembered while the rows and their pages stay the same."""
        size = cache.page_size
        key = [(context.pages[at // size].serial, at // size) for context, at in zip(contexts, positions, strict=True)]
        known = self._planned.get(selects)
        if known is None or known[0] != key:
            known = self._planned[selects] = (key, *plan(cache, contexts, positions))
            used = {run.key for batch in known[2] for run in batch.runs}
            for kept in self._unfolded if not selects else ():
                for gone in kept.keys() - used:
                    del kept[gone]
        return known[1], known[2]

    def _layer(self, number: int, layer: FoldedLayer, x: Tensor, step: _Step) -> tuple[Tensor, Tensor | None]:
        cache = LayerCache(step.cache.latent[number], step.cache.index_keys[number], self._unfolded[number])
        made = self._project(layer, x, step)
        cache.latent.index_copy_(0, step.writes_N, made.latent_NW[: len(step.writes_N)])
        cache.index_keys.index_copy_(0, step.writes_N, made.index_key_Nd[: len(step.writes_N)])
        attended = step.attend(layer, made, cache)
        if not self.deterministic:
            return layer.finish(x, attended, tiled=False)
        parts = [layer.finish(*pair, tiled=True) for pair in zip(x.split(_TILE), attended.split(_TILE), strict=True)]  # type: ignore[no-untyped-call]
        choices = [choice for _, choice in parts if choice is not None]
        return torch.cat([out for out, _ in parts]), torch.cat(choices) if choices else None

    def _project(self, layer: FoldedLayer, x: Tensor, step: _Step) -> Projected:
        if not self.deterministic:
            return layer.project(x, step.query_turns, step.turns)
        tiles = zip(x.split(_TILE), step.query_turns.split(_TILE), step.turns.split(_TILE), strict=True)  # type: ignore[no-untyped-call]
        parts = [vars(layer.project(*tile)) for tile in tiles]
        return Projected(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})

    def _logits(self, x_MD: Tensor) -> Tensor:
        if not self.deterministic:
            return self._head(self.model.model.norm(x_MD))
        tiles = _padded(x_MD).split(_TILE)  # type: ignore[no-untyped-call]
        return torch.cat([self._head(self.model.model.norm(tile)) for tile in tiles])[: len(x_MD)]


class _Step:
    """The layout of one ``run``: single tokens first, in the order of the plan, then chunks of more."""

    def __init__(self, decoder: Decoder, cache: PagedCache, chunks: Sequence[Chunk]) -> None:
        self.decoder, self.cache = decoder, cache
        alone = decoder.deterministic or not decoder.recent_ties
        singles = [n for n, chunk in enumerate(chunks) if len(chunk.tokens) == 1 and not alone]
        longer = [n for n, chunk in enumerate(chunks) if len(chunk.tokens) > 1 or alone]
        topk = decoder.config.index_topk
        self.singles: list[Singles] = []
        order: list[int] = []
        # Rows within index_topk see all there is: for them the indexer has nothing to choose.
        for selects in (False, True):
            some = [n for n in singles if (decoder.sparse and chunks[n].start >= topk) == selects]
            if some:
                order += self._place_singles([chunks[n] for n in some], some, len(order), selects=selects)
        self.chunks = [chunks[n] for n in longer]
        order += longer
        self._lay_out([chunks[n] for n in order])
        self._find_wanted(chunks, order)
        self._chunk_slots()

    def _place_singles(self, chunks: list[Chunk], numbers: list[int], first: int, *, selects: bool) -> list[int]:
        decoder = self.decoder
        starts = [chunk.start for chunk in chunks]
        contexts = [chunk.context for chunk in chunks]
        order, batches = decoder.batches(self.cache, contexts, starts, selects=selects)
        heads, dtype = decoder.config.num_attention_heads, decoder.model.dtype
        for batch in batches:
            positions = torch.tensor([starts[row] for row in order[batch.first : batch.last]])
            self.singles.append(Singles(batch, first + batch.first, positions, selects, dtype, heads))
        return [numbers[row] for row in order]

    def _lay_out(self, chunks: list[Chunk]) -> None:
        tokens = [token for chunk in chunks for token in chunk.tokens]
        positions = [chunk.start + n for chunk in chunks for n in range(len(chunk.tokens))]
        writes = [slot for chunk in chunks for slot in self._writes(chunk)]
        self.writes_N = torch.tensor(writes)
        spare = -len(tokens) % _TILE if self.decoder.deterministic else 0
        self.tokens_N = torch.tensor(tokens + [0] * spare)
        positions_N = torch.tensor(positions + [0] * spare)
        query_turns, turns = self.decoder.turns(max(positions) + 1)
        self.query_turns, self.turns = query_turns.index_select(0, positions_N), turns.index_select(0, positions_N)

    def _writes(self, chunk: Chunk) -> list[int]:
        """Where the tokens are stored; what is there already goes to slots that belong to nobody."""
        size, pages = self.cache.page_size, chunk.context.pages
        places = range(chunk.start, chunk.start + len(chunk.tokens))
        return [pages[at // size].number * size + at % size if at >= chunk.context.length else 0 for at in places]

    def _find_wanted(self, chunks: Sequence[Chunk], order: list[int]) -> None:
        ends = dict(zip(order, accumulate(len(chunks[n].tokens) for n in order), strict=True))
        rows = [row for n, chunk in enumerate(chunks) for row in range(ends[n] - chunk.wanted, ends[n])]
        self.wanted_M = torch.tensor(rows, dtype=torch.long)

    def _chunk_slots(self) -> None:
        self.slots: list[Slots] = []
        self.each: list[Tensor] = []
        for chunk in self.chunks:
            end = chunk.start + len(chunk.tokens)
            slots = torch.from_numpy(self.cache.slots(chunk.context, 0, end))
            if self.decoder.deterministic:
                self.each += [slots[: at + 1] for at in range(chunk.start, end)]
            elif int(slots[-1] - slots[0]) == end - 1 and bool((slots.diff() == 1).all()):
                self.slots.append(slice(int(slots[0]), int(slots[-1]) + 1))
            else:
                self.slots.append(slots)

    def attend(self, layer: FoldedLayer, made: Projected, cache: LayerCache) -> Tensor:
        """All rows' attention, [N, H, v]."""
        sparse = self.decoder.sparse
        if self.decoder.deterministic:
            return attend_each(layer, made, self.turns, cache, self.each, sparse=sparse)
        out = [
            attend_selected(layer, made, self.turns, cache, step)
            if step.selects
            else attend_dense(layer, made, cache, step)
            for step in self.singles
        ]
        row = sum(step.batch.last - step.batch.first for step in self.singles)
        for chunk, slots in zip(self.chunks, self.slots, strict=True):
            rows = slice(row, row + len(chunk.tokens))
            recent = self.decoder.recent_ties
            out.append(attend_chunk(layer, made, self.turns, cache, rows, slots, sparse=sparse, recent_ties=recent))
            row = rows.stop
        return torch.cat(out) if len(out) > 1 else out[0]


def _padded(x_MD: Tensor) -> Tensor:
    return F.pad(x_MD, (0, 0, 0, -len(x_MD) % _TILE))
