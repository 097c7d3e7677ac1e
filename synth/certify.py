"""Collect the evidence that a task can be trusted: it can be solved, cannot be had for nothing, and is judged alike
twice.

Each check runs in an environment of its own, so that none sees what another left behind.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from ..envs.environment import Environment, SolverTools
from ..envs.types import Answer, Task, canonical
from ..infra.sandbox.types import SandboxError
from ..verifiers.types import Verdict
from .types import Certificate, Evidence

MakeEnvironment = Callable[[], Environment]


def certify(make: MakeEnvironment, task: Task, mutants: int = 3) -> Certificate:
    """The certificate of `task`: oracle passes, the same verdict twice, a no-op fails, `mutants` different wrong
    answers fail.

    SandboxError passes through (the machine is broken, which says nothing of the task); everything else an
    environment raises is evidence against its task.
    """
    began = time.perf_counter()
    env = make()
    checks = tuple(_checks(make, task, mutants))
    return Certificate(
        task_id=task.id, verifier=f"{env.id}-{env.version}", checks=checks, seconds=time.perf_counter() - began
    )


def _checks(make: MakeEnvironment, task: Task, mutants: int) -> Iterator[Evidence]:
    yield _attempt("reproducible", lambda: _same_task(make, task))
    answer: list[Answer] = []
    yield _attempt("oracle_passes", lambda: _oracle(make, task, answer))
    if not answer:
        return
    yield _attempt("noop_fails", lambda: _must_fail(judge(make, task, None), "doing nothing"))
    yield _attempt("same_twice", lambda: _agree(judge(make, task, answer[0]), judge(make, task, answer[0])))
    yield _attempt("mutants_fail", lambda: _mutants(make, task, answer[0], mutants))


def judge(make: MakeEnvironment, task: Task, answer: Answer) -> Verdict:
    """The verdict on an answer given at once, in a fresh environment."""
    env = make()
    try:
        env.start(task)
        return env.verify(task, answer, env.finish(answer))
    finally:
        env.close()


def _attempt(name: str, check: Callable[[], str]) -> Evidence:
    """Run one check; it returns what was seen and raises AssertionError where it does not hold."""
    try:
        return Evidence(name=name, ok=True, detail=check())
    except SandboxError:
        raise
    except AssertionError as failed:
        return Evidence(name=name, ok=False, detail=str(failed))
    except Exception as error:
        return Evidence(name=name, ok=False, detail=f"raised {type(error).__name__}: {error}"[:500])


def _same_task(make: MakeEnvironment, task: Task) -> str:
    if Task.model_validate_json(task.model_dump_json()).id != task.id:
        raise AssertionError("the task changes when it is stored and read back")
    return task.id


def _oracle(make: MakeEnvironment, task: Task, answer: list[Answer]) -> str:
    env = make()
    try:
        env.start(task)
        tools = SolverTools(env)
        found = env.solve(task, tools)
        verdict = env.verify(task, found, env.finish(found))
    finally:
        env.close()
    if not verdict.passed:
        raise AssertionError(f"the solver's own answer fails: {failures(verdict)}")
    answer.append(found)
    return f"{len(tools.steps)} tool calls"


def _must_fail(verdict: Verdict, what: str) -> str:
    if verdict.validity != "valid":
        raise AssertionError(f"{what} gives no verdict: {verdict.note}")
    if verdict.passed:
        raise AssertionError(f"{what} passes")
    return failures(verdict)


def _agree(first: Verdict, second: Verdict) -> str:
    if first != second:
        raise AssertionError("two verifications of the same answer differ")
    return f"reward {first.reward} twice"


def _mutants(make: MakeEnvironment, task: Task, answer: Answer, wanted: int) -> str:
    rng = random.Random(task.seed)
    env = make()
    seen = {canonical(answer)}
    found: list[str] = []
    for _ in range(20 * wanted):
        mutant = env.mutate(rng, task, answer)
        if canonical(mutant) in seen:
            continue
        seen.add(canonical(mutant))
        found.append(_must_fail(judge(make, task, mutant), f"the wrong answer {canonical(mutant)[:200]}"))
        if len(found) == wanted:
            return "; ".join(found)
    raise AssertionError(f"only {len(found)} of {wanted} different wrong answers could be made")


def failures(verdict: Verdict) -> str:
    """The parts that failed, in one line."""
    return ", ".join(
        f"{part.name} ({part.detail})" if part.detail else part.name for part in verdict.parts if not part.passed
    )
