"""The contract of this folder: what a task is, and what stands between an environment and the agent.

`Json` is any JSON value; an `Answer` is one; a `World` is a JSON object that an environment's tools read and change.
"""

from __future__ import annotations

import copy
import hashlib
import json
import marshal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Json = Any
Answer = Any
World = dict[str, Any]


def canonical(value: Json) -> str:
    """One text for one JSON value: sorted keys, no spaces, non-ASCII kept. ValueError for NaN, TypeError for non-
    JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def plain_copy(value: Json) -> Json:
    """A deep copy of a JSON value, some ten times as fast as `copy.deepcopy`, which is taken for any other value."""
    try:
        return marshal.loads(marshal.dumps(value))
    except ValueError:
        return copy.deepcopy(value)


class Task(BaseModel):
    """Frozen data: the question, the world it is asked in, and the key only the verifier may read.

    `id` is derived from everything else, so equal tasks have equal ids on every machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    env: str
    version: str
    seed: int
    level: int = Field(ge=1)
    prompt: str = Field(min_length=1)
    world: World = Field(default_factory=dict)
    key: Json = None

    @property
    def id(self) -> str:
        """Content address, e.g. `travel-3f1c0a9be4d2c7f1`."""
        digest = hashlib.sha256(canonical(self.model_dump()).encode()).hexdigest()
        return f"{self.env}-{digest[:16]}"

    @property
    def fingerprint(self) -> str:
        """A digest of everything but the seed: tasks with equal ones are the same question twice."""
        return hashlib.sha256(canonical(self.model_dump(exclude={"seed"})).encode("utf-8", "surrogatepass")).hexdigest()


class ToolSchema(BaseModel):
    """A tool as the model is told of it: name, description, JSON schema of the arguments."""

    model_config = ConfigDict(frozen=True)

    name: str
    description: str
    parameters: dict[str, Any]
    submits: bool = False

    def openai(self) -> dict[str, Any]:
        """The form chat templates and OpenAI-compatible servers take."""
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": self.parameters},
        }


class ToolCall(BaseModel):
    """One call an agent (or a solver) makes."""

    model_config = ConfigDict(frozen=True)

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Cheat(BaseModel):
    """An attempt to be rewarded without solving the task: tool calls, then an answer. With `submit` the state is handed
    in as it stands (`finish(None)`) and `answer` is not looked at.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    calls: tuple[ToolCall, ...] = ()
    answer: Json = None
    submit: bool = False


class ToolResult(BaseModel):
    """What came back. `ok` is False where the call was refused; then `text` says why, in words for the agent."""

    model_config = ConfigDict(frozen=True)

    text: str
    ok: bool = True
    submitted: bool = False
