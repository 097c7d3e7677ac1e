"""Collect the evidence that a task can be trusted: it can be solved, cannot be had for nothing, and is judged alike
twice.

Each check runs in an environment of its own and on a copy of the task, so that none sees what another left behind.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..envs.environment import Environment, SolverTools
from ..envs.types import Answer, Task, ToolCall, canonical
from ..infra.sandbox.types import SandboxError
from ..infra.store.columns import plain_json
from ..rollout.answers import answer_text, read_answer
from ..verifiers.types import Verdict
from .types import Certificate, Evidence

MakeEnvironment = Callable[[], Environment]
REPEATS = 4
"""How often `same_twice` judges the right answer, the oracle's own verdict not counted."""
_SEEDS = range(-(2**63), 2**63)


@dataclass(frozen=True)
class _Solution:
    """How the oracle solved a task. `answer` is what an agent's would be: a submitted value, else read from text;
    `returned` is what `solve` returned.
    """

    calls: tuple[ToolCall, ...]
    submitted: bool
    returned: Answer
    answer: Answer
    verdict: Verdict


def certify(
    make: MakeEnvironment, task: Task, mutants: int = 3, propose: Callable[[], Task] | None = None
) -> Certificate:
    """The certificate of `task`: it is stored unchanged and (where `propose` is given) proposed alike again, the oracle
    passes, a no-op fails, verdicts agree, and `mutants` different wrong answers fail.

    SandboxError passes through (the machine is broken, which says nothing of the task); everything else an
    environment raises is evidence against its task.
    """
    began = time.perf_counter()
    env = make()
    checks = tuple(_checks(make, task, mutants, propose))
    return Certificate(
        task_id=task.id, verifier=f"{env.id}-{env.version}", checks=checks, seconds=time.perf_counter() - began
    )


def _checks(make: MakeEnvironment, task: Task, mutants: int, propose: Callable[[], Task] | None) -> Iterator[Evidence]:
    yield _attempt("reproducible", lambda: _same_task(task, propose))
    found: list[_Solution] = []
    yield _attempt("oracle_passes", lambda: _oracle(make, task, found))
    if not found:
        return
    solution = found[0]
    yield _attempt("noop_fails", lambda: _noop(make, task))
    yield _attempt("same_twice", lambda: _agree(make, task, solution))
    yield _attempt("mutants_fail", lambda: _mutants(make, task, solution, mutants))


def judge(make: MakeEnvironment, task: Task, answer: Answer) -> Verdict:
    """The verdict on an answer given at once, in a fresh environment."""
    with _staged(make, task) as (env, mine):
        return _verdict(env, mine, answer, env.finish(answer))


@contextmanager
def _staged(make: MakeEnvironment, task: Task) -> Iterator[tuple[Environment, Task]]:
    """A started environment and its own copy of the task; closed at the end."""
    env, mine = make(), task.model_copy(deep=True)
    try:
        env.start(mine)
        yield env, mine
    finally:
        env.close()


def _verdict(env: Environment, task: Task, answer: Answer, world: dict[str, object]) -> Verdict:
    verdict: object = env.verify(task, answer, world)
    if not isinstance(verdict, Verdict):
        raise AssertionError(f"verify returned a {type(verdict).__name__}, not a Verdict")
    return verdict


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


def _same_task(task: Task, propose: Callable[[], Task] | None) -> str:
    data = task.model_dump()
    if canonical(plain_json(data)) != canonical(data) or Task.model_validate_json(task.model_dump_json()) != task:
        raise AssertionError("the task changes when it is stored and read back")
    if task.seed not in _SEEDS:
        raise AssertionError(f"the seed {task.seed} does not fit into 64 bits")
    if propose is None:
        return task.id
    if propose().id != task.id:
        raise AssertionError("proposed again from the same rng, it is another task")
    return f"{task.id} twice"


def _oracle(make: MakeEnvironment, task: Task, found: list[_Solution]) -> str:
    with _staged(make, task) as (env, mine):
        tools = SolverTools(env)
        returned = env.solve(mine, tools)
        if mine.id != task.id:
            raise AssertionError("the task changes while it is solved: neither `solve` nor a tool may write into it")
        submitted = bool(tools.steps) and tools.steps[-1][2].submitted
        answer = copy.deepcopy(returned) if submitted else _said(returned)
        verdict = _verdict(env, mine, answer, env.finish(answer))
    if not verdict.passed:
        raise AssertionError(f"the solver's own answer fails: {failures(verdict)}")
    found.append(_Solution(tuple(call for _, call, _ in tools.steps), submitted, returned, answer, verdict))
    return f"{len(tools.steps)} tool calls"


def _said(answer: Answer) -> Answer:
    """The answer as a verifier gets it from an agent, whose final message is text."""
    return read_answer(answer_text(answer))


def _noop(make: MakeEnvironment, task: Task) -> str:
    _must_fail(judge(make, task, ""), "an empty answer")
    return _must_fail(judge(make, task, None), "doing nothing")


def _must_fail(verdict: Verdict, what: str) -> str:
    if verdict.validity != "valid":
        raise AssertionError(f"{what} gives no verdict: {verdict.note}")
    if verdict.passed:
        raise AssertionError(f"{what} passes")
    return failures(verdict)


def _agree(make: MakeEnvironment, task: Task, solution: _Solution) -> str:
    """Make the oracle's calls again, as an agent would, and judge what comes of it several times."""
    with _staged(make, task) as (env, mine):
        for call in solution.calls:
            env.call(call)
        answer = env.answer if env.submitted else copy.deepcopy(solution.answer)
        world = env.finish(answer)
        before = copy.deepcopy((mine, answer, world))
        verdicts = [_verdict(env, mine, answer, world) for _ in range(REPEATS)]
        changed = (mine, answer, world) != before
    for verdict in verdicts:
        if verdict != solution.verdict:
            raise AssertionError(f"played and judged again, the verdict differs: {failures(verdict)}")
    if changed:
        raise AssertionError("`verify` changes what it judges")
    return f"reward {solution.verdict.reward}, {len(verdicts) + 1} times in 2 runs"


def _mutants(make: MakeEnvironment, task: Task, solution: _Solution, wanted: int) -> str:
    rng = random.Random(task.seed)
    env = make()
    seen = {canonical(solution.answer)}
    found: list[str] = []
    for _ in range(20 * wanted):
        mutant = env.mutate(rng, task.model_copy(deep=True), copy.deepcopy(solution.returned))
        mutant = mutant if solution.submitted else _said(mutant)
        text = canonical(mutant)
        if text in seen:
            continue
        seen.add(text)
        found.append(_must_fail(judge(make, task, mutant), f"the wrong answer {text[:200]}"))
        if len(found) == wanted:
            return "; ".join(found)
    raise AssertionError(f"only {len(found)} of {wanted} different wrong answers could be made")


def failures(verdict: Verdict) -> str:
    """Why a verdict is not a pass, in one line: its note, the parts that failed, or else its reward."""
    parts = [f"{part.name} ({part.detail})" if part.detail else part.name for part in verdict.parts if not part.passed]
    return verdict.note or ", ".join(parts) or f"reward {verdict.reward}"
