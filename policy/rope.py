"""Rotary position embedding: inverse frequencies with and without YaRN, and the two ways DeepSeek-V3.2 pairs numbers.

The main attention rotates neighbours (interleaved), the lightning indexer rotates halves (half-split).
Letters: B batch, T time, H heads, R rotary dims, P positions.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .config import DeepseekV32Config


def inverse_frequencies(config: DeepseekV32Config) -> Tensor:
    """Angular step per position of each rotary pair, float32 [R/2] (YaRN: Peng et al. 2023, section 3.2)."""
    rope, dim = config.rope_parameters, config.qk_rope_head_dim
    wavelengths: Tensor = rope["rope_theta"] ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    if rope["rope_type"] == "default":
        return 1.0 / wavelengths
    low, high = _yarn_ramp_bounds(rope, dim)
    ramp = ((torch.arange(dim // 2, dtype=torch.float32) - low) / (high - low)).clamp(0, 1)
    keep = 1 - ramp
    interpolated: Tensor = 1.0 / (float(rope["factor"]) * wavelengths)
    return interpolated * (1 - keep) + (1.0 / wavelengths) * keep


def _yarn_ramp_bounds(rope: Mapping[str, Any], dim: int) -> tuple[float, float]:
    """Pairs below the first bound turn often enough to be kept, pairs above the second are interpolated."""

    def pair_with_turns(turns: float) -> float:
        span = rope["original_max_position_embeddings"] / (turns * 2 * math.pi)
        return dim * math.log(span) / (2 * math.log(float(rope["rope_theta"])))

    low, high = pair_with_turns(rope.get("beta_fast") or 32), pair_with_turns(rope.get("beta_slow") or 1)
    if rope.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dim - 1)
    return low, high + 0.001 if low == high else high


def _mscale(factor: float, mscale: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0


def rotation_scale(config: DeepseekV32Config) -> float:
    """What YaRN multiplies cosines and sines by; 1 without YaRN."""
    rope = config.rope_parameters
    if rope["rope_type"] == "default":
        return 1.0
    if rope.get("attention_factor") is not None:
        return float(rope["attention_factor"])
    mscale, all_dim = rope.get("mscale"), rope.get("mscale_all_dim")
    if mscale and all_dim:
        return _mscale(rope["factor"], mscale) / _mscale(rope["factor"], all_dim)
    return _mscale(rope["factor"], 1.0)


def softmax_scale(config: DeepseekV32Config) -> float:
    """Scale of the main attention's scores: (nope + rope)^-0.5, times mscale squared under YaRN."""
    rope = config.rope_parameters
    scale: float = config.qk_head_dim**-0.5
    if rope["rope_type"] == "default" or not rope.get("mscale_all_dim"):
        return scale
    mscale: float = _mscale(rope["factor"], rope["mscale_all_dim"])
    return scale * mscale * mscale


def rotation_table(config: DeepseekV32Config, length: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of positions 0..length-1, each float32 [length, R/2]."""
    angles = torch.arange(length, dtype=torch.float32)[:, None] * inverse_frequencies(config)
    scale = rotation_scale(config)
    return angles.cos() * scale, angles.sin() * scale


def rotate_pairs(first: Tensor, second: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate (first, second) by the angles and lay all firsts before all seconds; last dims R/2 each -> R."""
    return torch.cat(
        (torch.addcmul(first * cos, second, sin, value=-1), torch.addcmul(second * cos, first, sin)), dim=-1
    )


def rotate_interleaved(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Main attention: neighbours (0,1), (2,3), ... of the last dim turn together.

    The result holds all first members, then all second ones: a fixed reordering that a dot product of two such vectors
    does not see.
    """
    return rotate_pairs(x[..., 0::2], x[..., 1::2], cos, sin)


def rotate_half_split(x: Tensor, cos: Tensor, sin: Tensor, rotary_dim: int) -> Tensor:
    """Indexer: dims i and i + R/2 of the FIRST ``rotary_dim`` dims turn together; the rest pass unchanged."""
    half = rotary_dim // 2
    first, second = x[..., :half], x[..., half:rotary_dim]
    turned = (torch.addcmul(first * cos, second, sin, value=-1), torch.addcmul(second * cos, first, sin))
    return torch.cat((*turned, x[..., rotary_dim:]), dim=-1)
