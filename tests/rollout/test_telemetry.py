"""An episode's spans: exactly the tree that was played, with its failures, and the seconds of its parts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from palestra.envs.environment import Environment
from palestra.envs.errors import ToolError
from palestra.envs.tools import tool
from palestra.envs.types import Answer, Task, World
from palestra.infra.sandbox.sync import Sandbox, Sandboxes
from palestra.rollout.codec import DeepseekCodec, assistant_message
from palestra.rollout.episode import run_episode
from palestra.rollout.errors import EngineError
from palestra.rollout.players import ScriptedEngine, TokenPolicy
from palestra.rollout.tokenizer import train_tokenizer
from palestra.rollout.types import Completion, Episode, Message, Sampling
from palestra.verifiers.checks import all_of, check
from palestra.verifiers.types import Verdict

CODEC = DeepseekCodec(train_tokenizer([], 300), show_tools=False)


class Shell(Environment):
    """Run a command in a sandbox."""

    id = "shell"
    version = "1"
    image = "python"
    box: Sandbox

    def propose(self, rng: random.Random, level: int) -> Task:
        return self.task(seed=1, level=level, prompt="Say hello.")

    def solve(self, task: Task, tools: Any) -> Answer:
        return tools.shell(command="echo hello")

    def start(self, task: Task) -> None:
        super().start(task)
        assert self.sandboxes is not None
        self.box = self.sandboxes.lease("python")

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("hello", self.box.exec(["echo", str(answer)]).text == "hello\n")])

    def finish(self, answer: Answer) -> World:
        return {"listing": self.box.exec(["ls"]).text}

    def close(self) -> None:
        self.box.close()

    @tool
    def shell(self, command: str) -> str:
        """Run a command."""
        if not command:
            raise ToolError("there is no command")
        if command == "boom":
            raise RuntimeError("the environment broke")
        return self.box.exec(command).text


def play(messages: Sequence[Message]) -> Episode:
    task = Shell().propose(random.Random(0), 1)
    engine = ScriptedEngine([CODEC.assistant(message) for message in messages])
    with Sandboxes("process") as sandboxes:
        policy = TokenPolicy("scripted", engine, CODEC, Sampling(max_tokens=1 << 20))
        return asyncio.run(run_episode(Shell(sandboxes), task, policy, sample=4))


def run_of(command: str) -> Message:
    return assistant_message("Run.", calls=[("shell", {"command": command})])


def tree(spans: InMemorySpanExporter, under: ReadableSpan | None = None) -> list[Any]:
    """Names and children, in the order they began."""
    above = under.context.span_id if under and under.context else None
    found = sorted(spans.get_finished_spans(), key=lambda one: one.start_time or 0)
    children = [one for one in found if (one.parent.span_id if one.parent else None) == above]
    return [[one.name, *tree(spans, one)] if tree(spans, one) else one.name for one in children]


def named(spans: InMemorySpanExporter, name: str) -> list[dict[str, Any]]:
    found = [one for one in spans.get_finished_spans() if one.name == name]
    return [
        {key.removeprefix("palestra."): value for key, value in (one.attributes or {}).items()}
        | {"errors": [(event.attributes or {})["exception.type"] for event in one.events], "status": one.status}
        for one in sorted(found, key=lambda one: one.start_time or 0)
    ]


def test_one_episode_gives_exactly_its_tree(spans: InMemorySpanExporter) -> None:
    both = assistant_message("Run.", calls=[("shell", {"command": "true"}), ("shell", {"command": "echo hello"})])
    episode = play([both, assistant_message("Done.", "hello")])
    assert episode.verdict.reward == 1.0
    judging = ["verifier", "sandbox.exec", "sandbox.exec"]
    turn = ["turn", "engine", ["tool", "sandbox.exec"], ["tool", "sandbox.exec"]]
    assert tree(spans) == [["episode", "sandbox.lease", turn, ["turn", "engine"], judging]]
    (top,) = named(spans, "episode")
    expected = {"env": "shell", "task": episode.task.id, "sample": 4, "policy": "scripted", "level": 1, "turns": 2}
    expected |= {"outcome": "answered", "validity": "valid", "reward": 1.0, "errors": []}
    assert {key: top[key] for key in expected} == expected
    assert [one["turn"] for one in named(spans, "turn")] == [0, 1]
    assert named(spans, "engine")[0]["tokens"] == len(CODEC.assistant(both))
    assert [(one["tool"], one["ok"], one["errors"]) for one in named(spans, "tool")] == [("shell", True, [])] * 2
    assert {one["lease"] for one in named(spans, "sandbox.exec")} == {named(spans, "sandbox.lease")[0]["lease"]}
    assert len({one.context.trace_id for one in spans.get_finished_spans() if one.context}) == 1


def test_a_tool_that_breaks_records_its_exception_and_fails_all_above(spans: InMemorySpanExporter) -> None:
    episode = play([run_of("boom")])
    assert (episode.outcome, episode.verdict.validity) == ("env_failed", "invalid_env")
    assert tree(spans) == [["episode", "sandbox.lease", ["turn", "engine", "tool"]]]
    (broken,) = named(spans, "tool")
    assert broken["errors"] == ["RuntimeError"]
    assert broken["status"].description == "RuntimeError: the environment broke"
    assert not named(spans, "turn")[0]["status"].is_ok
    assert named(spans, "turn")[0]["errors"] == ["RuntimeError"]
    (top,) = named(spans, "episode")
    assert (top["validity"], top["status"].is_ok) == ("invalid_env", False)


def test_a_mistake_of_the_agent_marks_the_tool_and_nothing_above(spans: InMemorySpanExporter) -> None:
    play([run_of(""), assistant_message("Done.", "hello")])
    (refused,) = named(spans, "tool")
    assert (refused["ok"], refused["errors"], refused["status"].is_ok) == (False, [], False)
    assert "there is no command" in refused["status"].description
    assert named(spans, "turn")[0]["status"].is_ok
    assert named(spans, "episode")[0]["status"].is_ok


def test_an_engine_that_breaks_is_the_engines_span(spans: InMemorySpanExporter) -> None:
    class Broken(ScriptedEngine):
        async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
            raise EngineError("no power")

    with Sandboxes("process") as sandboxes:
        policy = TokenPolicy("broken", Broken([]), CODEC, Sampling())
        asyncio.run(run_episode(Shell(sandboxes), Shell().propose(random.Random(0), 1), policy))
    assert named(spans, "engine")[0]["errors"] == ["palestra.rollout.errors.EngineError"]
    assert tree(spans) == [["episode", "sandbox.lease", ["turn", "engine"]]]


def test_the_seconds_of_the_parts_are_metrics_where_nobody_records() -> None:
    episode = play([run_of("true"), assistant_message("Done.", "hello")])
    parts = {name: episode.metrics[f"{name}_seconds"] for name in ("engine", "tool", "lease", "verifier")}
    assert all(seconds > 0 for seconds in parts.values())
    assert sum(parts.values()) < episode.seconds
