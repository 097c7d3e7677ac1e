"""Training recipes: TOML files with dotted overrides, read into typed data. What is misspelt or out of range is named
in one line.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from ..errors import BadRequest

Mode = Literal["thinking", "chat"]
COLDSTART = "coldstart"
"""As a `checkpoint`: the one that ships with the package."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Reward(_Strict):
    """What an episode is rewarded for; see `policy.rewards.RewardConfig`, whose fields these are."""

    outcome: float = 1.0
    length: float = 0.0
    free_tokens: int = 0
    most_tokens: int = 0
    consistency: float = 0.0
    language: str = "en"
    rubric: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _can_be_meant(self) -> Self:
        from ...policy.rewards import RewardConfig

        RewardConfig(**self.model_dump())
        return self


class Rollback(_Strict):
    """When a fall on the held-out tasks takes the policy back; see `policy.stability.GuardConfig`."""

    tolerance: float = Field(default=0.1, ge=0)
    slower: float = Field(default=0.5, gt=0, le=1)
    most: int = Field(default=3, ge=0)


class Domain(_Strict):
    """Tasks of one environment at one level. `weight` is their share of the demonstrations; `kl` overrides the
    recipe's KL strength for GRPO, `reward` what is rewarded.
    """

    env: str
    level: int = Field(default=1, ge=1)
    weight: float = Field(default=1.0, gt=0)
    kl: float | None = Field(default=None, ge=0)
    reward: Reward = Reward()


class BaseRecipe(_Strict):
    """What every kind has. `save_every` steps a checkpoint is written from which the same command goes on (0: never);
    of `keep` the newest are kept (0: all). `trackers` also take the metrics: tensorboard, wandb, mlflow. `processes`
    on Ray, of `threads` threads each, share the work of every step; with one, it is done where the command runs.
    """

    seed: int = 0
    out: str
    processes: int = Field(default=1, ge=1)
    threads: int = Field(default=1, ge=1)
    trackers: tuple[str, ...] = ()
    save_every: int = Field(default=0, ge=0)
    keep: int = Field(default=2, ge=0)

    MAY_CHANGE: ClassVar[frozenset[str]] = frozenset({"out", "processes", "threads", "trackers", "save_every", "keep"})
    """Fields a run may go on with another value of: they do not decide what is computed."""

    @property
    def last_step(self) -> int | None:
        """The step a run ends with; None for what is done in one go."""
        return None

    def differs(self, earlier: dict[str, Any]) -> str:
        """The first field, with both values, that makes this another run than `earlier`; empty where none does."""
        now = self.model_dump(mode="json")
        for name, value in now.items():
            if name not in self.MAY_CHANGE and earlier.get(name) != value:
                return f"{name} = {earlier.get(name)!r}, not {value!r}"
        return ""


class SupervisedRecipe(BaseRecipe):
    """Training on oracle trajectories. `sft`: cross entropy, from nothing (`model`: a tokeniser and a model are made)
    or from a `checkpoint`; attention is dense for `dense_steps` steps while the indexer warms up on the KL to it, then
    top-k sparse. `stop_after` ends training in the middle of the schedule.

    Each trajectory is spoken in one of `modes`, drawn evenly.
    """

    kind: Literal["sft"]
    out: str = "palestra-out/coldstart"
    checkpoint: str | None = None
    domains: tuple[Domain, ...] = Field(min_length=1)
    modes: tuple[Mode, ...] = Field(default=("thinking",), min_length=1)
    model: dict[str, Any] | None = None
    tokenizer_texts: int = Field(default=3000, ge=1)
    show_tools: bool = False
    context: int = Field(default=640, ge=32)
    steps: int = Field(default=2000, ge=1)
    dense_steps: int = Field(default=1000, ge=0)
    batch: int = Field(default=12, ge=1)
    lr: float = Field(default=2e-3, gt=0)
    final_lr: float = Field(default=2e-4, ge=0)
    stop_after: int | None = Field(default=None, ge=1)
    microbatch: int = Field(default=2048, ge=1)
    routing_bias_speed: float = Field(default=0.0, ge=0)

    MAY_CHANGE = BaseRecipe.MAY_CHANGE | {"stop_after"}

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if (self.checkpoint is None) == (self.model is None):
            raise ValueError("give either `checkpoint` (go on from one) or `model` (from nothing)")
        return self

    @property
    def last_step(self) -> int:
        """Where training ends."""
        return min(self.steps, self.stop_after or self.steps)


class DsaRecipe(BaseRecipe):
    """The two stages that make attention sparse (V3.2, section 2.1), on oracle trajectories: `dsa-warmup` trains the
    indexer alone beside dense attention, `dsa-sparse` everything with the top-k on.

    `checkpoint` may be a `deepseek_v3` one: a new indexer of `index` (n_heads, head_dim, topk) is added to it. `lr` is
    the report's where it is not given, 1e-3 and 7.3e-6, and falls to `final_lr` (not at all where that is not given).
    """

    kind: Literal["dsa-warmup", "dsa-sparse"]
    out: str = "palestra-out/dsa"
    checkpoint: str = COLDSTART
    index: dict[str, int] = Field(default_factory=dict)
    domains: tuple[Domain, ...] = Field(min_length=1)
    modes: tuple[Mode, ...] = Field(default=("thinking",), min_length=1)
    steps: int = Field(default=200, ge=1)
    batch: int = Field(default=16, ge=1)
    lr: float | None = Field(default=None, gt=0)
    final_lr: float | None = Field(default=None, ge=0)
    microbatch: int = Field(default=2048, ge=1)

    @property
    def last_step(self) -> int:
        """Where training ends."""
        return self.steps


class GrpoRecipe(BaseRecipe):
    """GRPO from a checkpoint on tasks the platform makes, judged before and after on held-out ones. With several
    domains, each rewarded its own way, it is the mixed stage.

    `objective` holds fields of `policy.grpo.GrpoConfig`, such as `clip` and `kl`. `train_tasks` and `held_out` are per
    domain; the held-out tasks are dealt into `eval_sets` sets, of which each evaluation takes one at random.
    `shuffle_rewards` is a control whose rewards carry no information. With `deterministic` the engines' results do not
    depend on what they compute together, so that a run is repeated bit for bit (and slower).
    """

    kind: Literal["grpo"]
    out: str = "palestra-out/grpo"
    checkpoint: str = COLDSTART
    mode: Mode = "thinking"
    domains: tuple[Domain, ...] = Field(min_length=1)
    train_tasks: int = Field(default=160, ge=1)
    held_out: int = Field(default=64, ge=1)
    eval_every: int = Field(default=10, ge=1)
    updates: int = Field(default=40, ge=1)
    tasks_per_update: int = Field(default=16, ge=1)
    group: int = Field(default=8, ge=2)
    minibatches: int = Field(default=2, ge=1)
    lr: float = Field(default=3e-4, gt=0)
    objective: dict[str, Any] = Field(default_factory=dict)
    max_refills: int = Field(default=0, ge=0)
    staleness: int = Field(default=0, ge=0)
    eval_sets: int = Field(default=1, ge=1)
    rollback: Rollback = Rollback()
    shuffle_rewards: bool = False
    temperature: float = Field(default=1.0, gt=0, le=1.0)
    top_p: float = Field(default=1.0, gt=0, le=1.0)
    turn_tokens: int = Field(default=160, ge=1)
    turns: int = Field(default=10, ge=1)
    workers: int = Field(default=2, ge=1)
    threads: int = Field(default=2, ge=1)
    microbatch: int = Field(default=2048, ge=1)
    sandbox: str = "auto"
    deterministic: bool = False

    MAY_CHANGE = BaseRecipe.MAY_CHANGE | {"updates", "workers", "sandbox"}

    @property
    def last_step(self) -> int:
        """Where training ends."""
        return self.updates

    @model_validator(mode="after")
    def _known_objective(self) -> Self:
        from ...policy.grpo import GrpoConfig  # torch comes with it

        known = [one.name for one in fields(GrpoConfig)]
        for name in self.objective:
            if name not in known:
                raise ValueError(f"objective has no {name!r}: it has {', '.join(known)}")
        GrpoConfig(**self.objective)
        told = {domain.env: (domain.reward, domain.kl) for domain in self.domains}
        for domain in self.domains:
            if (domain.reward, domain.kl) != told[domain.env]:
                raise ValueError(f"two domains of {domain.env} are rewarded differently: make reward and kl the same")
        return self


class Teacher(_Strict):
    """A specialist: its checkpoint, what it is good at, and the modes it is asked in."""

    checkpoint: str
    domains: tuple[Domain, ...] = Field(min_length=1)
    modes: tuple[Mode, ...] = Field(default=("thinking",), min_length=1)


class DistillRecipe(BaseRecipe):
    """Specialists into one generalist: each teacher plays `tasks` new tasks of each of its domains, `samples` times in
    each of its modes; what passes is what `checkpoint` is then trained on, `epochs` times over. `deterministic` is as
    in GRPO.
    """

    kind: Literal["distill"]
    out: str = "palestra-out/generalist"
    checkpoint: str = COLDSTART
    teachers: tuple[Teacher, ...] = Field(min_length=1)
    tasks: int = Field(default=64, ge=1)
    samples: int = Field(default=2, ge=1)
    epochs: int = Field(default=2, ge=1)
    batch: int = Field(default=16, ge=1)
    lr: float = Field(default=3e-4, gt=0)
    temperature: float = Field(default=1.0, gt=0, le=1.0)
    top_p: float = Field(default=0.95, gt=0, le=1.0)
    turn_tokens: int = Field(default=160, ge=1)
    turns: int = Field(default=10, ge=1)
    workers: int = Field(default=2, ge=1)
    microbatch: int = Field(default=2048, ge=1)
    sandbox: str = "auto"
    deterministic: bool = False


Recipe = SupervisedRecipe | DsaRecipe | GrpoRecipe | DistillRecipe
_RECIPE: TypeAdapter[Recipe] = TypeAdapter(Annotated[Recipe, Field(discriminator="kind")])
_KINDS = ("sft", "dsa-warmup", "dsa-sparse", "grpo", "distill")


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
        place = ".".join(str(item) for item in first["loc"] if item not in _KINDS) or "kind"
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
    at: Any = data
    for table in tables:
        at = _inside(at, table, override)
    if isinstance(at, list):
        raise BadRequest(f"override {override!r}: give the number of an entry and a name in it, like domains.0.level=2")
    at[last] = value


def _inside(at: Any, name: str, override: str) -> Any:
    """The table (or the numbered entry of a list of tables) called `name`."""
    if isinstance(at, list):
        if not name.isdigit() or int(name) >= len(at):
            raise BadRequest(f"override {override!r}: there is no entry {name} of {len(at)}; they are counted from 0")
        return at[int(name)]
    found = at.setdefault(name, {})
    if not isinstance(found, dict | list):
        raise BadRequest(f"override {override!r}: {name} is not a table")
    return found
