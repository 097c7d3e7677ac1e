"""Checkpoint folders: a model, its tokeniser, and `palestra.json` with how it is to be spoken to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import BadRequest

if TYPE_CHECKING:
    from ..policy.model import DeepseekV32ForCausalLM
    from ..rollout.tokenizer import Tokenizer

SETTINGS = "palestra.json"


@dataclass(frozen=True)
class Publisher:
    """Writes a model, as it is when called, with its tokeniser and settings. `context` is in tokens (None: not
    said).
    """

    model: DeepseekV32ForCausalLM
    tokenizer: Tokenizer
    show_tools: bool
    context: int | None

    def __call__(self, folder: Path) -> None:
        """Write the folder. CheckpointError or OSError where that fails."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder)
        self.tokenizer.save(folder)
        settings = {"show_tools": self.show_tools} | ({"context": self.context} if self.context else {})
        (folder / SETTINGS).write_text(json.dumps(settings) + "\n")


def open_publisher(folder: Path, model: DeepseekV32ForCausalLM | None = None) -> Publisher:
    """A checkpoint folder, ready to be trained and published again; `model` in place of the one in it. Raises
    PolicyError, RolloutError, BadRequest.
    """
    from ..policy.model import DeepseekV32ForCausalLM
    from ..rollout.tokenizer import Tokenizer

    show_tools, length = read_settings(folder)
    tokenizer = Tokenizer.from_dir(folder)
    return Publisher(model or DeepseekV32ForCausalLM.from_pretrained(folder), tokenizer, show_tools, length)


def read_settings(folder: Path) -> tuple[bool, int | None]:
    """`show_tools` and `context` of the optional palestra.json. BadRequest where it is malformed."""
    path = folder / SETTINGS
    given = _read_object(path) if path.exists() else {}
    show_tools, context = given.get("show_tools", True), given.get("context")
    if not isinstance(show_tools, bool) or not (context is None or (type(context) is int and context > 1)):
        raise BadRequest(f'{path} must be an object like {{"show_tools": false, "context": 1024}}')
    return show_tools, context


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a checkpoint, whatever model it is of. BadRequest where it cannot be read."""
    return _read_object(folder / "config.json")


def _read_object(path: Path) -> dict[str, Any]:
    try:
        given = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadRequest(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(given, dict):
        raise BadRequest(f"{path} holds a JSON {type(given).__name__}: it must be an object")
    return given
