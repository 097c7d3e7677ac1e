"""Hugging Face checkpoints of the model: which tensor on disk is which of the model's, and whether they fit.

In memory the routed experts are fused; on disk each has its own ``gate_proj``, ``up_proj`` and ``down_proj`` (a file
that keeps them fused is read too). Both directions go through ``named_views``, which gives every name on disk a view
into the model's memory.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from .config import DeepseekV32Config
from .errors import CheckpointError
from .shards import MAX_SHARD_SIZE, open_weights, write_checkpoint

_LAYER = re.compile(r"model\.layers\.(\d+)\.")
_PAIR = "its config.json and its weights must be of one checkpoint"
_READABLE = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class StoredWeights:
    """What a checkpoint's weight files hold: their names, bytes in all, and the number of tensors of each dtype."""

    files: tuple[str, ...]
    size: int
    dtypes: Mapping[str, int]


def named_views(model: nn.Module, config: DeepseekV32Config, stored: Container[str] = ()) -> dict[str, Tensor]:
    """Each tensor name of the checkpoint with a view of the model's own memory, in the model's order.

    Experts have a name each, except where ``stored`` holds the fused one.
    """
    views: dict[str, Tensor] = {}
    for name, tensor in model.state_dict(keep_vars=False).items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        head, _, leaf = name.rpartition(".experts.")
        if leaf not in ("gate_up_proj", "down_proj") or name in stored:
            views[name] = tensor
            continue
        for expert, weights in enumerate(tensor):
            prefix = f"{head}.experts.{expert}"
            if leaf == "down_proj":
                views[f"{prefix}.down_proj.weight"] = weights
            else:
                gate, up = weights.chunk(2)
                views[f"{prefix}.gate_proj.weight"], views[f"{prefix}.up_proj.weight"] = gate, up
    return views


def check_weights(
    model: nn.Module, config: DeepseekV32Config, folder: str | Path, *, without: str | None = None, values: bool = False
) -> StoredWeights:
    """Compare the checkpoint in ``folder`` with ``model``, which may be on the meta device; says what is stored.

    Only headers are read unless ``values``: then every number too, one tensor at a time.
    Raises CheckpointError naming the first tensor that is missing, stored twice, unknown, of the wrong shape, not a
    plain floating-point one or (``values``) non-finite, or the file that cannot be read.
    """
    with open_weights(Path(folder)) as files:
        holders = _matched(model, config, files, without)[1]
        if values:
            for name in holders:
                _read(files, holders[name], name)
        kinds = [_dtype(file, name) for file in files.values() for name in file.keys()]  # noqa: SIM118
        size = sum(path.stat().st_size for path in files if path.exists())
    return StoredWeights(tuple(path.name for path in files), size, {kind: kinds.count(kind) for kind in set(kinds)})


def load_weights(
    model: nn.Module, config: DeepseekV32Config, folder: str | Path, *, without: str | None = None
) -> None:
    """Fill ``model`` from the checkpoint in ``folder``, converting to the model's own dtypes. Tensors with ``without``
    in their name are not in the checkpoint: they keep what the model has.

    Raises CheckpointError as ``check_weights`` does, before anything is changed where names, shapes or dtypes are off.
    """
    with open_weights(Path(folder)) as files, torch.no_grad():
        views, holders = _matched(model, config, files, without)
        for name, view in views.items():
            view.copy_(_read(files, holders[name], name))


def save_weights(
    model: nn.Module, config: DeepseekV32Config, folder: str | Path, max_shard_size: int | str = MAX_SHARD_SIZE
) -> None:
    """Write ``model`` as ``write_checkpoint`` does."""
    write_checkpoint(folder, named_views(model, config), config.to_dict(), max_shard_size)


def _matched(
    model: nn.Module, config: DeepseekV32Config, files: Mapping[Path, Any], without: str | None
) -> tuple[dict[str, Tensor], dict[str, Path]]:
    """The model's view for each tensor to be read, and the file that holds it; CheckpointError for the first misfit."""
    holders: dict[str, Path] = {}
    for path, file in files.items():
        for name in file.keys():  # noqa: SIM118
            if name in holders:
                raise CheckpointError(f"checkpoint tensor {name} is in both {holders[name]} and {path}; keep one")
            holders[name] = path
    views = named_views(model, config, holders)
    views = {name: view for name, view in views.items() if without is None or without not in name}
    missing = [name for name in views if name not in holders]
    if missing:
        raise CheckpointError(
            f"checkpoint lacks tensor {missing[0]} that its config needs ({len(missing)} missing); {_PAIR}"
        )
    unknown = sorted(name for name in holders if name not in views and not _is_ignorable(name, config))
    if unknown:
        raise CheckpointError(
            f"checkpoint has tensor {unknown[0]} that its config has no place for ({len(unknown)} such); {_PAIR}"
        )
    for name, view in views.items():
        _check_header(files[holders[name]], name, view)
    return views, {name: holders[name] for name in views}


def _is_ignorable(name: str, config: DeepseekV32Config) -> bool:
    """Multi-token-prediction layers behind the last one, and the copy of a tied output projection."""
    layer = _LAYER.match(name)
    if layer is None:
        return name == "lm_head.weight" and config.tie_word_embeddings
    return 0 <= int(layer[1]) - config.num_hidden_layers < config.num_nextn_predict_layers


def _check_header(file: Any, name: str, view: Tensor) -> None:
    shape, dtype = list(file.get_slice(name).get_shape()), _dtype(file, name)
    if shape != list(view.shape):
        raise CheckpointError(
            f"checkpoint tensor {name} has shape {shape}, its config needs {list(view.shape)}; {_PAIR}"
        )
    if dtype not in _READABLE:
        raise CheckpointError(f"checkpoint tensor {name} is {dtype}; convert it to bfloat16 or float32 first")


def _dtype(file: Any, name: str) -> str:
    return str(file.get_slice(name).get_dtype())


def _read(files: Mapping[Path, Any], path: Path, name: str) -> Tensor:
    try:
        tensor: Tensor = files[path].get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"checkpoint tensor {name} in {path} cannot be read ({error}); copy it again") from error
    if not torch.isfinite(tensor).all():
        raise CheckpointError(
            f"checkpoint tensor {name} holds NaN or infinity; copy it again, or take an earlier checkpoint"
        )
    return tensor
