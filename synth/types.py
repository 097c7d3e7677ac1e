"""The contract of this folder: the evidence that a task can be trusted."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..envs.types import Task

Depth = Literal["quick", "full"]
"""`quick` is what every task must show; `full` adds other processes, clocks and orders, leaks and the red team."""


class Evidence(BaseModel):
    """One check of a certificate: its name, whether it held, what was seen in words, and in numbers."""

    model_config = ConfigDict(frozen=True)

    name: str
    ok: bool
    detail: str = ""
    measured: dict[str, Any] = Field(default_factory=dict)


class Certificate(BaseModel):
    """All evidence about one task. A task is accepted when every check held."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    verifier: str
    checks: tuple[Evidence, ...]
    seconds: float = 0.0
    depth: Depth = "quick"

    @property
    def accepted(self) -> bool:
        """True when every check held; a certificate without checks proves nothing."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    @property
    def reasons(self) -> list[str]:
        """The names of the checks that failed."""
        return [check.name for check in self.checks if not check.ok]

    @property
    def stream(self) -> str | None:
        """The text that seeded the proposal, where that was seen to make the task; None where it is not known."""
        return stream_of([check.model_dump() for check in self.checks])

    def evidence(self, name: str) -> Evidence | None:
        """The check of that name; None where it was not made."""
        return next((check for check in self.checks if check.name == name), None)


def stream_of(checks: object) -> str | None:
    """The stream that the checks of a stored or exported certificate tell; None where they tell none."""
    for check in checks if isinstance(checks, list) else ():
        measured = check.get("measured") if isinstance(check, dict) and check.get("name") == "reproducible" else None
        stream = measured.get("stream") if isinstance(measured, dict) else None
        if isinstance(stream, str):
            return stream
    return None


class Certified(BaseModel):
    """A task with its certificate."""

    model_config = ConfigDict(frozen=True)

    task: Task
    certificate: Certificate
