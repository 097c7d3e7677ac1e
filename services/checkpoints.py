"""Checkpoint folders: a model, its tokeniser, and `palestra.json` with how it is to be spoken to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..policy.model import DeepseekV32ForCausalLM
    from ..rollout.tokenizer import Tokenizer

COMPANIONS = ("tokenizer.json", "tokenizer_config.json", "palestra.json")


def save_policy(model: DeepseekV32ForCausalLM, source: Path, folder: Path) -> None:
    """Save a model with the tokeniser and settings of the checkpoint it began as."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    for name in COMPANIONS:
        if (source / name).exists():
            shutil.copyfile(source / name, folder / name)


def save_new_policy(
    model: DeepseekV32ForCausalLM, tokenizer: Tokenizer, folder: Path, show_tools: bool, context: int
) -> None:
    """Save a model that was trained from nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save(folder)
    (folder / "palestra.json").write_text(json.dumps({"show_tools": show_tools, "context": context}) + "\n")
