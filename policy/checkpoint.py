"""Hugging Face checkpoints of the model: ``config.json`` and safetensors, whole or in shards.

In memory the routed experts are fused; on disk each has its own ``gate_proj``, ``up_proj`` and ``down_proj``. Both
directions go through ``named_views``, which gives every name on disk a view into the model's memory.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from .config import DeepseekV32Config
from .errors import CheckpointError

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"
_LAYER = re.compile(r"model\.layers\.(\d+)\.")


def named_views(model: nn.Module, config: DeepseekV32Config) -> dict[str, Tensor]:
    """Each tensor name of the checkpoint with a view of the model's own memory, in the model's order."""
    views: dict[str, Tensor] = {}
    for name, tensor in model.state_dict(keep_vars=False).items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        head, _, leaf = name.rpartition(".experts.")
        if leaf not in ("gate_up_proj", "down_proj"):
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


def load_weights(
    model: nn.Module, config: DeepseekV32Config, folder: str | Path, *, without: str | None = None
) -> None:
    """Fill ``model`` from the checkpoint in ``folder``, converting to the model's own dtypes. Tensors with ``without``
    in their name are not in the checkpoint: they keep what the model has.

    Raises CheckpointError naming the first tensor that is missing, unknown, of the wrong shape, of a quantised
    dtype or non-finite, or the file that cannot be read.
    """
    views = {name: view for name, view in named_views(model, config).items() if without is None or without not in name}
    files = _files_by_tensor(Path(folder))
    _check_names(views, files, config)
    wanted: dict[Path, list[str]] = {}
    for name in views:
        wanted.setdefault(files[name], []).append(name)
    with torch.no_grad():
        for path, names in wanted.items():
            for name, tensor in _read(path, names):
                _check_tensor(name, tensor, views[name])
                views[name].copy_(tensor)


def save_weights(model: nn.Module, config: DeepseekV32Config, folder: str | Path) -> None:
    """Write ``config.json`` and ``model.safetensors``. Raises CheckpointError if the folder cannot be written."""
    write_checkpoint(folder, named_views(model, config), config.to_dict())


def write_checkpoint(folder: str | Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    """Write ``config.json`` and ``model.safetensors``; each file appears whole or not at all.

    Raises CheckpointError if the folder cannot be written.
    """
    folder = Path(folder)
    saved = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    dtype = str(saved["model.embed_tokens.weight"].dtype).removeprefix("torch.")
    text = json.dumps({**config, "dtype": dtype, "torch_dtype": dtype}, indent=2, sort_keys=True) + "\n"
    partial = [folder / f".{name}.partial" for name in (WEIGHTS_NAME, CONFIG_NAME)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot write checkpoint {folder}: {error.strerror or error}") from error
    try:
        save_file(saved, partial[0], metadata={"format": "pt"})
        partial[0].chmod(0o644)  # safetensors writes for the owner alone
        partial[1].write_text(text, encoding="utf-8")
        os.replace(partial[0], folder / WEIGHTS_NAME)
        os.replace(partial[1], folder / CONFIG_NAME)
    except (OSError, SafetensorError) as error:
        for path in partial:
            path.unlink(missing_ok=True)
        raise CheckpointError(f"cannot write checkpoint {folder}: {error}") from error


def _files_by_tensor(folder: Path) -> dict[str, Path]:
    """The file that holds each tensor, from the single file or the shards' index."""
    if not folder.is_dir():
        raise CheckpointError(f"checkpoint {folder} is not a folder; give the one that holds {CONFIG_NAME}")
    single, index = folder / WEIGHTS_NAME, folder / INDEX_NAME
    if single.is_file():
        return dict.fromkeys(_names(single), single)
    if not index.is_file():
        raise CheckpointError(f"checkpoint {folder} has neither {WEIGHTS_NAME} nor {INDEX_NAME}")
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files = {str(name): folder / Path(shard).name for name, shard in names.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"checkpoint index {index} has no readable weight_map: {error!r}") from error
    for path in sorted(set(files.values())):
        present = set(_names(path))
        absent = next((name for name, file in files.items() if file == path and name not in present), None)
        if absent is not None:
            raise CheckpointError(f"checkpoint shard {path} lacks tensor {absent} that {INDEX_NAME} places there")
    return files


def _names(path: Path) -> list[str]:
    try:
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"checkpoint file {path} is missing, truncated or not safetensors: {error}") from error


def _read(path: Path, names: list[str]) -> Iterator[tuple[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            for name in names:
                yield name, file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"checkpoint file {path} cannot be read: {error}") from error


def _check_names(views: dict[str, Tensor], files: dict[str, Path], config: DeepseekV32Config) -> None:
    missing = [name for name in views if name not in files]
    if missing:
        raise CheckpointError(f"checkpoint lacks tensor {missing[0]} that its config needs ({len(missing)} missing)")
    unknown = sorted(name for name in files if name not in views and not _is_ignorable(name, config))
    if unknown:
        raise CheckpointError(
            f"checkpoint has tensor {unknown[0]} that its config has no place for ({len(unknown)} such)"
        )


def _is_ignorable(name: str, config: DeepseekV32Config) -> bool:
    """Multi-token-prediction layers behind the last one, and the copy of a tied output projection."""
    layer = _LAYER.match(name)
    if layer is None:
        return name == "lm_head.weight" and config.tie_word_embeddings
    return 0 <= int(layer[1]) - config.num_hidden_layers < config.num_nextn_predict_layers


def _check_tensor(name: str, tensor: Tensor, view: Tensor) -> None:
    if tensor.shape != view.shape:
        raise CheckpointError(
            f"checkpoint tensor {name} has shape {list(tensor.shape)}, its config needs {list(view.shape)}"
        )
    if not tensor.is_floating_point() or tensor.element_size() < 2:
        raise CheckpointError(f"checkpoint tensor {name} is {tensor.dtype}; convert it to bfloat16 or float32 first")
    if not torch.isfinite(tensor).all():
        raise CheckpointError(f"checkpoint tensor {name} holds NaN or infinity; the checkpoint is damaged")
