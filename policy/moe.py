"""Feed-forward blocks: the plain SwiGLU and the mixture of experts with sigmoid, group-limited, bias-corrected routing.

Letters: N tokens, D hidden, I intermediate, E experts, G groups, K experts per token.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import DeepseekV32Config

# Up to this many tokens per expert it is cheaper to run every expert on every token than to sort tokens by expert.
_DENSE_TOKENS_PER_EXPERT = 32
_DENSE_EXPERTS = 8


class SwiGLU(nn.Module):
    """``down(silu(gate(x)) * up(x))``."""

    def __init__(self, hidden: int, intermediate: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden, intermediate, bias=False)
        self.up_proj = nn.Linear(hidden, intermediate, bias=False)
        self.down_proj = nn.Linear(intermediate, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Router(nn.Module):
    """Chooses K of E experts per token (``noaux_tc``: DeepSeek-V3, section 2.1.2), always in float32.

    ``e_score_correction_bias`` moves the choice only, never the weight; it is a buffer that
    ``update_routing_bias`` shifts towards even load.
    """

    e_score_correction_bias: Tensor

    def __init__(self, config: DeepseekV32Config) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, config.hidden_size))
        self.register_buffer("e_score_correction_bias", torch.zeros(config.n_routed_experts, dtype=torch.float32))

    def forward(self, x_ND: Tensor, forced_NK: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Expert choices [N, K] and their weights [N, K] (float32).

        ``forced_NK`` overrides the choice alone, but for rows of -1.
        """
        scores_NE = F.linear(x_ND.float(), self.weight.float()).sigmoid()
        free = forced_NK is None or bool((forced_NK < 0).any())
        choice_NK = self._choose(scores_NE.detach()) if free else None
        if forced_NK is not None:
            choice_NK = forced_NK if choice_NK is None else torch.where(forced_NK < 0, choice_NK, forced_NK)
        assert choice_NK is not None
        weights_NK = scores_NE.gather(1, choice_NK)
        if self.config.norm_topk_prob:
            weights_NK = weights_NK / (weights_NK.sum(dim=-1, keepdim=True) + 1e-20)
        return choice_NK, weights_NK * self.config.routed_scaling_factor

    @torch.no_grad()
    def _choose(self, scores_NE: Tensor) -> Tensor:
        config = self.config
        biased_NE = scores_NE + self.e_score_correction_bias
        if config.topk_group < config.n_group:
            biased_NGe = biased_NE.view(len(biased_NE), config.n_group, -1)
            best_two = biased_NGe.topk(min(2, biased_NGe.shape[-1]), dim=-1).values.sum(dim=-1)
            groups = best_two.topk(config.topk_group, dim=-1, sorted=False).indices
            closed_NG = torch.ones_like(best_two, dtype=torch.bool).scatter_(1, groups, False)
            biased_NE = biased_NGe.masked_fill(closed_NG.unsqueeze(-1), float("-inf")).flatten(1)
        return biased_NE.topk(config.num_experts_per_tok, dim=-1, sorted=False).indices


class Experts(nn.Module):
    """All routed experts, fused: ``gate_up_proj`` [E, 2I, D] (gate rows first) and ``down_proj`` [E, D, I]."""

    def __init__(self, config: DeepseekV32Config) -> None:
        super().__init__()
        experts, hidden, inner = config.n_routed_experts, config.hidden_size, config.moe_intermediate_size
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * inner, hidden))
        self.down_proj = nn.Parameter(torch.empty(experts, hidden, inner))

    def forward(self, x_ND: Tensor, choice_NK: Tensor, weights_NK: Tensor) -> Tensor:
        """Weighted sum of the chosen experts' outputs, [N, D]."""
        experts = len(self.gate_up_proj)
        if experts <= _DENSE_EXPERTS and len(x_ND) <= _DENSE_TOKENS_PER_EXPERT * experts:
            return self._every_expert(x_ND, choice_NK, weights_NK)
        return self._chosen_experts(x_ND, choice_NK, weights_NK)

    def _every_expert(self, x_ND: Tensor, choice_NK: Tensor, weights_NK: Tensor) -> Tensor:
        """Two large products over all experts, the unchosen weighing zero."""
        experts, hidden, inner = self.down_proj.shape
        gates_NE = weights_NK.new_zeros(len(x_ND), experts).scatter(1, choice_NK, weights_NK).to(x_ND.dtype)
        both = F.linear(x_ND, self.gate_up_proj.view(-1, hidden)).view(-1, experts, 2, inner)
        inner_NEI = F.silu(both[:, :, 0]) * both[:, :, 1] * gates_NE.unsqueeze(-1)
        return F.linear(inner_NEI.flatten(1), self.down_proj.transpose(0, 1).reshape(hidden, experts * inner))

    def _chosen_experts(self, x_ND: Tensor, choice_NK: Tensor, weights_NK: Tensor) -> Tensor:
        """Tokens sorted by expert, one product per expert that has any."""
        mix: Callable[..., Tensor] = _ChosenExperts.apply
        return mix(x_ND, choice_NK, weights_NK.to(x_ND.dtype), self.gate_up_proj, self.down_proj)


class _ChosenExperts(torch.autograd.Function):
    """Routed SwiGLU experts. By hand, because autograd's gradient of one expert of a fused weight fills a tensor as
    large as all of them.

    Letters as above, and S = N * K rows sorted by expert.
    """

    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> Tensor:
        x, choice, weights, gate_up, down = given
        order = choice.flatten().argsort(stable=True)
        counts = torch.bincount(choice.flatten(), minlength=len(down)).tolist()
        token = order // choice.shape[1]
        # Where each of a token's K rows stands among the sorted.
        place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=x.device)).view_as(choice)
        both, out = x.new_empty(len(order), gate_up.shape[1]), x.new_empty(len(order), x.shape[1])
        _by_expert(x[token], gate_up.transpose(1, 2), counts, both)
        gate, up = both.chunk(2, dim=-1)
        _by_expert(F.silu(gate) * up, down.transpose(1, 2), counts, out)
        ctx.save_for_backward(x, weights, gate_up, down, both, order, token, place)
        ctx.counts = counts
        return _weighted_sum(out, place, weights)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weights, gate_up, down, both, order, token, place = ctx.saved_tensors
        gate, up = both.chunk(2, dim=-1)
        silu, sorted_weights = F.silu(gate), weights.flatten()[order].unsqueeze(-1)
        rows, inner = grads[0][token], silu * up
        d_inner = torch.empty_like(inner)
        _by_expert(rows, down, ctx.counts, d_inner)
        d_weights = torch.empty_like(weights).flatten().index_copy_(0, order, torch.linalg.vecdot(inner, d_inner))
        d_down = _per_expert(rows, inner.mul_(sorted_weights), ctx.counts, torch.empty_like(down))
        d_inner.mul_(sorted_weights)
        d_both = torch.empty_like(both)
        torch.mul(d_inner, silu, out=d_both[:, inner.shape[1] :])
        d_both[:, : inner.shape[1]] = torch.ops.aten.silu_backward(d_inner.mul_(up), gate)
        d_gate_up = _per_expert(d_both, x[token], ctx.counts, torch.empty_like(gate_up))
        d_rows = rows
        _by_expert(d_both, gate_up, ctx.counts, d_rows)
        return _weighted_sum(d_rows, place, None), None, d_weights.view_as(weights), d_gate_up, d_down


def _by_expert(rows_Sa: Tensor, weight_Eab: Tensor, counts: list[int], out_Sb: Tensor) -> None:
    """Multiply each expert's rows by its weight."""
    parts = zip(torch.split(rows_Sa, counts), weight_Eab, torch.split(out_Sb, counts), strict=True)
    for rows, weight, out in parts:
        if len(rows):
            torch.mm(rows, weight, out=out)


def _per_expert(left_Sa: Tensor, right_Sb: Tensor, counts: list[int], out_Eab: Tensor) -> Tensor:
    """Each expert's left^T right; zero for one without rows."""
    parts = zip(torch.split(left_Sa, counts), torch.split(right_Sb, counts), out_Eab, strict=True)
    for left, right, out in parts:
        torch.mm(left.T, right, out=out)
    return out_Eab


def _weighted_sum(rows_SD: Tensor, place_NK: Tensor, weights_NK: Tensor | None) -> Tensor:
    """For each token the sum of its K rows, each times its weight."""
    return F.embedding_bag(place_NK, rows_SD, mode="sum", per_sample_weights=weights_NK)


class MixtureOfExperts(nn.Module):
    """Routed experts plus the shared expert that every token passes through."""

    def __init__(self, config: DeepseekV32Config) -> None:
        super().__init__()
        self.gate = Router(config)
        self.experts = Experts(config)
        self.shared_experts = SwiGLU(config.hidden_size, config.moe_intermediate_size * config.n_shared_experts)

    def forward(self, x: Tensor, forced: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Output shaped as ``x`` [..., D], and the expert choices [..., K]."""
        x_ND = x.reshape(-1, x.shape[-1])
        choice_NK, weights_NK = self.gate(x_ND, None if forced is None else forced.reshape(len(x_ND), -1))
        out = self.experts(x_ND, choice_NK, weights_NK) + self.shared_experts(x_ND)
        return out.view(x.shape), choice_NK.view(*x.shape[:-1], -1)


@torch.no_grad()
def update_routing_bias(router: Router, load_E: Tensor, speed: float) -> None:
    """Balance without an auxiliary loss (DeepSeek-V3, 2.1.2): experts below the mean load gain bias, above lose it.

    ``load_E`` counts the tokens each expert got since the last update; each bias moves by ``speed`` at most.
    """
    load = load_E.to(router.e_score_correction_bias.dtype)
    router.e_score_correction_bias += speed * (load.mean() - load).sign()
