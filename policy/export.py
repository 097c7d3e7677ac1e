"""To and from ``deepseek_v3``: the same model without its indexer.

In a context no longer than ``index_topk`` sparse attention selects everything and equals dense latent attention
exactly (DeepSeek-V3.2, section 2), so the indexer has no say there and the rest is a DeepSeek-V3, which software that
has no sparse attention runs: vLLM's CPU build among it, whose kernels take latents of 512 + 64 numbers only. A smaller
latent is padded to that width without changing the function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .checkpoint import load_weights, named_views
from .config import CONFIG_NAME, DeepseekV32Config, read_config
from .errors import ConfigError
from .model import DeepseekV32ForCausalLM
from .shards import write_checkpoint

MODEL_TYPE = "deepseek_v3"
ARCHITECTURE = "DeepseekV3ForCausalLM"
VLLM_CPU_LATENT = (512, 64)
"""``kv_lora_rank`` and ``qk_rope_head_dim`` for which vLLM's CPU build has kernels."""
_INDEXER = ".indexer."


def export_deepseek_v3(
    model: DeepseekV32ForCausalLM, folder: str | Path, *, latent: tuple[int, int] | None = None
) -> int:
    """Write ``model`` as a ``deepseek_v3`` checkpoint; returns the longest context, in tokens, in which it computes
    the same function.

    ``latent`` are the ``kv_lora_rank`` and ``qk_rope_head_dim`` to pad to (None: as they are). Raises ConfigError where
    the shape cannot be said or padded so, CheckpointError where the folder cannot be written.
    """
    config = model.config
    tensors = {name: view for name, view in named_views(model, config).items() if _INDEXER not in name}
    described = _v3_config(config)
    if latent is not None and latent != (config.kv_lora_rank, config.qk_rope_head_dim):
        tensors = _widened(config, tensors, *latent)
        described |= {"kv_lora_rank": latent[0], "qk_rope_head_dim": latent[1], "head_dim": latent[1]}
    write_checkpoint(folder, tensors, described)
    return min(config.index_topk, config.max_position_embeddings)


def import_deepseek_v3(
    folder: str | Path,
    *,
    index_n_heads: int = 64,
    index_head_dim: int = 128,
    index_topk: int = 2048,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> DeepseekV32ForCausalLM:
    """Read a ``deepseek_v3`` checkpoint; the indexer is new, drawn from ``seed``, and waits for its warm-up.

    Raises ConfigError or CheckpointError with one line saying what is off.
    """
    path = Path(folder) / CONFIG_NAME
    data = read_config(path)
    if data.get("model_type") != MODEL_TYPE:
        raise ConfigError(
            f"model config {path} is not of model_type {MODEL_TYPE!r}; read V3.2 ones with from_pretrained"
        )
    config = DeepseekV32Config.from_dict(
        {key: value for key, value in data.items() if key != "model_type"}
        | {"index_n_heads": index_n_heads, "index_head_dim": index_head_dim, "index_topk": index_topk}
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DeepseekV32ForCausalLM(config, dtype=dtype)
    load_weights(model, config, folder, without=_INDEXER)
    if data.get("rope_interleave") is False:
        _interleave(model)
    return model


@torch.no_grad()
def _interleave(model: DeepseekV32ForCausalLM) -> None:
    """Of rotary numbers whose halves turn together make neighbours that do: another order, the same function."""
    config = model.config
    order = torch.arange(config.qk_rope_head_dim).view(2, -1).T.flatten()
    for name, tensor in model.state_dict().items():
        module = name.rpartition(".self_attn.")[2]
        if module.startswith("kv_a_proj_with_mqa."):
            rotary = tensor[config.kv_lora_rank :]
            rotary.copy_(rotary[order])
        elif module in ("q_b_proj.weight", "q_proj.weight"):
            rotary = tensor.view(config.num_attention_heads, config.qk_head_dim, -1)[:, config.qk_nope_head_dim :]
            rotary.copy_(rotary[:, order])


def _v3_config(config: DeepseekV32Config) -> dict[str, Any]:
    dense_first = tuple(
        "dense" if n < config.first_k_dense_replace else "sparse" for n in range(config.num_hidden_layers)
    )
    if config.mlp_layer_types not in (None, dense_first):
        raise ConfigError(
            f"config mlp_layer_types {list(config.mlp_layer_types or ())} is not {config.first_k_dense_replace} dense "
            f"layers (first_k_dense_replace) and then sparse ones: {MODEL_TYPE} knows no other order"
        )
    described = replace(config, mlp_layer_types=None, num_nextn_predict_layers=0).to_dict()
    kept = {name: value for name, value in described.items() if not name.startswith("index_")}
    return kept | {"model_type": MODEL_TYPE, "architectures": [ARCHITECTURE], "rope_interleave": True}


def _widened(config: DeepseekV32Config, tensors: Mapping[str, Tensor], rank: int, rotary: int) -> dict[str, Tensor]:
    """The same function with a wider latent: the new numbers are zero, and what a width scales is scaled back."""
    narrow, ratio = config.qk_rope_head_dim, rotary // config.qk_rope_head_dim
    if rank < config.kv_lora_rank or rotary % narrow:
        raise ConfigError(
            f"a latent of {config.kv_lora_rank} + {narrow} numbers cannot be padded to {rank} + {rotary}: the first "
            "must not shrink, the second must be a multiple"
        )
    if ratio > 1 and config.rope_parameters["rope_type"] != "default":
        raise ConfigError(f"YaRN's frequencies depend on qk_rope_head_dim: {narrow} cannot become {rotary}")
    # Pair i of R turns by theta^(-2i/R), which is pair i * ratio of the wider ones.
    pairs = torch.arange(narrow // 2) * ratio
    places = torch.stack((2 * pairs, 2 * pairs + 1), dim=1).flatten()
    grow = (rank / config.kv_lora_rank) ** 0.5  # the norm divides by a mean over more numbers
    sharpen = ((config.qk_nope_head_dim + rotary) / config.qk_head_dim) ** 0.5  # softmax divides by the head's width
    out = dict(tensors)
    for name, tensor in tensors.items():
        module = name.rpartition(".self_attn.")[2]
        if module.startswith("kv_a_proj_with_mqa."):
            latent, turned = tensor[: config.kv_lora_rank] * grow, tensor[config.kv_lora_rank :]
            out[name] = torch.cat((_padded(latent, rank), _scattered(turned, places, rotary)))
        elif module == "kv_a_layernorm.weight":
            out[name] = _padded(tensor / grow, rank)
        elif module == "kv_b_proj.weight":
            out[name] = _padded(tensor.T, rank).T
        elif module in ("q_b_proj.weight", "q_proj.weight"):
            heads = (tensor * sharpen).unflatten(0, (config.num_attention_heads, config.qk_head_dim)).transpose(0, 1)
            plain, turned = heads[: config.qk_nope_head_dim], heads[config.qk_nope_head_dim :]
            out[name] = torch.cat((plain, _scattered(turned, places, rotary))).transpose(0, 1).flatten(0, 1)
    return out


def _padded(rows: Tensor, count: int) -> Tensor:
    return _scattered(rows, torch.arange(len(rows)), count)


def _scattered(rows: Tensor, places: Tensor, count: int) -> Tensor:
    """Zeros [count, ...] with ``rows`` in ``places``."""
    return rows.new_zeros(count, *rows.shape[1:]).index_copy_(0, places.to(rows.device), rows)
