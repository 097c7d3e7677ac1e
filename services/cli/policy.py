"""`palestra policy inspect`: what a checkpoint or a config describes, without building it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options as opt
from .console import Console

if TYPE_CHECKING:
    from torch import nn

    from ...policy.checkpoint import StoredWeights
    from ...policy.config import DeepseekV32Config

_PARTS = (  # the first whose text is in a tensor's name has it
    ("indexer", ".indexer."),
    ("norms", "norm."),
    ("attention", ".self_attn."),
    ("routed experts", ".mlp.experts."),
    ("shared experts", ".mlp.shared_experts."),
    ("router", ".mlp.gate."),
    ("dense feed-forward", ".mlp."),
    ("embedding", "embed_tokens"),
    ("output projection", "lm_head"),
)
_CACHE_BYTES = {"bfloat16": 2, "float32": 4}
_SCALES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


@dataclass(frozen=True)
class Part:
    """Parameters of one kind of module, and how many of them one token meets."""

    total: int = 0
    active: int = 0


@dataclass(frozen=True)
class Inspection:
    """What `palestra policy inspect` says. Cache sizes are bytes per token over all layers, by dtype."""

    source: str
    config: DeepseekV32Config
    parts: dict[str, Part]
    quantized: str
    stored: StoredWeights | None = None
    dtype: str | None = None
    total: int = field(init=False)
    active: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", sum(part.total for part in self.parts.values()))
        object.__setattr__(self, "active", sum(part.active for part in self.parts.values()))

    @property
    def cache_bytes(self) -> dict[str, dict[str, int]]:
        numbers = {"latent": self.config.latent_dim, "index keys": self.config.index_head_dim}
        layers = self.config.num_hidden_layers
        return {
            dtype: {name: size * number * layers for name, number in numbers.items()}
            | {"all": size * sum(numbers.values()) * layers}
            for dtype, size in _CACHE_BYTES.items()
        }


def register(app: typer.Typer) -> None:
    """Add the group."""
    policy = typer.Typer(no_args_is_help=True, help="Checkpoints of policies: inspect.", rich_markup_mode=None)
    policy.callback()(lambda: None)  # a group of one command is still a group
    policy.command("inspect")(inspect)
    app.add_typer(policy, name="policy")


def inspect(
    where: Annotated[Path, typer.Argument(metavar="DIR", help="A checkpoint folder, or a config.json alone.")],
    config_only: Annotated[
        bool, typer.Option("--config-only", help="Do not look at the weights: by default every number is read.")
    ] = False,
    as_json: opt.Json = False,
) -> None:
    """Show a checkpoint's shape, parameters and cache size; check its weights and tokenizer."""
    console = Console(as_json)
    found = examine(where, weights=not config_only)
    console.data(_report(found))
    for row in _lines(found):
        console.line(row)
    rows = [[name, f"{part.total:,}", f"{part.active:,}"] for name, part in found.parts.items() if part.total]
    rows.append(["all", f"{found.total:,}", f"{found.active:,}"])
    console.table("", ["parameters", "total", "active per token"], rows)
    caches = [
        [dtype, f"{sizes['latent']:,}", f"{sizes['index keys']:,}", f"{sizes['all']:,}"]
        for dtype, sizes in found.cache_bytes.items()
    ]
    console.table("", ["cache, bytes per token", "latent", "index keys", "all"], caches)


def examine(where: Path, *, weights: bool = True) -> Inspection:
    """Read a config, build its model without memory, and compare it with what else is in the folder.

    Raises ConfigError, CheckpointError, TokenizerError or BadRequest for the first thing that is off.
    """
    from ...policy.checkpoint import check_weights
    from ...policy.config import CONFIG_NAME, DeepseekV32Config, read_config
    from ...policy.model import DeepseekV32ForCausalLM
    from ..policies import check_vocabulary

    alone = where.is_file()
    data = read_config(where if alone else where / CONFIG_NAME)
    quantization = data.pop("quantization_config", None)
    quantized = str(quantization.get("quant_method", "?")) if isinstance(quantization, dict) else ""
    config = DeepseekV32Config.from_dict(data)
    model = DeepseekV32ForCausalLM(config, device="meta")
    dtype = data.get("dtype") or data.get("torch_dtype")
    found = Inspection(str(where), config, _parts(model, config), quantized, dtype=str(dtype) if dtype else None)
    if alone:
        return found
    if (where / "tokenizer.json").exists():
        check_vocabulary(where, config)
    if quantized or not weights or not any(where.glob("*.safetensors*")):
        return found
    return replace(found, stored=check_weights(model, config, where, values=True))


def _parts(model: nn.Module, config: DeepseekV32Config) -> dict[str, Part]:
    """Parameters by part. A token meets the experts it is routed to, and one row of the embedding."""
    parts = {name: Part() for name, _ in _PARTS}
    for name, parameter in model.named_parameters():
        part = next(part for part, mark in _PARTS if mark in name)
        total = active = parameter.numel()
        if part == "routed experts":
            active = total // config.n_routed_experts * config.num_experts_per_tok
        elif part == "embedding" and not config.tie_word_embeddings:
            active = config.hidden_size
        parts[part] = Part(parts[part].total + total, parts[part].active + active)
    return parts


def _report(found: Inspection) -> dict[str, Any]:
    """For machines."""
    config = found.config
    return {
        "source": found.source,
        "config": config.to_dict(),
        "layers": {"dense": config.num_hidden_layers - len(config.moe_layers), "moe": len(config.moe_layers)},
        "parameters": {"total": found.total, "active": found.active}
        | {"parts": {name: asdict(part) for name, part in found.parts.items()}},
        "cache_bytes_per_token": found.cache_bytes,
        "index_topk": config.index_topk,
        "context": config.max_position_embeddings,
        "dtype": found.dtype,
        "quantized": found.quantized or None,
        "weights": asdict(found.stored) if found.stored else None,
    }


def _lines(found: Inspection) -> list[str]:
    """For people: everything that is no table."""
    config = found.config
    sparse = len(config.moe_layers)
    rope = config.rope_parameters
    rotary = f", YaRN x {rope['factor']:g}" if rope["rope_type"] == "yarn" else ""
    lines = [
        f"{found.source}: DeepSeek-V3.2 architecture, {_short(found.total)} parameters, "
        f"{_short(found.active)} active per token",
        f"layers     {config.num_hidden_layers}: {config.num_hidden_layers - sparse} dense, {sparse} with experts "
        f"({config.n_routed_experts} routed, {config.num_experts_per_tok} per token, {config.n_shared_experts} shared)",
        f"attention  {config.num_attention_heads} heads; each token sees the {config.index_topk:,} that "
        f"{config.index_n_heads} index heads choose (index_topk)",
        f"context    {config.max_position_embeddings:,} tokens{rotary}; vocabulary {config.vocab_size:,}",
    ]
    if found.dtype or found.quantized:
        remedy = f"quantised ({found.quantized}): convert it to bfloat16 to use it"
        lines.append(f"dtype      {remedy if found.quantized else found.dtype}")
    if found.stored:
        files = found.stored.files
        held = ", ".join(f"{count} {dtype}" for dtype, count in sorted(found.stored.dtypes.items()))
        named = files[0] if len(files) == 1 else f"{len(files)} files from {files[0]}"
        lines.append(f"weights    {named}, {found.stored.size:,} bytes; tensors: {held}; all finite")
    elif not found.quantized:
        lines.append("weights    not looked at: there are none beside it, or --config-only")
    return lines


def _short(number: int) -> str:
    """671877929216 -> 671.9 B."""
    for scale, letter in _SCALES:
        if number >= scale:
            return f"{number / scale:.1f} {letter}"
    return str(number)
