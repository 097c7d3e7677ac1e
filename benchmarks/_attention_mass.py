"""How much attention any selection of so many positions could hold, by definition: the ceiling of a selector's recall.

Letters: T positions, H heads, D hidden, d head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from palestra.policy.attention import LatentAttention
from palestra.policy.batches import Sample
from palestra.policy.model import DeepseekV32ForCausalLM
from palestra.policy.rope import rotate_interleaved, softmax_scale


@torch.no_grad()
def best_mass(model: DeepseekV32ForCausalLM, samples: Sequence[Sample]) -> list[float]:
    """For each layer of a dense model without q-LoRA: the attention mass of the best `index_topk` positions of each
    query that sees more, mean over queries."""
    layers = [module for module in model.modules() if isinstance(module, LatentAttention)]
    held: list[list[Tensor]] = [[] for _ in layers]

    def look(layer: LatentAttention, given: tuple[Any, ...]) -> None:
        mean_TT = _attention(layer, *given[:3]).mean(dim=0)[layer.config.index_topk :]
        held[layers.index(layer)].append(mean_TT.topk(layer.config.index_topk, dim=-1).values.sum(dim=-1))

    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    for sample in samples:
        model(torch.tensor([sample.tokens[:-1]]), sparse=False, return_logits=False)
    for hook in hooks:
        hook.remove()
    return [float(torch.cat(rows).mean()) for rows in held]


def _attention(layer: LatentAttention, x_TD: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Softmax of every query over what it sees, [H, T, T]."""
    config = layer.config
    q_THd = layer.q_proj(x_TD).unflatten(-1, (config.num_attention_heads, -1))
    q_nope, q_rotary = torch.split(q_THd, [config.qk_nope_head_dim, config.qk_rope_head_dim], dim=-1)
    latent, k_rotary = torch.split(
        layer.kv_a_proj_with_mqa(x_TD), [config.kv_lora_rank, config.qk_rope_head_dim], dim=-1
    )
    unfolded = layer.kv_b_proj(layer.kv_a_layernorm(latent)).unflatten(-1, (config.num_attention_heads, -1))
    by_content = torch.einsum("qhd,khd->hqk", q_nope, unfolded[..., : config.qk_nope_head_dim])
    turned = rotate_interleaved(q_rotary, cos.unsqueeze(-2), sin.unsqueeze(-2))
    by_place = torch.einsum("qhd,kd->hqk", turned, rotate_interleaved(k_rotary, cos, sin))
    hidden = torch.ones(len(x_TD), len(x_TD), dtype=torch.bool).triu(diagonal=1)
    return ((by_content + by_place) * softmax_scale(config)).masked_fill(hidden, -torch.inf).softmax(dim=-1)
