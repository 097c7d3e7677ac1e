"""The contract of this folder: plain data in, a Verdict out.

A verifier never guesses. When the machine, the environment or the verifier itself broke, the verdict says so in
`validity` and carries no reward, so that a broken machine is never mistaken for a bad answer.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Validity = Literal["valid", "invalid_infra", "invalid_env", "invalid_verifier"]


class Part(BaseModel):
    """One named thing a verifier looked at: `score` in [0, 1], and in words what was found.

    A `gate` is a condition of every reward: where it is not fully satisfied the verdict's reward is 0, whatever the
    other parts say.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    score: float = Field(ge=0.0, le=1.0)
    weight: float = Field(default=1.0, ge=0.0, allow_inf_nan=False)
    gate: bool = False
    detail: str = ""

    @property
    def passed(self) -> bool:
        """True when this part is fully satisfied."""
        return self.score >= 1.0


class Verdict(BaseModel):
    """What a verifier says of one answer. Only a valid verdict has a reward, and a valid verdict always has one."""

    model_config = ConfigDict(frozen=True)

    reward: float | None = Field(ge=0.0, le=1.0)
    parts: tuple[Part, ...] = ()
    validity: Validity = "valid"
    note: str = ""

    @model_validator(mode="after")
    def _reward_goes_with_validity(self) -> Self:
        if (self.validity == "valid") != (self.reward is not None):
            raise ValueError(f"a {self.validity} verdict cannot have reward {self.reward!r}: only valid ones have one")
        return self

    @property
    def passed(self) -> bool:
        """True when the verdict is valid and the reward is full."""
        return self.reward is not None and self.reward >= 1.0

    @classmethod
    def invalid(cls, validity: Validity, note: str) -> Verdict:
        """A verdict without a reward, because of `note`."""
        return cls(reward=None, validity=validity, note=note)
