"""A layer's weights as cached inference wants them: folded, fused and laid out once per weight load.

Everything that reads the hidden state is one product; the softmax scale sits in the query's weights; the halves that
the indexer's rotation pairs lie side by side, so that every rotation is one complex multiplication.

Letters: N tokens, D hidden, H heads, J index heads, C kv latent, R rotary dims, W = C + R, Q q latent, K experts per
token, S cached tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from .config import DeepseekV32Config
from .model import CausalLayer
from .moe import MixtureOfExperts, SwiGLU
from .rope import softmax_scale

_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")  # type: ignore[no-untyped-call]

# How many rows a packed weight is laid out for; any number works.
_TYPICAL_ROWS = 32


def linear(x_NK: Tensor, weight_MK: Tensor, bias_M: Tensor | None = None) -> Tensor:
    """``F.linear``. In float32 on a CPU by oneDNN, which is two to three times as fast as what torch takes there."""
    if _ONEDNN and x_NK.dtype == torch.float32 and x_NK.device.type == "cpu" and len(x_NK) > 1 and weight_MK.numel():
        return cast(Tensor, torch.ops.mkldnn._linear_pointwise(x_NK, weight_MK, bias_M, "none", [], ""))
    return F.linear(x_NK, weight_MK, bias_M)


class Matrix:
    """A weight [M, K] that multiplies again and again; on a CPU laid out once as oneDNN wants it (a copy)."""

    def __init__(self, weight_MK: Tensor, bias_M: Tensor | None = None, *, packed: bool = False) -> None:
        self.weight, self.bias = weight_MK.detach(), None if bias_M is None else bias_M.detach()
        self.packed = (
            packed and _ONEDNN and weight_MK.numel() > 0 and weight_MK.dtype in (torch.float32, torch.bfloat16)
        )
        if self.packed:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight.contiguous(), _TYPICAL_ROWS)

    def __call__(self, x_NK: Tensor) -> Tensor:
        """``x @ weight.T + bias``, [N, M]."""
        if self.packed:
            return cast(Tensor, torch.ops.mkldnn._linear_pointwise(x_NK, self.weight, self.bias, "none", [], ""))
        return linear(x_NK, self.weight, self.bias)


def heads_linear(x_HNK: Tensor, weight_HMK: Tensor) -> Tensor:
    """``linear`` per head: [H, N, M]."""
    if x_HNK.dtype != torch.float32 or x_HNK.shape[1] == 1:
        return torch.bmm(x_HNK, weight_HMK.transpose(1, 2))
    return torch.stack([linear(x, weight) for x, weight in zip(x_HNK, weight_HMK, strict=True)])


def rotate(x_NhR: Tensor, turns_NR: Tensor) -> Tensor:
    """Turn neighbouring numbers of the last dim together by ``turns_NR``, complex [N, R / 2]: [N, h, R]."""
    wide = x_NhR.to(torch.float64 if turns_NR.dtype == torch.complex128 else torch.float32)
    pairs = torch.view_as_complex(wide.unflatten(-1, (-1, 2)).clone(memory_format=torch.contiguous_format))  # type: ignore[no-untyped-call]
    return torch.view_as_real(pairs * turns_NR.unsqueeze(1)).flatten(-2).to(x_NhR.dtype)


@dataclass(frozen=True)
class Projected:
    """What one layer makes of N tokens: the normed input, the q latent, scaled query heads, and what is cached."""

    normed_ND: Tensor
    q_latent_NQ: Tensor
    nope_NHd: Tensor
    rotary_NHR: Tensor
    latent_NW: Tensor
    index_key_Nd: Tensor


class FoldedLayer:
    """One layer of the model; ``layer`` keeps its own weights, those that were laid out anew are copies."""

    def __init__(self, layer: CausalLayer, config: DeepseekV32Config, *, packed: bool = False) -> None:
        self.config, self.layer = config, layer
        attention, index = layer.self_attn, layer.self_attn.indexer
        pairs = _neighbours(config)
        self.index_scale, self.index_shift = (part.detach()[pairs] for part in (index.k_norm.weight, index.k_norm.bias))
        first = attention.q_proj if config.q_lora_rank is None else attention.q_a_proj
        sources = [first.weight, attention.kv_a_proj_with_mqa.weight, index.wk.weight[pairs]]
        if config.q_lora_rank is None:
            sources[0] = self._scaled_query(first.weight)
        bias = None
        if config.attention_bias:
            biases = [part.bias for part in (first, attention.kv_a_proj_with_mqa)]
            known = [part.new_zeros(len(part)) if own is None else own for part, own in zip(sources, biases)]  # noqa: B905
            bias = torch.cat([*known, sources[2].new_zeros(len(pairs))])
        self.into = Matrix(torch.cat(sources), bias, packed=packed)
        self.widths = [len(part) for part in sources]
        self.query = None
        if config.q_lora_rank is not None:
            self.query = Matrix(self._scaled_query(attention.q_b_proj.weight), packed=packed)
        self.out = Matrix(attention.o_proj.weight, attention.o_proj.bias, packed=packed)
        unfold = attention.kv_b_proj.weight.detach().unflatten(0, (config.num_attention_heads, -1))  # type: ignore[no-untyped-call]
        self.unfold_key, self.unfold_value = (
            part.contiguous() for part in unfold.split([config.qk_nope_head_dim, config.v_head_dim], dim=1)
        )
        self.absorb_key = self.unfold_key.transpose(1, 2).contiguous()
        self.index_query = index.wq_b.weight.detach().unflatten(0, (index.heads, -1))[:, pairs].flatten(0, 1)  # type: ignore[no-untyped-call]
        self.router = layer.mlp.gate if isinstance(layer.mlp, MixtureOfExperts) else None
        shared = layer.mlp.shared_experts if isinstance(layer.mlp, MixtureOfExperts) else layer.mlp
        assert isinstance(shared, SwiGLU)
        # A mixture may have no shared expert.
        self.gate_up = self.down = None
        if shared.down_proj.weight.numel():
            self.gate_up = Matrix(torch.cat((shared.gate_proj.weight, shared.up_proj.weight)), packed=packed)
            self.down = Matrix(shared.down_proj.weight, packed=packed)
        routed = layer.mlp.experts if isinstance(layer.mlp, MixtureOfExperts) else None
        self.expert_gate_up = [Matrix(weight, packed=packed) for weight in (routed.gate_up_proj if routed else ())]
        self.expert_down = [Matrix(weight, packed=packed) for weight in (routed.down_proj if routed else ())]

    def _scaled_query(self, weight: Tensor) -> Tensor:
        """Rows of a query projection: all heads' nope parts, times the softmax scale, then all rotary parts."""
        config = self.config
        heads = weight.detach().unflatten(0, (config.num_attention_heads, -1))  # type: ignore[no-untyped-call]
        nope, rotary = heads.split([config.qk_nope_head_dim, config.qk_rope_head_dim], dim=1)
        return torch.cat((nope.flatten(0, 1) * softmax_scale(config), rotary.flatten(0, 1)))

    def project(self, x_ND: Tensor, query_turns: Tensor, turns: Tensor) -> Projected:
        """Queries, and the rows of the cache; ``query_turns`` are ``turns`` times the softmax scale."""
        config, attention = self.config, self.layer.self_attn
        heads, rank = config.num_attention_heads, config.kv_lora_rank
        normed = self.layer.input_layernorm(x_ND)
        first, joint, key = self.into(normed).split(self.widths, dim=-1)  # type: ignore[no-untyped-call]
        latent = normed if self.query is None else attention.q_a_layernorm(first)
        query = first if self.query is None else self.query(latent)
        nope, rotary = query.split([heads * config.qk_nope_head_dim, heads * config.qk_rope_head_dim], dim=-1)
        shared = rotate(joint[:, None, rank:], turns)[:, 0]
        normed_key = F.layer_norm(key, key.shape[-1:], self.index_scale, self.index_shift, attention.indexer.k_norm.eps)
        return Projected(
            normed,
            latent,
            nope.unflatten(-1, (heads, -1)),
            rotate(rotary.unflatten(-1, (heads, -1)), query_turns),
            torch.cat((attention.kv_a_layernorm(joint[:, :rank]), shared), dim=-1),
            self._index_rotated(normed_key.unsqueeze(1), turns)[:, 0],
        )

    def _index_rotated(self, x_NJd: Tensor, turns: Tensor) -> Tensor:
        rotary = self.config.qk_rope_head_dim
        return torch.cat((rotate(x_NJd[..., :rotary], turns), x_NJd[..., rotary:]), dim=-1)

    def index_queries(self, normed_ND: Tensor, latent_NQ: Tensor, turns: Tensor) -> tuple[Tensor, Tensor]:
        """The indexer's queries [N, J, d] and head weights, float32 [N, J]."""
        index = self.layer.self_attn.indexer
        flat = linear(latent_NQ, self.index_query)
        return self._index_rotated(flat.unflatten(-1, (index.heads, -1)), turns), index.head_weights(normed_ND)  # type: ignore[no-untyped-call]

    def absorbed(self, nope_NHd: Tensor, rotary_NHR: Tensor) -> Tensor:
        """Queries that ask latents directly, [N, H, W]."""
        folded = heads_linear(nope_NHd.transpose(0, 1).contiguous(), self.absorb_key)
        return torch.cat((folded.transpose(0, 1), rotary_NHR), dim=-1)

    def values(self, mixed_HNC: Tensor) -> Tensor:
        """Heads' outputs [H, N, v] from mixed latents."""
        return heads_linear(mixed_HNC, self.unfold_value)

    def unfold(self, latent_SW: Tensor) -> tuple[Tensor, Tensor]:
        """Keys [H, S, nope + R] and values, turned [H, v, S], of cached tokens."""
        config = self.config
        latent, rotary = latent_SW.split([config.kv_lora_rank, config.qk_rope_head_dim], dim=-1)  # type: ignore[no-untyped-call]
        latent = latent.contiguous()
        nope = linear(latent, self.unfold_key.flatten(0, 1)).unflatten(-1, (config.num_attention_heads, -1))  # type: ignore[no-untyped-call]
        values = linear(latent, self.unfold_value.flatten(0, 1)).unflatten(-1, (config.num_attention_heads, -1))  # type: ignore[no-untyped-call]
        shared = rotary.unsqueeze(0).expand(config.num_attention_heads, -1, -1)
        return torch.cat((nope.transpose(0, 1), shared), dim=-1), values.permute(1, 2, 0).contiguous()

    def finish(self, x_ND: Tensor, attended_NHv: Tensor, *, tiled: bool) -> tuple[Tensor, Tensor | None]:
        """The hidden state after this layer, and the expert choices [N, K] (None in a dense layer)."""
        x_ND = x_ND + self.out(attended_NHv.flatten(1))
        normed = self.layer.post_attention_layernorm(x_ND)
        if self.gate_up is not None and self.down is not None:
            x_ND = x_ND + self.down(_swiglu(self.gate_up(normed)))
        if self.router is None:
            return x_ND, None
        choice_NK, weights_NK = self.router(normed)
        experts = self._experts_on_all if tiled else self._experts
        return x_ND + experts(normed, choice_NK, weights_NK.to(x_ND.dtype)), choice_NK

    def _experts(self, x_ND: Tensor, choice_NK: Tensor, weights_NK: Tensor) -> Tensor:
        """Tokens sorted by expert, two products per expert that has any."""
        flat = choice_NK.flatten()
        order = flat.argsort(stable=True)
        counts = torch.bincount(flat, minlength=len(self.expert_down)).tolist()
        rows = x_ND.index_select(0, order // choice_NK.shape[1]).split(counts)  # type: ignore[no-untyped-call]
        busy = [expert for expert, number in enumerate(counts) if number]
        inner = _swiglu(torch.cat([self.expert_gate_up[expert](rows[expert]) for expert in busy])).split(counts)  # type: ignore[no-untyped-call]
        outer = torch.cat([self.expert_down[expert](inner[expert]) for expert in busy])
        back = torch.empty_like(outer).index_copy_(0, order, outer).view(*choice_NK.shape, -1)
        return torch.bmm(weights_NK.unsqueeze(1), back).squeeze(1)

    def _experts_on_all(self, x_ND: Tensor, choice_NK: Tensor, weights_NK: Tensor) -> Tensor:
        """Each expert that is chosen at all on all rows: more work, but shapes do not depend on the choices."""
        out = torch.zeros_like(x_ND).unsqueeze(1).repeat(1, choice_NK.shape[1], 1)
        for expert in choice_NK.unique().tolist():  # type: ignore[no-untyped-call]
            y = self.expert_down[expert](_swiglu(self.expert_gate_up[expert](x_ND)))
            row, place = (choice_NK == expert).nonzero(as_tuple=True)
            out[row, place] = y[row] * weights_NK[row, place].unsqueeze(-1)
        total = out[:, 0]
        for place in range(1, choice_NK.shape[1]):
            total = total + out[:, place]
        return total


def _swiglu(gate_up: Tensor) -> Tensor:
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate).mul_(up)


def _neighbours(config: DeepseekV32Config) -> Tensor:
    """Order of an index head's dims in which the pairs that turn together are neighbours."""
    half = config.qk_rope_head_dim // 2
    pairs = torch.arange(2 * half).view(2, half).T.flatten()
    return torch.cat((pairs, torch.arange(2 * half, config.index_head_dim)))
