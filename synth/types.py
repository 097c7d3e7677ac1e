"""The contract of this folder: the evidence that a task can be trusted."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from ..envs.types import Task


class Evidence(BaseModel):
    """One check of a certificate: its name, whether it held, and what was seen."""

    model_config = ConfigDict(frozen=True)

    name: str
    ok: bool
    detail: str = ""


class Certificate(BaseModel):
    """All evidence about one task. A task is accepted when every check held."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    verifier: str
    checks: tuple[Evidence, ...]
    seconds: float = 0.0

    @property
    def accepted(self) -> bool:
        """True when every check held; a certificate without checks proves nothing."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    @property
    def reasons(self) -> list[str]:
        """The names of the checks that failed."""
        return [check.name for check in self.checks if not check.ok]


class Certified(BaseModel):
    """A task with its certificate."""

    model_config = ConfigDict(frozen=True)

    task: Task
    certificate: Certificate
