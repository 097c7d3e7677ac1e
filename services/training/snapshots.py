"""Training checkpoints: folders `step-N` that appear whole or not at all, from which a run goes on exactly.

Each holds the policy as it would be published (weights, tokeniser, settings) and `training.pt`: the optimiser, random
states and whatever else the run needs, as plain data. The weights are in the first alone, exactly as they were.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...policy.errors import PolicyError
from ...policy.learner import TakesSteps
from ..errors import BadRequest

STATE = "training.pt"
_NAME = re.compile(r"step-(\d+)")
_PARTIAL = re.compile(r"\.step-\d+\.(partial|old)")


@dataclass(frozen=True)
class Snapshot:
    """One checkpoint on disk."""

    step: int
    folder: Path

    def state(self) -> dict[str, Any]:
        """What was saved beside the policy. BadRequest where the file is damaged."""
        path = self.folder / STATE
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged file
            raise BadRequest(
                f"checkpoint {path} cannot be read ({type(error).__name__}): remove {self.folder}, and the run goes on "
                "from the one before"
            ) from error
        assert isinstance(state, dict)
        return state


class Snapshots:
    """The checkpoints under `folder`; of `keep` the newest are kept (0: all)."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self._keep = keep

    def all(self) -> list[Snapshot]:
        """Whole ones, oldest first."""
        found = [(match, path) for path in self._entries() if (match := _NAME.fullmatch(path.name))]
        return sorted((Snapshot(int(match[1]), path) for match, path in found), key=lambda one: one.step)

    def latest(self) -> Snapshot | None:
        """The newest one."""
        found = self.all()
        return found[-1] if found else None

    def save(self, step: int, write_policy: Callable[[Path], None], state: dict[str, Any]) -> Snapshot:
        """Write a checkpoint and drop old ones; it is on the disk when this returns. BadRequest where that fails."""
        target, partial = self.folder / f"step-{step}", self.folder / f".step-{step}.partial"
        try:
            self._clean()
            partial.mkdir(parents=True)
            write_policy(partial)
            torch.save(state, partial / STATE)
            for path in partial.iterdir():
                _sync(path)
            if target.exists():
                os.replace(target, self.folder / f".step-{step}.old")
            os.replace(partial, target)
            _sync(self.folder)
        except (OSError, RuntimeError, PolicyError) as error:  # torch raises RuntimeError where the disk is full
            shutil.rmtree(partial, ignore_errors=True)
            raise BadRequest(
                f"cannot write the checkpoint {target} ({error}): what was saved before is whole; make room and give "
                "the same command again"
            ) from error
        self._clean()
        self._prune()
        return Snapshot(step, target)

    def clear(self) -> None:
        """Remove them all."""
        self._clean()
        for one in self.all():
            shutil.rmtree(one.folder)

    def _entries(self) -> list[Path]:
        return list(self.folder.iterdir()) if self.folder.is_dir() else []

    def _clean(self) -> None:
        """Remove what a killed run left half written."""
        for path in self._entries():
            if _PARTIAL.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)

    def _prune(self) -> None:
        if self._keep:
            for old in self.all()[: -self._keep]:
                shutil.rmtree(old.folder, ignore_errors=True)


def learner_state(learner: TakesSteps) -> dict[str, Any]:
    """Of a learner, what is not in the policy's own files."""
    return {name: value for name, value in learner.state_dict().items() if name != "model"}


def restore_learner(learner: TakesSteps, state: dict[str, Any]) -> None:
    """Go on from `learner_state`; the learner's model is that of the checkpoint already."""
    learner.load_state_dict(state | {"model": learner.model.state_dict()})


def _sync(path: Path) -> None:
    """Have the system write a file, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
