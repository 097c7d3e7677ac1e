"""What only shows over many tasks of an environment: that they differ, that every level gives some, and that none can
be guessed from its looks."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from ..envs.errors import ProposeFailed
from ..envs.types import Answer, Task, ToolCall, canonical
from ..rollout.answers import read_json
from .stage import CHECK_SECONDS, SANDBOX_SECONDS, MakeEnvironment, Stage, attempt_check, said
from .synthesize import Made
from .types import Evidence
from .wanderer import texts_of

FEW, SHARE, MORE = 5, 0.6, 16
"""A guess that is right in so many tasks, and in such a share of them and of `MORE` new ones, gives the tasks away."""
DIFFERENT = 0.75
"""The share of tasks that must differ."""
_DEFAULTS = ("0", "1", "yes", "no", "none", "A")
_LISTED, _SANDBOXED = 4, 2
Guess = Callable[[Task], list[Answer]]
_TRIES = 20
_PHRASE = re.compile(r"[,;\n:.?!\"'()]|\bor\b|\band\b")


def survey(make: MakeEnvironment, made: Sequence[Made]) -> list[Evidence]:
    """The checks `varied`, `levels` and `not_guessable`, where there are enough tasks for them."""
    tasks = [one.certified.task for one in made if one.certified is not None and one.accepted]
    proposed = [one.certified.task for one in made if one.certified is not None]
    seconds = CHECK_SECONDS if make().image is None else SANDBOX_SECONDS
    found = [attempt_check("levels", lambda: _levels(make), seconds)]
    if len(proposed) > 1:
        found.append(attempt_check("varied", lambda: _varied(proposed), seconds))
    if len(tasks) >= FEW:
        found.append(attempt_check("not_guessable", lambda: _not_guessable(make, tasks), seconds))
    return found


def _varied(tasks: Sequence[Task]) -> str:
    questions = {canonical([task.prompt, task.world]) for task in tasks}
    if len(questions) < max(2, DIFFERENT * len(tasks)):
        raise AssertionError(f"of {len(tasks)} tasks only {len(questions)} differ")
    return f"{len(questions)} different ones of {len(tasks)}"


def _levels(make: MakeEnvironment) -> str:
    """One proposal per level; more tries where a draw gave none."""
    env = make()
    for level in env.levels:
        task = next(_draws(make, level, "levels", _TRIES), None)
        if task is None:
            raise AssertionError(f"level {level} proposed nothing in {_TRIES} draws")
        if (task.env, task.version, task.level) != (env.id, env.version, level):
            raise AssertionError(f"level {level} proposes a task of {task.env} {task.version}, level {task.level}")
    return f"levels {env.levels.start} to {env.levels.stop - 1} propose"


def _draws(make: MakeEnvironment, level: int, name: str, tries: int) -> Iterator[Task]:
    """What comes of so many proposals."""
    env = make()
    for number in range(tries):
        with suppress(ProposeFailed):
            yield env.propose(random.Random(f"{env.id}/{name}/{level}/{number}"), level)


def _not_guessable(make: MakeEnvironment, tasks: Sequence[Task]) -> str:
    stages = [Stage(make, task) for task in tasks]
    tried = 0
    for what, guess in _strategies(make, stages):
        tried += 1
        right, judged = _hits(guess, stages)
        if right < FEW or right < SHARE * judged:
            continue
        others = [Stage(make, task) for task in _draws(make, tasks[0].level, "guessing", MORE)]
        more, again = _hits(guess, others)
        if right + more >= SHARE * (judged + again):
            raise AssertionError(f"{what} is right in {right + more} of {judged + again} tasks")
    return f"{tried} shallow ways of guessing fail on {len(tasks)} tasks"


def _hits(guess: Guess, stages: Sequence[Stage]) -> tuple[int, int]:
    """How often a guess is right, and how often there was one."""
    verdicts = [stage.judge(answer).passed for stage in stages for answer in guess(stage.task)]
    return sum(verdicts), len(verdicts)


def _strategies(make: MakeEnvironment, stages: Sequence[Stage]) -> Iterator[tuple[str, Guess]]:
    """Ways to guess: an answer of another task, one that is a usual default, or a conspicuous word or phrase of the
    prompt or of what a tool says that needs no argument."""
    some = stages[: FEW if make().image is None else _SANDBOXED]
    right = list({canonical(answer): answer for stage in some for answer in [stage.solve().answer]}.values())
    for answer in right:
        yield f"the answer {canonical(answer)[:80]} of another task", partial(_always, answer)
    if not all(isinstance(answer, str) for answer in right):
        return
    for default in _DEFAULTS:
        yield f"the answer {default}", partial(_always, default)
    for unit, split in (("word", _words), ("phrase", _phrases)):
        for name, pick in _PICKS.items():
            yield f"the {name} {unit} of the prompt", partial(_picked, split, pick)
    for schema in make().schemas():
        if not schema.submits and not schema.parameters.get("required"):
            for name, pick in _PICKS.items():
                yield f"the {name} item that {schema.name} tells", partial(_listed, make, schema.name, pick)


def _always(answer: Answer, task: Task) -> list[Answer]:
    return [answer]


def _picked(split: Callable[[str], list[str]], pick: Callable[[list[str]], str], task: Task) -> list[Answer]:
    parts = split(task.prompt)
    return [said(pick(parts))] if parts else []


def _listed(make: MakeEnvironment, tool: str, pick: Callable[[list[str]], str], task: Task) -> list[Answer]:
    """An item of a tool's list, where there is a choice."""
    result = Stage(make, task).play([ToolCall(name=tool)], None).results[0].text
    try:
        items = texts_of(read_json(result))
    except ValueError:
        items = [line.strip() for line in result.splitlines() if line.strip()]
    return [said(pick(items))] if len(items) >= _LISTED else []


def _words(prompt: str) -> list[str]:
    return re.findall(r"\w+", prompt)


def _phrases(prompt: str) -> list[str]:
    """What stands between punctuation, of the last list where there is one: the choices of a question."""
    return [part.strip() for part in _PHRASE.split(prompt) if part.strip()]


_PICKS: dict[str, Callable[[list[str]], str]] = {
    "first": lambda parts: parts[0],
    "last": lambda parts: parts[-1],
    "longest": lambda parts: max(parts, key=len),
    "shortest": lambda parts: min(parts, key=len),
    "most frequent": lambda parts: Counter(parts).most_common(1)[0][0],
    "alphabetically first": min,
    "alphabetically last": max,
}
