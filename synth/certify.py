"""Collect the evidence that a task can be trusted: it can be solved, cannot be had for nothing, and is judged alike
wherever, whenever and how often it is judged.

`quick` is what every task must show, and cheap. `full` also lets a random agent and the red team try, looks for what
gives the answer away, and asks a witness in another process. docs/certification.md says what each check is worth.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..envs.environment import Environment
from ..envs.types import Answer, Task, ToolCall, canonical, plain_copy
from ..infra.sandbox.select import ISOLATING
from ..infra.sandbox.types import SandboxError, SandboxUnavailable
from ..infra.store.columns import plain_json
from ..verifiers.types import Verdict
from .envelope import measure
from .leaks import look_for_leaks
from .near_misses import near_misses
from .oracle import by_tools
from .redteam.team import attack
from .slips import state_slips
from .stage import (
    CHECK_SECONDS,
    SANDBOX_SECONDS,
    MakeEnvironment,
    Solution,
    Stage,
    attempt_check,
    must_fail,
    said,
)
from .stage import failures as failures
from .types import Certificate, Depth, Evidence
from .wanderer import wander
from .witness import Play, Testimony, compare, the_witness

REPEATS = 4
"""How often `same_twice` judges the right answer, the oracle's own verdict not counted."""
MUTANTS, PLAUSIBLE, WITNESSED = 5, 3, 5
GAP = 0.1
"""By so much the right answer must earn more than doing nothing."""
_SEEDS = range(-(2**63), 2**63)
_NUMBER = re.compile(r"\d+")  # programs in a sandbox say how long they took


@dataclass
class _Case:
    """What the checks of one task share: the stage, and what the first ones found for the later ones."""

    stage: Stage
    mutants: int
    propose: Callable[[], Task] | None
    stream: str | None
    solution: Solution | None = None
    floor: float = 0.0
    wrong: list[tuple[Answer, Verdict]] = field(default_factory=list)
    nothing: list[tuple[Answer, Verdict]] = field(default_factory=list)

    @property
    def solved(self) -> Solution:
        """The oracle's way; only asked for where it passed."""
        assert self.solution is not None
        return self.solution


def certify(
    make: MakeEnvironment,
    task: Task,
    mutants: int = MUTANTS,
    propose: Callable[[], Task] | None = None,
    depth: Depth = "quick",
    stream: str | None = None,
) -> Certificate:
    """The certificate of `task`. `propose` proposes it again here, and where `stream` (the text that seeded its rng) is
    given, the witness of a full certificate proposes it again there.

    SandboxError passes through (the machine is broken, which says nothing of the task), and is raised for a full
    certificate in a sandbox that isolates nothing: the red team destroys what it reaches. Everything else
    an environment raises is evidence against its task.
    """
    began = time.perf_counter()
    env = make()
    if depth == "full":
        must_isolate(env)
    seconds = CHECK_SECONDS if env.image is None else SANDBOX_SECONDS
    case = _Case(Stage(make, task), mutants, propose, stream)
    checks = tuple(attempt_check(name, check, seconds) for name, check in _checks(case, depth))
    return Certificate(
        task_id=task.id,
        verifier=f"{env.id}-{env.version}",
        checks=checks,
        seconds=time.perf_counter() - began,
        depth=depth,
    )


def must_isolate(env: Environment) -> None:
    """SandboxUnavailable where the environment's commands would run on the machine itself."""
    if env.sandboxes is not None and env.image is not None and env.sandboxes.name not in ISOLATING:
        raise SandboxUnavailable(
            f"the sandbox {env.sandboxes.name!r} isolates nothing, and the red team destroys what it reaches: "
            f"use {' or '.join(ISOLATING)}, or --depth quick"
        )


def judge(make: MakeEnvironment, task: Task, answer: Answer) -> Verdict:
    """The verdict on an answer given at once, in a fresh environment; `task` stays as it is."""
    return Stage(make, task.model_copy(deep=True)).judge(answer)


def _checks(case: _Case, depth: Depth) -> Iterator[tuple[str, Callable[[], str | Evidence]]]:
    yield "reproducible", lambda: _same_task(case)
    yield "oracle_passes", lambda: _oracle(case)
    if case.solution is None:
        return
    yield "noop_fails", lambda: _noop(case)
    yield "same_twice", lambda: _agree(case)
    yield "mutants_fail", lambda: _mutants(case)
    wrong = [answer for answer, _ in case.wrong]
    yield "no_leak", lambda: look_for_leaks(case.stage, case.solved, wrong, depth)
    if depth == "quick":
        return
    yield "oracle_by_tools", lambda: by_tools(case.stage, case.solved)
    yield "slips_fail", lambda: state_slips(case.stage, case.solved, [answer for answer, _ in case.wrong])
    yield "near_misses_fail", lambda: near_misses(case.stage, case.solved)
    yield "random_fails", lambda: wander(case.stage)
    yield "order_independent", lambda: _reordered(case)
    yield "rescored", lambda: _rescored(case)
    yield from _witnessed(case)
    yield "envelope", lambda: measure(case.stage, case.solved)
    yield "red_team", lambda: attack(case.stage, case.solved, case.floor)


def _same_task(case: _Case) -> Evidence:
    task = case.stage.task
    data = task.model_dump()
    text = canonical(data)
    if canonical(plain_json(data)) != text or Task.model_validate_json(task.model_dump_json()) != task:
        raise AssertionError("the task changes when it is stored and read back")
    if task.seed not in _SEEDS:
        raise AssertionError(f"the seed {task.seed} does not fit into 64 bits")
    if case.propose is None:
        return Evidence(name="reproducible", ok=True, detail=f"{task.id} stored and read back; its rng is not known")
    if canonical(case.propose().model_dump()) != text:
        raise AssertionError("proposed again from the same rng, it is another task")
    stream = {"stream": case.stream} if case.stream else {}
    return Evidence(name="reproducible", ok=True, detail=f"{task.id} twice", measured=stream)


def _oracle(case: _Case) -> Evidence:
    case.solution = solution = case.stage.solve()
    return Evidence(
        name="oracle_passes",
        ok=True,
        detail=f"{len(solution.calls)} tool calls",
        measured={"reward": solution.verdict.reward, "calls": len(solution.calls), "seconds": solution.seconds},
    )


def _noop(case: _Case) -> Evidence:
    for answer, what in (("", "an empty answer"), (None, "doing nothing")):
        verdict = case.stage.judge(answer)
        why = must_fail(verdict, what)
        case.nothing.append((answer, verdict))
        case.floor = max(case.floor, verdict.reward or 0.0)
    for call in _defaults(case.stage.make()):
        must_fail(case.stage.play([call], None).verdict, f"{call.name} with its default values")
    if (case.solved.verdict.reward or 0.0) - case.floor < GAP:
        raise AssertionError(f"doing nothing earns {case.floor:g}, less than {GAP:g} below the right answer")
    return Evidence(name="noop_fails", ok=True, detail=why, measured={"floor": case.floor})


def _defaults(env: Environment) -> list[ToolCall]:
    """Handing in without saying what, where every argument has a default."""
    schemas = [schema for schema in env.schemas() if schema.submits and schema.parameters["properties"]]
    return [ToolCall(name=schema.name) for schema in schemas if not schema.parameters.get("required")]


def _agree(case: _Case) -> Evidence:
    """Make the oracle's calls again, as an agent would, and judge what comes of it several times."""
    stage, solution = case.stage, case.solved
    with stage.episode() as env:
        told = [env.call(call).text for call in solution.calls]
        answer = env.answer if env.submitted else plain_copy(solution.answer)
        world = env.finish(answer)
        before = plain_copy((answer, world))
        verdicts = [stage.verdict(env, answer, world) for _ in range(REPEATS)]
        changed = (answer, world) != before
    for verdict in verdicts:
        if verdict != solution.verdict:
            raise AssertionError(f"played and judged again, the verdict differs: {failures(verdict)}")
    if changed:
        raise AssertionError("`verify` changes what it judges")
    pairs = list(zip(solution.calls, told, solution.results, strict=True))
    if env.image is None and (other := next((call for call, one, two in pairs if one != two), None)):
        raise AssertionError(f"the same call of {other.name} gets another result in another episode")
    where = "2 runs" if env.image is None else "2 sandboxes"
    alike = sum(one == two or _NUMBER.sub("#", one) == _NUMBER.sub("#", two) for _, one, two in pairs)
    return Evidence(
        name="same_twice",
        ok=True,
        detail=f"reward {solution.verdict.reward}, {len(verdicts) + 1} times in {where}",
        measured={"judged": len(verdicts) + 1, "results": len(told), "results_alike": alike},
    )


def _mutants(case: _Case) -> str:
    found: list[str] = []
    for mutant in _wrong_answers(case):
        verdict = case.stage.judge(mutant)
        text = canonical(mutant)
        found.append(f"{text[:60]} fails by {must_fail(verdict, f'the wrong answer {text[:200]}')[:100]}")
        case.wrong.append((mutant, verdict))
        if len(found) == case.mutants:
            return "; ".join(found)
    raise AssertionError(
        f"only {len(found)} of {case.mutants} different wrong answers could be made of "
        f"{canonical(case.solved.answer)[:80]}: if the state is what counts, let the tool that submits return it, and "
        "write `mutate`"
    )


def _wrong_answers(case: _Case) -> Iterator[Answer]:
    """Different wrong answers, as an agent would hand them in: the environment's own, and where it knows `PLAUSIBLE`
    ones but no more and the answer is a text, that with its letters or digits in disorder."""
    rng = random.Random(case.stage.task.seed)
    solution, env = case.solved, case.stage.make()
    seen = {canonical(solution.answer)}
    for tries in range(20 * case.mutants):
        if tries < 10 * case.mutants or len(seen) <= PLAUSIBLE or not isinstance(solution.answer, str):
            mutant = env.mutate(rng, case.stage.task, plain_copy(solution.returned))
            mutant = mutant if solution.submitted else said(mutant)
        else:
            mutant = "".join(rng.sample(solution.answer + "xyz"[: tries % 4], len(solution.answer) + tries % 4))
        text = canonical(mutant)
        if text not in seen:
            seen.add(text)
            yield mutant


def _plays(case: _Case) -> list[tuple[Play, Verdict]]:
    """Everything of this task that has been judged, with the verdict."""
    solution = case.solved
    right = (Play(calls=solution.calls, answer=solution.answer), solution.verdict)
    return [right, *((Play(answer=answer), verdict) for answer, verdict in [*case.nothing, *case.wrong])]


def _reordered(case: _Case) -> str:
    """Judge everything backwards, the right answer after each wrong one: no verdict may remember another."""
    plays = _plays(case)
    right = plays[0]
    order = [one for wrong in reversed(plays[1:4]) for one in (wrong, right, wrong)]
    for play, verdict in order:
        again = case.stage.play(play.calls, play.answer).verdict
        if again != verdict:
            raise AssertionError(
                f"judged after other answers, the verdict on {canonical(play.answer)[:200]} differs: {failures(again)}"
            )
    return f"{len(order)} verdicts in another order"


def _rescored(case: _Case) -> str:
    """Judge what would be stored of the right episode and of wrong ones, in environments that were not there, as
    `palestra rescore` does."""
    plays = _plays(case)[: WITNESSED if case.stage.make().image is None else 2]
    for play, verdict in plays:
        with case.stage.episode() as env:
            for call in play.calls:
                env.call(call)
            answer = env.answer if env.submitted else plain_copy(play.answer)
            stored = json.loads(canonical(env.finish(answer)))
        try:
            again = case.stage.verdict(case.stage.make(), answer, stored)
        except SandboxError:
            raise
        except Exception as error:
            raise AssertionError(
                f"what is stored cannot be judged again: verify raised {type(error).__name__}: {error}"
            ) from error
        if again != verdict:
            raise AssertionError(f"judged again from what is stored, the verdict differs: {failures(again)}")
    return f"{len(plays)} verdicts from what is stored"


def _timeless(said: Testimony, plays: list[tuple[Play, Verdict]]) -> str:
    compare(said.slow, plays, "in an episode that takes long")
    return compare(said.shifted, plays, "on another day")


def _witnessed(case: _Case) -> Iterator[tuple[str, Callable[[], str | Evidence]]]:
    """What a process with another hash seed, locale, time zone and clock says, without a network."""
    plays = _plays(case)[:WITNESSED]
    heard: list[Testimony] = []

    def ask() -> str:
        said = the_witness().ask(case.stage, case.stream, [play for play, _ in plays])
        heard.append(said)
        told = compare(said.first, plays, "in another process")
        if said.proposed not in (None, case.stage.task.id):
            raise AssertionError("another process proposes another task from the same rng")
        return told if said.proposed is None else f"{told}, the task proposed alike"

    yield "same_elsewhere", ask
    if heard:
        said = heard[0]
        yield "time_independent", lambda: _timeless(said, plays)
        yield "history_independent", lambda: compare(said.later, plays, "after other tasks")
        yield "hermetic", said.hermetic
