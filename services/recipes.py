"""Training recipes: TOML files with dotted overrides, read into typed data. What is misspelt or out of range is named
in one line.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from .errors import BadRequest


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Domain(_Strict):
    """Tasks of one environment at one level; `weight` is their share of the demonstrations."""

    env: str
    level: int = Field(default=1, ge=1)
    weight: float = Field(default=1.0, gt=0)


class SftRecipe(_Strict):
    """A cold start from nothing: a tokeniser and a model trained on oracle trajectories.

    Attention is dense for `dense_steps` steps (the indexer warms up on the KL to it), then top-k sparse. With
    `save_every` a checkpoint is also kept as `out/step-N` every so many steps; `stop_after` ends training in the
    middle of the schedule.
    """

    kind: Literal["sft"]
    seed: int = 0
    out: str = "palestra-out/coldstart"
    domains: list[Domain] = Field(min_length=1)
    model: dict[str, Any]
    tokenizer_texts: int = Field(default=3000, ge=1)
    show_tools: bool = False
    context: int = Field(default=640, ge=32)
    steps: int = Field(default=2000, ge=1)
    dense_steps: int = Field(default=1000, ge=0)
    batch: int = Field(default=12, ge=1)
    lr: float = Field(default=2e-3, gt=0)
    final_lr: float = Field(default=2e-4, ge=0)
    save_every: int = Field(default=0, ge=0)
    stop_after: int | None = Field(default=None, ge=1)
    microbatch: int = Field(default=2048, ge=1)
    routing_bias_speed: float = Field(default=0.0, ge=0)
    threads: int = Field(default=1, ge=1)


class GrpoRecipe(_Strict):
    """GRPO from a checkpoint on tasks the platform makes, judged before and after on held-out ones.

    `shuffle_rewards` is a control whose rewards carry no information. `train_tasks` and `held_out` are per domain.
    `checkpoint` is a folder, or `coldstart`: the one that ships with the package.
    """

    kind: Literal["grpo"]
    seed: int = 0
    out: str = "palestra-out/grpo"
    checkpoint: str = "coldstart"
    domains: list[Domain] = Field(min_length=1)
    train_tasks: int = Field(default=160, ge=1)
    held_out: int = Field(default=64, ge=1)
    eval_every: int = Field(default=10, ge=1)
    updates: int = Field(default=40, ge=1)
    tasks_per_update: int = Field(default=16, ge=1)
    group: int = Field(default=8, ge=2)
    minibatches: int = Field(default=2, ge=1)
    lr: float = Field(default=3e-4, gt=0)
    clip: float = Field(default=0.2, gt=0)
    off_policy: float = Field(default=0.5, gt=0)
    shuffle_rewards: bool = False
    temperature: float = Field(default=1.0, gt=0, le=1.0)
    top_p: float = Field(default=1.0, gt=0, le=1.0)
    turn_tokens: int = Field(default=160, ge=1)
    turns: int = Field(default=10, ge=1)
    workers: int = Field(default=2, ge=1)
    threads: int = Field(default=2, ge=1)
    microbatch: int = Field(default=2048, ge=1)
    sandbox: str = "auto"


Recipe = SftRecipe | GrpoRecipe
_RECIPE: TypeAdapter[Recipe] = TypeAdapter(Annotated[Recipe, Field(discriminator="kind")])


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `name=value` overrides (dotted names reach into tables; values are TOML, else text).
    Raises BadRequest.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadRequest(f"cannot read the recipe {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path} is not TOML: {error}") from error
    for override in overrides:
        _apply(data, override)
    return check_recipe(data, str(path))


def check_recipe(data: dict[str, Any], source: str) -> Recipe:
    """The recipe that `data` says; BadRequest names the first field that is wrong."""
    try:
        return _RECIPE.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(item) for item in first["loc"] if item not in ("sft", "grpo")) or "kind"
        raise BadRequest(f"{source}: {place}: {first['msg']} (got {first['input']!r})"[:500]) from error


def _apply(data: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name:
        raise BadRequest(f"override {override!r} is not NAME=VALUE, for example lr=1e-4")
    try:
        value: Any = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *tables, last = name.split(".")
    for table in tables:
        data = data.setdefault(table, {})
        if not isinstance(data, dict):
            raise BadRequest(f"override {override!r}: {table} is not a table")
    data[last] = value
