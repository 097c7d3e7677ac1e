"""What the 33 answers stand on: certificates of sample tasks, an episode that was recorded and replayed, and a look at
the sandbox and at the package. Nothing here judges.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.metadata
import inspect
import json
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ...envs.environment import Environment
from ...envs.types import Task, ToolCall, plain_copy
from ...infra.images.build import BuiltImage, find_image
from ...infra.sandbox.sync import Sandbox, Sandboxes
from ...infra.sandbox.types import DEFAULT_LIMITS, Limits
from ...rollout.codec import DeepseekCodec
from ...rollout.episode import Budget, run_episode
from ...rollout.players import ScriptedPolicy
from ...rollout.scripts import demonstrate
from ...rollout.tokenizer import train_tokenizer
from ...rollout.types import Episode, Message
from ...verifiers.types import Verdict
from ..stage import MakeEnvironment, Stage
from ..synthesize import Made
from ..types import Certificate, Evidence
from .probes import Probe, probe


class WatchedSandboxes(Sandboxes):
    """Sandboxes that remember which limits and hosts were asked for."""

    def __init__(self, backend_name: str = "auto") -> None:
        super().__init__(backend_name)
        self.asked: list[tuple[str, Limits, tuple[str, ...]]] = []

    def lease(
        self,
        image: str = "python",
        limits: Limits = DEFAULT_LIMITS,
        owner: str = "",
        allow_hosts: Sequence[str] = (),
    ) -> Sandbox:
        """See `Sandboxes.lease`."""
        self.asked.append((image, limits, tuple(allow_hosts)))
        return super().lease(image, limits, owner, allow_hosts)


@dataclass(frozen=True)
class Recorded:
    """The oracle's episode as the episode loop plays it, and the replay of its messages."""

    first: Episode
    replayed: Episode


@dataclass
class Ground:
    """Evidence about one environment. `survey` is what was seen over all samples together."""

    cls: type[Environment]
    make: MakeEnvironment
    made: Sequence[Made]
    survey: Sequence[Evidence]
    sandboxes: WatchedSandboxes | None = None
    rewards: list[float] = field(default_factory=list)

    @property
    def tasks(self) -> list[Task]:
        """The sample tasks."""
        return [made.certified.task for made in self.made if made.certified is not None]

    @property
    def certificates(self) -> list[Certificate]:
        """Their certificates."""
        return [made.certified.certificate for made in self.made if made.certified is not None]

    def all_of(self, name: str) -> list[Evidence]:
        """One check of every certificate in which it was made."""
        return [found for one in self.certificates if (found := one.evidence(name)) is not None]

    def seen(self, name: str) -> Evidence | None:
        """One finding over all samples."""
        return next((one for one in self.survey if one.name == name), None)

    @cached_property
    def probe(self) -> Probe | None:
        """What hostile commands could do in a fresh sandbox; None for an environment without."""
        if self.sandboxes is None or self.cls.image is None:
            return None
        return probe(self.sandboxes, self.image_name)

    @property
    def image_name(self) -> str:
        """The image that was leased first, else the one the class names."""
        asked = self.sandboxes.asked if self.sandboxes is not None else []
        return asked[0][0] if asked else self.cls.image or ""

    @cached_property
    def image(self) -> BuiltImage | None:
        """The image's root file system and manifest; None where only an engine has it, or there is none."""
        return find_image(self.image_name) if self.cls.image is not None else None

    @cached_property
    def verdicts(self) -> list[tuple[str, Verdict]]:
        """The verdicts of the first sample: on the right answer, on none, and on a wrong one."""
        if not self.tasks:
            return []
        stage = Stage(self.make, self.tasks[0])
        found = [("nothing", stage.judge(None)), ("a wrong text", stage.judge("palestra"))]
        if self.recorded is not None:
            found.insert(0, ("the oracle", self.recorded.first.verdict))
        return found

    @cached_property
    def recorded(self) -> Recorded | None:
        """The first sample, played by the oracle and replayed; None where there is no task."""
        if not self.tasks or not self.certificates[0].evidence("noop_fails"):
            return None
        messages = demonstrate(self.make(), self.tasks[0])
        first = self._play(messages)
        said = [turn.move.message for turn in first.turns if turn.move.message is not None]
        return Recorded(first, self._play(said))

    def _play(self, messages: list[Message]) -> Episode:
        codec = DeepseekCodec(train_tokenizer([], 300))
        policy = ScriptedPolicy("oracle", lambda task, sample: list(messages), codec)
        budget = Budget(turns=len(messages) + 1)
        return asyncio.run(run_episode(self.make(), self.tasks[0], policy, budget=budget))

    @cached_property
    def leftovers(self) -> str:
        """What one episode's tools leave for another that starts while it runs; empty where nothing."""
        task = self.tasks[0]
        mine, other = self.make(), self.make()
        try:
            mine.start(task.model_copy(deep=True))
            begun = plain_copy(mine.world)  # `start` may add to the task's
            for turn in self.recorded.first.turns if self.recorded else ():
                for call in (turn.move.message or {}).get("tool_calls") or ():
                    name = call["function"]["name"]
                    if not self.cls.toolset[name].schema.submits:
                        mine.call(ToolCall(name=name, arguments=_arguments(call["function"]["arguments"])))
            other.start(task.model_copy(deep=True))
            return "" if other.world == begun else "a world that starts after another's calls is not as that one was"
        finally:
            mine.close()
            other.close()

    @cached_property
    def package(self) -> Package:
        """The code of the environment."""
        return Package(self.cls)


class Package:
    """Where an environment's code is, what it imports, and which distribution it came with."""

    def __init__(self, cls: type[Environment]) -> None:
        file = inspect.getsourcefile(cls)
        self.module = Path(file) if file else Path(cls.__module__)
        home = self.module.parent
        own = home.name not in ("site-packages", "tests") and any(home.glob("__init__.py"))
        own = own or "palestra" in home.parts or (home.parent / "environment.py").exists()
        self.files = sorted(path for path in home.rglob("*") if path.is_file()) if own else [self.module]
        self.files = [path for path in self.files if "__pycache__" not in path.parts]

    @cached_property
    def distribution(self) -> importlib.metadata.Distribution | None:
        """The distribution that offers the environment's module; None where the module was never installed."""
        names = importlib.metadata.packages_distributions()
        top = "palestra" if self.module.parent.parent.name in ("envs", "synth") else self.module.stem
        for name in names.get(top, []):
            return importlib.metadata.distribution(name)
        return None

    @cached_property
    def declared(self) -> list[str]:
        """The requirements of that distribution: of an editable one as its pyproject.toml has them now."""
        found = self.distribution
        if found is None:
            return []
        origin = json.loads(found.read_text("direct_url.json") or "{}")
        if origin.get("dir_info", {}).get("editable"):
            project = Path(unquote(urlsplit(origin["url"]).path)) / "pyproject.toml"
            if project.is_file():
                return list(tomllib.loads(project.read_text("utf-8"))["project"].get("dependencies", []))
        return list(found.requires or [])

    @cached_property
    def imports(self) -> list[str]:
        """Top-level names of what its Python files import from other distributions."""
        found = {name for path in self._sources() for name in _imported(path)}
        return sorted(found - set(sys.stdlib_module_names) - {"palestra", self.module.stem, "__future__"})

    def _sources(self) -> list[Path]:
        """The module and what of its package it imports; a package may also hold Python files that are data."""
        found, left = [], [self.module]
        while left:
            path = left.pop()
            if path in found or path not in self.files:
                continue
            found.append(path)
            left += _beside(path)
        return found

    @cached_property
    def requirements(self) -> dict[str, str]:
        """Installed versions of the distributions it imports."""
        names = importlib.metadata.packages_distributions()
        owners = [names.get(name, [name])[0] for name in self.imports]
        return {owner: _version(owner) for owner in owners}


def _beside(path: Path) -> Iterator[Path]:
    """The files that the relative imports of a file may mean."""
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            place = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for target in (place, *(place / alias.name for alias in node.names)):
                yield from (target.with_name(f"{target.name}.py"), target / "__init__.py")


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text("utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return ast.Module([], [])


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _arguments(given: Any) -> dict[str, Any]:
    return given if isinstance(given, dict) else dict(json.loads(given))
