"""One task on trial: every episode of it plays in an environment of its own, and none may change the task."""

from __future__ import annotations

import marshal
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from ..envs.environment import Environment, SolverTools
from ..envs.types import Answer, Task, ToolCall, ToolResult, plain_copy
from ..infra.sandbox.types import SandboxError
from ..rollout.answers import answer_text, read_answer
from ..verifiers.types import Verdict
from .types import Evidence

MakeEnvironment = Callable[[], Environment]
CHECK_SECONDS, SANDBOX_SECONDS = 60.0, 900.0
"""How long one check may take without and with a sandbox; beyond, the check does not hold."""
NEARLY = 0.995
"""What is wrong may earn a part of the reward, but not more than this."""
_PLAIN = 2  # the marshal format whose bytes depend on values alone


@dataclass(frozen=True)
class Solution:
    """How the oracle solved a task. `answer` is what an agent's would be: a submitted value, else read from text;
    `returned` is what `solve` returned, `results` what the tools said, `seconds` how long it took,
    `turns` how many an episode would count.
    """

    calls: tuple[ToolCall, ...]
    results: tuple[str, ...]
    submitted: bool
    returned: Answer
    answer: Answer
    verdict: Verdict
    seconds: float
    turns: int


@dataclass(frozen=True)
class Played:
    """What came of one episode: what its tools said, the answer that was judged, and the verdict."""

    results: tuple[ToolResult, ...]
    answer: Answer
    verdict: Verdict


class Stage:
    """Plays and judges one task again and again. AssertionError says what of it cannot be trusted."""

    def __init__(self, make: MakeEnvironment, task: Task) -> None:
        self.make, self.task = make, task
        self._frozen = _frozen(task)

    @contextmanager
    def episode(self) -> Iterator[Environment]:
        """A started environment, closed at the end. AssertionError where the task is no longer what it was."""
        env = self.make()
        try:
            env.start(self.task)
            yield env
        finally:
            env.close()
            changed = self._restore()
        if changed:
            raise AssertionError("the task changes while it is played: neither `solve` nor a tool may write into it")

    def _restore(self) -> bool:
        """Whether the task changed since; it is made anew from what it was."""
        if self._frozen is None or _frozen(self.task) == self._frozen:
            return False
        world, key = marshal.loads(self._frozen)
        self.task = self.task.model_copy(update={"world": world, "key": key})
        return True

    def solve(self) -> Solution:
        """The oracle's way. AssertionError where its own answer fails."""
        began = time.perf_counter()
        with self.episode() as env:
            tools = SolverTools(env)
            returned = env.solve(self.task, tools)
            submitted = bool(tools.steps) and tools.steps[-1][2].submitted
            answer = plain_copy(returned) if submitted else said(returned)
            verdict = self.verdict(env, answer, env.finish(answer))
        if not verdict.passed:
            raise AssertionError(f"the solver's own answer fails: {failures(verdict)}")
        calls, results = [call for _, call, _ in tools.steps], [result.text for _, _, result in tools.steps]
        seconds = time.perf_counter() - began
        turns = len(tools.turns) + (not submitted)
        return Solution(tuple(calls), tuple(results), submitted, returned, answer, verdict, seconds, turns)

    def judge(self, answer: Answer) -> Verdict:
        """The verdict on an answer given at once."""
        with self.episode() as env:
            return self.verdict(env, answer, env.finish(answer))

    def play(self, calls: Sequence[ToolCall], answer: Answer) -> Played:
        """Make calls, as an agent would, and judge what comes of it; `answer` counts where none was submitted."""
        with self.episode() as env:
            results = []
            for call in calls:
                results.append(env.call(call))
                if env.submitted:
                    break
            given = env.answer if env.submitted else plain_copy(answer)
            return Played(tuple(results), given, self.verdict(env, given, env.finish(given)))

    def verdict(self, env: Environment, answer: Answer, world: dict[str, Any]) -> Verdict:
        """What `verify` says; AssertionError where that is no verdict."""
        verdict: object = env.verify(self.task, answer, world)
        if not isinstance(verdict, Verdict):
            raise AssertionError(f"verify returned a {type(verdict).__name__}, not a Verdict")
        return verdict


def said(answer: Answer) -> Answer:
    """The answer as a verifier gets it from an agent, whose final message is text."""
    return read_answer(answer_text(answer))


def failures(verdict: Verdict) -> str:
    """Why a verdict is not a pass, in one line: its note, the parts that failed, or else its reward."""
    parts = [f"{part.name} ({part.detail})" if part.detail else part.name for part in verdict.parts if not part.passed]
    return verdict.note or ", ".join(parts) or f"reward {verdict.reward}"


def must_fail(verdict: Verdict, what: str) -> str:
    """Why it failed. AssertionError where it did not or hardly did, or where there is no verdict."""
    if verdict.validity != "valid":
        raise AssertionError(f"{what} gives no verdict: {verdict.note}")
    if verdict.passed:
        raise AssertionError(f"{what} passes")
    if (verdict.reward or 0.0) > NEARLY:
        raise AssertionError(f"{what} earns {verdict.reward:g}, hardly less than the right one")
    return failures(verdict)


def attempt_check(name: str, check: Callable[[], str | Evidence], seconds: float = CHECK_SECONDS) -> Evidence:
    """Run one check; it returns what was seen and raises AssertionError where it does not hold.

    SandboxError passes through: the machine is broken, which says nothing of the task. Everything else is evidence.
    """
    try:
        with _within(seconds):
            seen = check()
    except SandboxError:
        raise
    except AssertionError as failed:
        return Evidence(name=name, ok=False, detail=str(failed)[:2000] or "an assertion failed")
    except Exception as error:
        return Evidence(name=name, ok=False, detail=f"raised {type(error).__name__}: {error}"[:500])
    return seen if isinstance(seen, Evidence) else Evidence(name=name, ok=True, detail=seen[:2000])


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Interrupt what runs longer; only the main thread can be, elsewhere nothing is bounded."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"it was not over after {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, over)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    began = time.monotonic()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, max(0.001, left - (time.monotonic() - began)) if left else 0.0)
        signal.signal(signal.SIGALRM, before)


def _frozen(task: Task) -> bytes | None:
    try:
        return marshal.dumps((task.world, task.key), _PLAIN)
    except ValueError:  # not JSON: another check says so
        return None
