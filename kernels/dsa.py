"""DeepSeek Sparse Attention over whole sequences: select, attend, and teach the indexer, forward and backward.

The scores of attention (heads x T x T) and of the indexer are never kept: one sequence and one stripe of queries at a
time is worked on while it fits the processor's cache, and computed again in the backward pass. The indexer's loss
does not reach the attention, so its gradient is known as soon as the stripe's forward is.

Letters: B batch, T time, H heads, J index heads, d head width, n queries of a stripe, s keys it may see.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

IndexerLoss = Literal["none", "dense", "sparse"]
# Added per position before the top-k. It vanishes beside any score but orders scores that are exactly zero (every
# index head's ReLU closed), so the choice among them does not hang on the length of the row or on torch's sorting.
TIE_STEP = 1e-30
# Low enough that exp gives zero, finite so that zero times it is zero.
_CLOSED = -1e30
_STRIPE = 128


@dataclass(frozen=True)
class DsaOptions:
    """How to attend: softmax ``scale``; the indexer's ``topk``, loss and ties; whether attention is ``sparse``."""

    scale: float
    topk: int
    sparse: bool = True
    indexer_loss: IndexerLoss = "none"
    recent_ties: bool = True

    def selects(self, time: int) -> bool:
        """True where the top-k excludes anything that matters for sequences of ``time``."""
        return time > self.topk and (self.sparse or self.indexer_loss == "sparse")


@dataclass(frozen=True)
class IndexTensors:
    """The indexer's view of the sequences: queries [B, T, J, d], keys [B, T, d], head weights [B, T, J] (float32)."""

    q_BTJd: Tensor
    k_BTd: Tensor
    w_BTJ: Tensor


def select(scores: Tensor, visible: Tensor, topk: int, *, recent_ties: bool) -> Tensor:
    """True at the ``topk`` best visible positions of each query, bool like ``scores`` [..., s].

    Exact ties go to the most recent position; with ``recent_ties`` off they fall as ``torch.topk`` lets them
    over the columns given, which is what the reference implementation does.
    """
    handicap = _bias(visible, scores)
    if recent_ties:
        handicap += torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=torch.float32) * TIE_STEP
    chosen = handicap.add_(scores).topk(min(topk, scores.shape[-1]), dim=-1, sorted=False).indices
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, chosen, True).logical_and_(visible)


def _stripes(time: int, whole_rows: bool) -> Iterator[tuple[slice, int]]:
    """Query stripes and the number of keys the last query of each sees (all T with ``whole_rows``)."""
    for first in range(0, time, _STRIPE):
        last = min(first + _STRIPE, time)
        yield slice(first, last), time if whole_rows else last


def _bias(open_ns: Tensor, like: Tensor) -> Tensor:
    """Zero where open, ``_CLOSED`` elsewhere, in the dtype of ``like``."""
    return open_ns.to(like.dtype).sub_(1).mul_(-_CLOSED)


def _probabilities(q_nHd: Tensor, k_sHd: Tensor, bias_ns: Tensor, scale: float) -> Tensor:
    """Attention of one stripe, [H, n, s]."""
    heads = q_nHd.shape[1]
    keys = k_sHd.permute(1, 2, 0)
    return torch.baddbmm(bias_ns.expand(heads, -1, -1), q_nHd.transpose(0, 1), keys, alpha=scale).softmax(dim=-1)


def _index_stripe(q_nJd: Tensor, k_sd: Tensor, w_nJ: Tensor) -> tuple[Tensor, Tensor]:
    """(ReLU of each index head's scores [J, n, s], their weighted sum [n, s]), float32."""
    heads = q_nJd.shape[1]
    rows = q_nJd.float().transpose(0, 1).flatten(0, 1)
    relu = (rows @ k_sd.float().T).clamp_(min=0).view(heads, len(q_nJd), -1)
    total = relu[0] * w_nJ[:, 0, None]
    for head in range(1, heads):
        total.addcmul_(relu[head], w_nJ[:, head, None])
    return relu, total


def _teach(
    relu_Jns: Tensor, scores_ns: Tensor, target_ns: Tensor, among_ns: Tensor, row_weight_n: Tensor
) -> tuple[Tensor, Tensor]:
    """(weighted sum of the rows' KL(target || softmax(scores)) over ``among``, its gradient by the scores [n, s])."""
    target = target_ns.float() * among_ns
    target /= target.sum(dim=-1, keepdim=True).clamp_min(1e-30)
    logits = scores_ns + _bias(among_ns, scores_ns)
    log_q = logits.log_softmax(dim=-1)
    divergence_n = (torch.xlogy(target, target) - target * log_q).sum(dim=-1)
    slope = logits.softmax(dim=-1).sub_(target).mul_(row_weight_n.unsqueeze(-1))
    return (divergence_n * row_weight_n).sum(), slope


class _DsaAttention(torch.autograd.Function):
    """See ``dsa_attention``. Saved: the inputs, the output, the chosen positions as bool [B, T, T]."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        iq: Tensor,
        ik: Tensor,
        iw: Tensor,
        row_weight: Tensor,
        options: DsaOptions,
    ) -> tuple[Tensor, Tensor]:
        batch, time, heads, _ = q.shape
        causal = torch.ones(time, time, dtype=torch.bool, device=q.device).tril()
        selects, learns = options.selects(time), options.indexer_loss != "none"
        allowed = (
            torch.empty(batch, time, time, dtype=torch.bool, device=q.device) if selects and options.sparse else None
        )
        out = q.new_empty(batch, time, heads, v.shape[-1])
        grads = [torch.zeros_like(item) for item in (iq, ik, iw)] if learns else []
        loss = torch.zeros((), dtype=torch.float32, device=q.device)
        for b in range(batch):
            for rows, seen in _stripes(time, not options.recent_ties):
                visible = chosen = causal[rows, :seen]
                if selects or learns:
                    relu, scores = _index_stripe(iq[b, rows], ik[b, :seen], iw[b, rows])
                if selects and seen > options.topk:
                    chosen = select(scores, visible, options.topk, recent_ties=options.recent_ties)
                opened = chosen if options.sparse else visible
                if allowed is not None:
                    allowed[b, rows, :seen] = opened
                probs = _probabilities(q[b, rows], k[b, :seen], _bias(opened, q), options.scale)
                out[b, rows] = torch.bmm(probs, v[b, :seen].transpose(0, 1)).transpose(0, 1)
                if learns:
                    among = chosen if options.indexer_loss == "sparse" else visible
                    part, slope = _teach(relu, scores, probs.sum(dim=0), among, row_weight[b, rows])
                    loss += part
                    _index_gradients(grads, b, rows, seen, relu, slope, iq, ik, iw)
        ctx.options = options
        ctx.whole_rows = not options.recent_ties
        ctx.save_for_backward(q, k, v, out, causal if allowed is None else allowed, *grads)
        return out, loss

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, allowed, *index_grads = ctx.saved_tensors
        grad_out, grad_loss = grads
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        scale = ctx.options.scale
        for b in range(len(q)):
            open_TT = allowed if allowed.ndim == 2 else allowed[b]
            for rows, seen in _stripes(q.shape[1], ctx.whole_rows):
                query, keys, values = q[b, rows].transpose(0, 1), k[b, :seen], v[b, :seen]
                probs = _probabilities(q[b, rows], keys, _bias(open_TT[rows, :seen], q), scale)
                do = grad_out[b, rows].transpose(0, 1)
                dv[b, :seen] += torch.bmm(probs.transpose(1, 2), do).transpose(0, 1)
                delta = (do * out[b, rows].transpose(0, 1)).sum(dim=-1, keepdim=True)
                slope = torch.baddbmm(delta, do, values.permute(1, 2, 0), beta=-1).mul_(probs).mul_(scale)
                dq[b, rows] = torch.bmm(slope, keys.transpose(0, 1)).transpose(0, 1)
                dk[b, :seen] += torch.bmm(slope.transpose(1, 2), query).transpose(0, 1)
        taught = [grad * grad_loss.to(grad.dtype) for grad in index_grads] or [None, None, None]
        return dq, dk, dv, *taught, None, None


def _index_gradients(
    grads: list[Tensor], b: int, rows: slice, seen: int, relu: Tensor, slope: Tensor, iq: Tensor, ik: Tensor, iw: Tensor
) -> None:
    """Add one stripe's part to the gradients of the indexer's queries, keys and head weights. Consumes ``relu``."""
    heads, stripe = relu.shape[:2]
    grads[2][b, rows] = torch.stack([(relu[head] * slope).sum(dim=-1) for head in range(heads)], dim=-1)
    torch.sign(relu, out=relu)
    for head in range(heads):
        relu[head].mul_(slope).mul_(iw[b, rows, head, None])
    by_rows = relu.view(heads * stripe, seen)
    grads[0][b, rows] = (by_rows @ ik[b, :seen].float()).view(heads, stripe, -1).transpose(0, 1).to(iq.dtype)
    queries = iq[b, rows].float().transpose(0, 1).flatten(0, 1)
    grads[1][b, :seen] += (by_rows.T @ queries).to(ik.dtype)


def dsa_attention(
    q_BTHd: Tensor,
    k_BTHd: Tensor,
    v_BTHv: Tensor,
    index: IndexTensors | None,
    row_weight_BT: Tensor,
    options: DsaOptions,
) -> tuple[Tensor, Tensor]:
    """(attention output [B, T, H, v], indexer loss []), differentiable, in memory linear in T but for one bool mask.

    The loss is the sum over queries, each times its ``row_weight_BT`` (float32), of
    KL(attention summed over heads || softmax of the indexer's scores) over all earlier positions ("dense") or the
    selected ones ("sparse"; DeepSeek-V3.2, section 2.1). Its gradient reaches ``index`` alone; the rest's never does.
    """
    if index is None:
        assert options.indexer_loss == "none"
        assert not options.selects(q_BTHd.shape[1])
        empty = q_BTHd.new_empty(0)
        index = IndexTensors(empty, empty, empty)
    attend: Callable[..., tuple[Tensor, Tensor]] = _DsaAttention.apply
    return attend(q_BTHd, k_BTHd, v_BTHv, index.q_BTJd, index.k_BTd, index.w_BTJ, row_weight_BT, options)
