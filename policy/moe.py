"""Feed-forward blocks: the plain SwiGLU and the mixture of experts with sigmoid, group-limited, bias-corrected routing.

Letters: N tokens, D hidden, I intermediate, E experts, G groups, K experts per token.
"""

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
        """Expert choices [N, K] and their weights [N, K] (float32); ``forced_NK`` overrides the choice alone."""
        scores_NE = F.linear(x_ND.float(), self.weight.float()).sigmoid()
        choice_NK = self._choose(scores_NE.detach()) if forced_NK is None else forced_NK
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
        order = choice_NK.flatten().argsort(stable=True)
        token = order // choice_NK.shape[1]
        counts = torch.bincount(choice_NK.flatten(), minlength=len(self.down_proj)).tolist()
        weights = weights_NK.flatten()[order].unsqueeze(-1).to(x_ND.dtype)
        outputs = []
        for expert, rows in enumerate(torch.split(x_ND[token], counts)):
            if len(rows):
                gate, up = F.linear(rows, self.gate_up_proj[expert]).chunk(2, dim=-1)
                outputs.append(F.linear(F.silu(gate) * up, self.down_proj[expert]))
        return torch.zeros_like(x_ND).index_add_(0, token, torch.cat(outputs) * weights)


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
