"""The Environment API: what an author writes, and how one episode's world is held."""

from __future__ import annotations

import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from ..verifiers.types import Verdict
from .errors import ToolError
from .mutations import mutate_answer
from .tools import Tool, call_tool, tools_of
from .types import Answer, Cheat, Task, ToolCall, ToolResult, ToolSchema, World, canonical, plain_copy

if TYPE_CHECKING:
    from ..infra.sandbox.sync import Sandboxes


class Environment(ABC):
    """A world with tools that can propose tasks, solve them through its own tools, and verify an answer.

    One instance serves one episode: `start(task)` puts the task's world into `self.world`, tools read and change it,
    `finish` hands it over to `verify`. Subclasses set `id` and `version`, and write `propose`, `solve`, `verify` and
    at least one `@tool` (or say `toolless = True`, where thinking alone answers). An environment that runs commands
    sets `image` to the sandbox image it needs (`images` where tasks need different ones; then `image` is any of them)
    and leases from `self.sandboxes`; where a tool runs a command line of the agent's choice (its one required
    argument), `shell_tool` is that tool's name, so that the red team can use it. `max_turns` bounds an episode where
    nobody says otherwise.
    """

    id: ClassVar[str]
    version: ClassVar[str]
    system: ClassVar[str] = ""
    image: ClassVar[str | None] = None
    images: ClassVar[tuple[str, ...]] = ()
    levels: ClassVar[range] = range(1, 2)
    toolless: ClassVar[bool] = False
    shell_tool: ClassVar[str] = ""
    max_turns: ClassVar[int] = 16
    toolset: ClassVar[dict[str, Tool]] = {}

    world: World

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.toolset = tools_of(cls)

    def __init__(self, sandboxes: Sandboxes | None = None) -> None:
        self.world = {}
        self.sandboxes = sandboxes
        self.submitted = False
        self.answer: Answer = None

    @abstractmethod
    def propose(self, rng: random.Random, level: int) -> Task:
        """Make a task of this level from `rng` alone (same state, same task). Use `self.task(...)` to build it."""

    @abstractmethod
    def solve(self, task: Task, tools: Any) -> Answer:
        """Return a right answer; may only call `tools.NAME(...)` and compute. `tools.think(text)` says why, for
        demonstrations.
        """

    @abstractmethod
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        """Judge an answer. Pure and deterministic: reads only its arguments."""

    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        """A plausible wrong answer, for the certificate. The default changes names, numbers or items of the right
        one.
        """
        return mutate_answer(rng, answer, task.world)

    def secrets(self, task: Task, answer: Answer) -> Iterable[str]:
        """Texts that would give the right `answer` away, wherever the agent saw them before it solved the task: in the
        prompt, the tools' descriptions or `readable`. The default is the answer itself where it is a text that is more
        than a number or a letter, or a list or object as JSON. Override where the prompt names the choices.
        """
        if isinstance(answer, str):
            return [answer] if len(answer) > 3 and not answer.replace(".", "").isdigit() else []
        return [canonical(answer)] if isinstance(answer, dict | list) and answer else []

    def readable(self, task: Task) -> Iterable[str]:
        """Further texts that a started environment lays open to anybody who looks, such as the files of a sandbox."""
        return ()

    def cheats(self, rng: random.Random, task: Task) -> Iterable[Cheat]:
        """Attacks that only this environment is open to; the red team has the general ones. Each must earn nothing."""
        return ()

    def start(self, task: Task) -> None:
        """Lay out the world of `task`. Override to lease sandboxes; then also override `close`."""
        self.world = plain_copy(task.world)

    def reply(self, message: str) -> str | None:
        """The user's next message after the agent's `message`, or None: the message was its answer. Override for
        conversations of several user turns."""
        return None

    def finish(self, answer: Answer) -> World:
        """The evidence `verify` reads: by default the world as the tools left it."""
        return self.world

    def close(self) -> None:  # noqa: B027  (most environments hold nothing)
        """Give back what `start` took. Called once, also after a failure."""

    def task(self, *, seed: int, level: int, prompt: str, world: World | None = None, key: Any = None) -> Task:
        """A task of this environment; world and key pass through JSON so that equal tasks have equal ids."""
        data = json.loads(json.dumps([world or {}, key], ensure_ascii=False))
        return Task(
            env=self.id, version=self.version, seed=seed, level=level, prompt=prompt, world=data[0], key=data[1]
        )

    @classmethod
    def schemas(cls) -> list[ToolSchema]:
        """The tools as the agent is told of them."""
        return [tool.schema for tool in cls.toolset.values()]

    def call(self, call: ToolCall) -> ToolResult:
        """Run one tool call of the agent. Raises only when the environment itself is broken."""
        result, value = call_tool(self.toolset, self, call)
        if result.submitted:
            self.submitted, self.answer = True, value
        return result


Step = tuple[str, ToolCall, ToolResult]
"""(thought, call, result)."""


class SolverTools:
    """What `solve` gets: the environment's tools as functions, with every thought and call written down.

    `steps` is the demonstration: a list of (thought, call, result); `turns` has the steps of each turn together.
    """

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._thought = ""
        self.turns: list[list[Step]] = []
        self._joined = False

    @property
    def steps(self) -> list[Step]:
        """Every call, in order."""
        return [step for turn in self.turns for step in turn]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Calls made in this block are one turn of several calls: none may need what another of them returned."""
        self.turns.append([])
        self._joined = True
        try:
            yield
        finally:
            self._joined = False
            self.turns = [turn for turn in self.turns if turn]

    def think(self, text: str) -> None:
        """Say why the next call (or the answer) is made."""
        self._thought = text

    def take_thought(self) -> str:
        """The thought not yet used by a call."""
        thought, self._thought = self._thought, ""
        return thought

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self._env.toolset:
            raise AttributeError(f"{self._env.id} has no tool {name!r}; it has {', '.join(self._env.toolset)}")

        def run(**arguments: Any) -> Any:
            call = ToolCall(name=name, arguments=arguments)
            result, value = call_tool(self._env.toolset, self._env, call)
            if not self._joined:
                self.turns.append([])
            self.turns[-1].append((self.take_thought(), call, result))
            if not result.ok:
                raise ToolError(f"{name}({arguments}) was refused: {result.text}")
            return value

        return run
