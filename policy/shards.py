"""Weight files of a checkpoint: safetensors, one or in shards with an index, written and opened as a whole.

A checkpoint is replaced in one step: new files are written beside the old ones and take their place together, when
they are whole. A reader opens every file before it reads any, so it sees the old weights or the new, never a mix.
"""

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .config import CONFIG_NAME
from .errors import CheckpointError

WEIGHTS_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"
MAX_SHARD_SIZE = 5_000_000_000
"""Bytes of tensors in one file, unless a single tensor is larger."""
_PARTIAL = ".partial"
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]?)(i?)B", re.IGNORECASE)


def write_checkpoint(
    folder: str | Path,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    max_shard_size: int | str = MAX_SHARD_SIZE,
) -> None:
    """Write ``config.json`` and ``model.safetensors``, or shards of at most ``max_shard_size`` (bytes, or "5GB") with
    their index. A checkpoint that was there stays whole until the new one is; other files of the folder stay.

    Tensors of another device come over one shard at a time. Raises CheckpointError if the folder cannot be written:
    the disk is full, say.
    """
    folder, partial = Path(folder), Path(folder) / _PARTIAL
    shards = _split(tensors, _bytes(max_shard_size))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir()
            files = _write_shards(partial, shards, again=(folder / INDEX_NAME).exists())
            dtype = str(tensors["model.embed_tokens.weight"].dtype).removeprefix("torch.")
            _write_json(partial / CONFIG_NAME, {**config, "dtype": dtype, "torch_dtype": dtype})
            _put_in_place(partial, folder, files)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CheckpointError(
            f"cannot write checkpoint {folder}: {reason}; make room, or give a folder that can be written"
        ) from error


def _write_shards(partial: Path, shards: list[dict[str, Tensor]], *, again: bool) -> list[str]:
    """Write the files, and the index of more than one; their names. ``again``: those of the shards must be new."""
    stem = f"model-{secrets.token_hex(4)}" if again else "model"
    files = [f"{stem}-{n:05}-of-{len(shards):05}.safetensors" for n in range(1, len(shards) + 1)]
    if len(shards) == 1:
        files = [WEIGHTS_NAME]
    for file, shard in zip(files, shards, strict=True):
        held = {name: tensor.detach().cpu().contiguous() for name, tensor in shard.items()}
        save_file(held, partial / file, metadata={"format": "pt"})
        _settle(partial / file)
    if len(shards) > 1:
        weight_map = {name: file for file, shard in zip(files, shards, strict=True) for name in shard}
        size = sum(tensor.nbytes for shard in shards for tensor in shard.values())
        _write_json(partial / INDEX_NAME, {"metadata": {"total_size": size}, "weight_map": weight_map})
    return files


def _put_in_place(partial: Path, folder: Path, files: list[str]) -> None:
    """Readers prefer the single file to the index: one rename or removal takes them from the old weights to the new."""
    old = _listed(folder) - set(files)
    for file in files:
        os.replace(partial / file, folder / file)
    if len(files) > 1:
        os.replace(partial / INDEX_NAME, folder / INDEX_NAME)
        (folder / WEIGHTS_NAME).unlink(missing_ok=True)
    os.replace(partial / CONFIG_NAME, folder / CONFIG_NAME)
    if len(files) == 1:
        (folder / INDEX_NAME).unlink(missing_ok=True)
    for file in old:
        (folder / file).unlink(missing_ok=True)


def _listed(folder: Path) -> set[str]:
    """The shards of an index that is about to go; none where it cannot be read."""
    try:
        return {path.name for path in _weight_files(folder, INDEX_NAME)}
    except CheckpointError:
        return set()


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    _settle(path)


def _settle(path: Path) -> None:
    """On the disk itself before it gets its name, and readable by all: safetensors writes for the owner alone."""
    path.chmod(0o644)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _split(tensors: Mapping[str, Tensor], limit: int) -> list[dict[str, Tensor]]:
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if shards[-1] and size + tensor.nbytes > limit:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    return shards


def _bytes(size: int | str) -> int:
    found = _SIZE.fullmatch(size) if isinstance(size, str) else None
    if found is not None:
        size = int(float(found[1]) * (1024 if found[3] else 1000) ** " KMGT".index(found[2].upper() or " "))
    if not isinstance(size, int) or size < 1:
        raise CheckpointError(f"max_shard_size is {size!r}; give a number of bytes, or a text such as '5GB'")
    return size


@contextmanager
def open_weights(folder: Path) -> Iterator[dict[Path, Any]]:
    """Every weight file, open: what replaces them from now on is not seen."""
    if not folder.is_dir():
        raise CheckpointError(f"checkpoint {folder} is not a folder; give the one that holds {CONFIG_NAME}")
    with ExitStack() as stack:
        while True:
            promised = _weight_files(folder)
            try:
                files = {path: stack.enter_context(safe_open(path, framework="pt")) for path in sorted(promised)}
                break
            except FileNotFoundError as error:
                if _weight_files(folder) == promised:  # else it was replaced in between
                    lost = next((path for path in sorted(promised) if not path.exists()), folder)
                    raise CheckpointError(f"checkpoint shard {lost} is missing; {INDEX_NAME} lists it") from error
            except (OSError, SafetensorError) as error:
                broken = next((path for path in sorted(promised) if not _opens(path)), folder)
                raise CheckpointError(
                    f"checkpoint file {broken} is truncated or not safetensors ({error}); copy it again"
                ) from error
        for path, names in promised.items():
            if absent := sorted(names - set(files[path].keys())):
                raise CheckpointError(
                    f"checkpoint shard {path} lacks tensor {absent[0]} that {INDEX_NAME} places there; copy both again"
                )
        yield files


def _opens(path: Path) -> bool:
    try:
        with safe_open(path, framework="pt"):
            return True
    except (OSError, SafetensorError):
        return False


def _weight_files(folder: Path, prefer: str = WEIGHTS_NAME) -> dict[Path, set[str]]:
    """The weight files, and the tensors that the index promises of each; of the single file none."""
    single, index = folder / WEIGHTS_NAME, folder / INDEX_NAME
    if single.is_file() and prefer == WEIGHTS_NAME:
        return {single: set()}
    if not index.is_file():
        raise CheckpointError(
            f"checkpoint {folder} has neither {WEIGHTS_NAME} nor {INDEX_NAME}; its weights must be safetensors"
        )
    files: dict[Path, set[str]] = {}
    try:
        data = json.loads(index.read_text(encoding="utf-8"), object_pairs_hook=_no_name_twice)
        for name, shard in data["weight_map"].items():
            files.setdefault(folder / Path(shard).name, set()).add(str(name))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"checkpoint index {index} has no readable weight_map ({error!r}); copy it again"
        ) from error
    return files


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)} is given twice")
    return found
