"""Votes kept by content, so that judging the same thing again asks nobody and says the same."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Vote(BaseModel):
    """One judgement of one criterion, and the words it rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: float = Field(ge=0.0, le=1.0)
    evidence: str = ""


class Votes(Protocol):
    """Where votes are kept."""

    def get(self, key: str) -> Vote | None:
        """The vote of this key, if there is one."""
        ...

    def put(self, key: str, vote: Vote) -> Vote:
        """Keep a vote unless one is there; returns the one that is kept."""
        ...


class MemoryVotes:
    """Votes of one process."""

    def __init__(self) -> None:
        self._votes: dict[str, Vote] = {}

    def get(self, key: str) -> Vote | None:
        """The vote of this key, if there is one."""
        return self._votes.get(key)

    def put(self, key: str, vote: Vote) -> Vote:
        """Keep a vote unless one is there; returns the one that is kept."""
        return self._votes.setdefault(key, vote)


class FolderVotes:
    """Votes of one machine, a file each. Of processes that judge the same at once the first is kept by all; a file
    that is damaged counts as not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> Vote | None:
        """The vote of this key, if there is one."""
        try:
            return Vote.model_validate_json(self._path(key).read_bytes())
        except (OSError, ValidationError):
            return None

    def put(self, key: str, vote: Vote) -> Vote:
        """Keep a vote unless one is there; returns the one that is kept. Raises OSError where it cannot be written."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(vote.model_dump_json())
            try:
                os.link(name, path)
            except FileExistsError:
                if (known := self.get(key)) is not None:
                    return known
                os.replace(name, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
        return vote

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"
