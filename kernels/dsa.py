"""DeepSeek Sparse Attention over a forest of sequences: select, attend, and teach the indexer, forward and backward.

The scores of attention (heads x N x depth) and of the indexer are never kept: one stripe of queries at a time is worked
on while it fits the processor's cache, and computed again in the backward pass. A stripe's scores stand in columns by
the keys' depth, so that branches that exclude one another share columns, and are filled block by block with plain
matrix products. The indexer's loss does not reach the attention, so its gradient is known as soon as the stripe's
forward is.

Letters: N nodes of the forest, H heads, J index heads, d head width, n queries of a stripe, w its width in columns.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from .forest import Forest, Stripe

IndexerLoss = Literal["none", "dense", "sparse"]
Selector = Literal["indexer", "window", "random"]
# Added per position before the top-k. It vanishes beside any score but orders scores that are exactly zero (every
# index head's ReLU closed), so the choice among them does not hang on the length of the row or on torch's sorting.
TIE_STEP = 1e-30
# Low enough that exp gives zero, finite so that zero times it is zero.
_CLOSED = -1e30


@dataclass(frozen=True)
class DsaOptions:
    """How to attend: softmax ``scale``; the indexer's ``topk``, loss and ties; whether attention is ``sparse``.

    ``selector`` says who selects: the indexer, or a control of equal budget, the last ``topk`` positions or ``topk``
    random ones (the query's own always among them; ``seed``). ``measure`` asks for the selected attention mass.
    """

    scale: float
    topk: int
    sparse: bool = True
    indexer_loss: IndexerLoss = "none"
    recent_ties: bool = True
    selector: Selector = "indexer"
    seed: int = 0
    measure: bool = False

    def selects(self, depth: int) -> bool:
        """True where the top-k excludes anything that matters for sequences of up to ``depth`` tokens."""
        return depth > self.topk and (self.sparse or self.measure or self.indexer_loss == "sparse")

    def scores(self, depth: int) -> bool:
        """True where the indexer's scores are needed."""
        return self.indexer_loss != "none" or (self.selector == "indexer" and self.selects(depth))


@dataclass(frozen=True)
class IndexTensors:
    """The indexer's view of the nodes: queries [N, J, d], keys [N, d], head weights [N, J]."""

    q_NJd: Tensor
    k_Nd: Tensor
    w_NJ: Tensor


@dataclass(frozen=True)
class Attended:
    """The attention's output [N, H, v], the indexer's loss [], and, where measured, how much of the probability mass of
    dense attention the selected positions hold, [2]: its weighted sum over the queries that could not select all they
    see, and the sum of those weights."""

    out_NHv: Tensor
    loss: Tensor
    mass: Tensor


def select(scores: Tensor, visible: Tensor, topk: int, *, recent_ties: bool) -> Tensor:
    """True at the ``topk`` best visible positions of each query, bool like ``scores`` [..., s].

    Exact ties go to the most recent position; with ``recent_ties`` off they fall as ``torch.topk`` lets them
    over the columns given, which is what the reference implementation does.
    """
    handicap = _bias(visible, scores.dtype)
    if recent_ties:
        handicap += torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=torch.float32) * TIE_STEP
    chosen = handicap.add_(scores).topk(min(topk, scores.shape[-1]), dim=-1, sorted=False).indices
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, chosen, True).logical_and_(visible)


def _bias(opened: Tensor, dtype: torch.dtype) -> Tensor:
    """Zero where open, ``_CLOSED`` elsewhere."""
    return opened.to(dtype).sub_(1).mul_(-_CLOSED)


def _probabilities(stripe: Stripe, q_NHd: Tensor, k_NHd: Tensor, opened_nw: Tensor, scale: float) -> Tensor:
    """Attention of one stripe, [H, n, w]."""
    scores = _bias(opened_nw, q_NHd.dtype).expand(q_NHd.shape[1], -1, -1).contiguous()
    queries, keys = q_NHd[stripe.rows].transpose(0, 1), k_NHd.permute(1, 2, 0)
    for block in stripe.blocks:
        scores[:, block.rows, block.columns].baddbmm_(queries[:, block.rows], keys[:, :, block.keys], alpha=scale)
    return scores.softmax(dim=-1)


def _index_scores(stripe: Stripe, iq_NJd: Tensor, ik_Nd: Tensor, iw_NJ: Tensor) -> tuple[Tensor, Tensor]:
    """(ReLU of each index head's scores [J, n, w], their weighted sum [n, w]), at least float32, zero where unseen."""
    heads, dtype = iq_NJd.shape[1], torch.promote_types(iq_NJd.dtype, torch.float32)
    relu = torch.zeros(heads, stripe.height, stripe.width, dtype=dtype, device=iq_NJd.device)
    queries = iq_NJd[stripe.rows].to(dtype).transpose(0, 1)
    for block in stripe.blocks:
        keys = ik_Nd[block.keys].to(dtype).T.expand(heads, -1, -1)
        torch.bmm(queries[:, block.rows], keys, out=relu[:, block.rows, block.columns])
    relu.clamp_(min=0)
    weights = iw_NJ[stripe.rows].to(dtype)
    total = relu[0] * weights[:, 0, None]
    for head in range(1, heads):
        total.addcmul_(relu[head], weights[:, head, None])
    return relu, total


def _teach(scores_nw: Tensor, target_nw: Tensor, among_nw: Tensor, row_weight_n: Tensor) -> tuple[Tensor, Tensor]:
    """(weighted sum of the rows' KL(target || softmax(scores)) over ``among``, its gradient by the scores [n, w])."""
    target = target_nw.to(scores_nw.dtype) * among_nw
    target /= target.sum(dim=-1, keepdim=True).clamp_min(1e-30)
    logits = scores_nw + _bias(among_nw, scores_nw.dtype)
    log_q = logits.log_softmax(dim=-1)
    divergence_n = (torch.xlogy(target, target) - target * log_q).sum(dim=-1)
    slope = log_q.exp_().sub_(target).mul_(row_weight_n.unsqueeze(-1))
    return (divergence_n * row_weight_n).sum(), slope


@dataclass(frozen=True)
class _Choice:
    """What the queries of one stripe see and which of it they selected, bool [n, w]; the scores behind it, if any."""

    visible: Tensor
    chosen: Tensor
    relu: Tensor | None
    scores: Tensor | None


def _choose(
    stripe: Stripe, index: tuple[Tensor, ...], depth_n: Tensor, how: DsaOptions, deepest: int, dice: torch.Generator
) -> _Choice:
    columns = torch.arange(stripe.width, device=depth_n.device)
    visible = columns <= depth_n.unsqueeze(-1)
    relu, scores = _index_scores(stripe, *index) if how.scores(deepest) else (None, None)
    if stripe.width <= how.topk or not how.selects(deepest):
        return _Choice(visible, visible, relu, scores)
    if how.selector == "window":
        return _Choice(visible, visible & (columns > depth_n.unsqueeze(-1) - how.topk), relu, scores)
    if how.selector == "random":
        scores = torch.rand(visible.shape, generator=dice, device=depth_n.device)
        scores.masked_fill_(columns == depth_n.unsqueeze(-1), 2.0)
    assert scores is not None
    return _Choice(visible, select(scores, visible, how.topk, recent_ties=how.recent_ties), relu, scores)


def _add_index_gradients(
    grads: tuple[Tensor, ...], stripe: Stripe, relu: Tensor, slope: Tensor, index: tuple[Tensor, ...]
) -> None:
    """Add one stripe's part to the gradients of the indexer's queries, keys and head weights. Consumes ``relu``."""
    queries, weights = (tensor[stripe.rows].to(relu.dtype) for tensor in (index[0], index[2]))
    grads[2][stripe.rows] = torch.stack([torch.linalg.vecdot(one, slope) for one in relu], dim=-1).to(grads[2].dtype)
    torch.sign(relu, out=relu).mul_(slope)
    for head, one in enumerate(relu):
        one.mul_(weights[:, head, None])
        dq = torch.zeros_like(queries[:, head])
        for block in stripe.blocks:
            part = one[block.rows, block.columns]
            dq[block.rows].addmm_(part, index[1][block.keys].to(relu.dtype))
            grads[1][block.keys] += (part.T @ queries[block.rows, head]).to(grads[1].dtype)
        grads[0][stripe.rows, head] = dq.to(grads[0].dtype)


def _mix(stripe: Stripe, probs: Tensor, v_NHv: Tensor, out_NHv: Tensor) -> None:
    """Add one stripe's weighted values to its rows of ``out``."""
    mixed, values = out_NHv[stripe.rows].transpose(0, 1), v_NHv.transpose(0, 1)
    for block in stripe.blocks:
        mixed[:, block.rows].baddbmm_(probs[:, block.rows, block.columns], values[:, block.keys])


def _add_gradients(
    grads: tuple[Tensor, ...],
    stripe: Stripe,
    probs: Tensor,
    grad_out: Tensor,
    inputs: tuple[Tensor, ...],
    scale: float,
) -> None:
    """Add one stripe's part to the gradients of queries, keys and values."""
    q, do = (tensor[stripe.rows].transpose(0, 1) for tensor in (inputs[0], grad_out))
    k, v = (tensor.transpose(0, 1) for tensor in inputs[1:])
    dq = grads[0][stripe.rows].transpose(0, 1)
    dk, dv = (tensor.transpose(0, 1) for tensor in grads[1:])
    dprobs = torch.zeros_like(probs)
    for block in stripe.blocks:
        at = (slice(None), block.rows, block.columns)
        dprobs[at].baddbmm_(do[:, block.rows], v[:, block.keys].transpose(1, 2))
        dv[:, block.keys].baddbmm_(probs[at].transpose(1, 2), do[:, block.rows])
    slope = torch.ops.aten._softmax_backward_data(dprobs, probs, -1, probs.dtype)
    for block in stripe.blocks:
        part = slope[:, block.rows, block.columns]
        dq[:, block.rows].baddbmm_(part, k[:, block.keys], alpha=scale)
        dk[:, block.keys].baddbmm_(part.transpose(1, 2), q[:, block.rows], alpha=scale)


def _stripes(forest: Forest, options: DsaOptions) -> Iterator[Stripe]:
    """The forest's stripes; as wide as the longest sequence where ties fall as in the reference implementation."""
    for stripe in forest.stripes:
        yield stripe if options.recent_ties else replace(stripe, width=forest.deepest)


class _DsaAttention(torch.autograd.Function):
    """See ``dsa_attention``. Saved: the inputs and, where attention is sparse, each stripe's selected positions."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, iq, ik, iw, row_weight, forest, options = given
        learns, sparse = options.indexer_loss != "none", options.sparse and options.selects(forest.deepest)
        grads = tuple(torch.zeros_like(tensor) for tensor in (iq, ik, iw)) if learns else ()
        exact = torch.promote_types(q.dtype, torch.float32)
        out = q.new_zeros(len(q), q.shape[1], v.shape[-1])
        loss, mass = (torch.zeros(shape, dtype=exact, device=q.device) for shape in ((), (2,)))
        dice = torch.Generator(device=q.device).manual_seed(options.seed)
        depth_N, masks = forest.depth_N.to(q.device), list[Tensor]()
        for stripe in _stripes(forest, options):
            depth_n, weight_n = depth_N[stripe.rows], row_weight[stripe.rows].to(exact)
            choice = _choose(stripe, (iq, ik, iw), depth_n, options, forest.deepest, dice)
            opened = choice.chosen if sparse else choice.visible
            masks += [opened] if sparse else []
            probs = _probabilities(stripe, q, k, opened, options.scale)
            _mix(stripe, probs, v, out)
            if learns:
                assert choice.scores is not None
                assert choice.relu is not None
                among = choice.chosen if options.indexer_loss == "sparse" else choice.visible
                part, slope = _teach(choice.scores, probs.sum(dim=0), among, weight_n)
                loss += part
                _add_index_gradients(grads, stripe, choice.relu, slope, (iq, ik, iw))
            if options.measure:
                dense = _probabilities(stripe, q, k, choice.visible, options.scale) if sparse else probs
                held_n, counted_n = (
                    (dense.mean(dim=0) * choice.chosen).sum(dim=-1),
                    weight_n * (depth_n >= options.topk),
                )
                mass += torch.stack(((held_n * counted_n).sum(), counted_n.sum()))
        ctx.options, ctx.forest, ctx.learns = options, forest, learns
        ctx.save_for_backward(q, k, v, *grads, *masks)
        ctx.mark_non_differentiable(mass)
        return out, loss, mass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, *rest = ctx.saved_tensors
        grad_out, grad_loss, _ = grads
        taught: list[Tensor | None] = [None, None, None]
        if ctx.learns:
            taught, rest = [grad * grad_loss.to(grad.dtype) for grad in rest[:3]], rest[3:]
        if not any(ctx.needs_input_grad[:3]):
            return None, None, None, *taught, None, None, None
        found = tuple(torch.zeros_like(tensor) for tensor in (q, k, v))
        depth_N = ctx.forest.depth_N.to(q.device)
        for number, stripe in enumerate(_stripes(ctx.forest, ctx.options)):
            columns = torch.arange(stripe.width, device=q.device)
            opened = rest[number] if rest else columns <= depth_N[stripe.rows].unsqueeze(-1)
            probs = _probabilities(stripe, q, k, opened, ctx.options.scale)
            _add_gradients(found, stripe, probs, grad_out, (q, k, v), ctx.options.scale)
        return *found, *taught, None, None, None


def dsa_attention(
    q_NHd: Tensor,
    k_NHd: Tensor,
    v_NHv: Tensor,
    index: IndexTensors | None,
    row_weight_N: Tensor,
    forest: Forest,
    options: DsaOptions,
) -> Attended:
    """Every node attends to the nodes it grows from and itself. Differentiable, in memory linear in N but for one bool
    per query and column where attention is sparse.

    The loss is the sum over queries, each times its ``row_weight_N``, of
    KL(attention summed over heads || softmax of the indexer's scores) over all earlier positions ("dense") or the
    selected ones ("sparse"; DeepSeek-V3.2, section 2.1). Its gradient reaches ``index`` alone; the rest's never does.
    """
    if index is None:
        assert not options.scores(forest.deepest)
        empty = q_NHd.new_empty(0)
        index = IndexTensors(empty, empty, empty)
    attend: Callable[..., tuple[Tensor, Tensor, Tensor]] = _DsaAttention.apply
    return Attended(*attend(q_NHd, k_NHd, v_NHv, index.q_NJd, index.k_Nd, index.w_NJ, row_weight_N, forest, options))
