"""The text of an issue: what users see, never where the mistake is."""

from __future__ import annotations

import random

from .breaking import Bug
from .seeds import functions
from .types import Function

_OPENINGS = (
    "Users of `{repo}` report wrong results from {what}.",
    "Since the last release of `{repo}`, {what} sometimes gives wrong results.",
    "Something in `{repo}` is off: we see surprising results when we use {what}.",
    "A customer found that {what} in `{repo}` does not do what its documentation says.",
)
_HINTS = (
    "Most inputs work; the trouble shows with some of them only.",
    "We could not tell which inputs are affected, so please think about the edge cases too.",
    "Our own checks missed it, so the visible tests may all pass.",
)
_RULES = (
    "Find the mistake in the library and repair it. Your work is judged by the visible tests and by further tests that "
    "you cannot see. Only changes to the library's own sources count: changes to tests or configuration are ignored, "
    "and sources may not use interpreter or process facilities (sys, os, inspect, getattr, eval, ...). "
    "Call submit when you are done."
)


def write_issue(rng: random.Random, bug: Bug, level: int) -> str:
    """The prompt of a task. The higher the level, the farther from the mistake is what the issue speaks of."""
    known = functions(bug.repository, bug.language)
    seen: list[Function] = []
    for path, mutation in bug.sites:
        mine = next(item for item in known if item.path == path and item.name == mutation.function)
        symptom = _symptom(rng, mine, known, far=level > 1)
        if symptom not in seen:
            seen.append(symptom)
    titles = list(dict.fromkeys(_title(item) for item in seen))
    what = " and ".join(filter(None, [", ".join(titles[:-1]), titles[-1]]))
    promises = "\n".join(f"- {_title(item)}: {item.doc}" for item in seen if item.doc)
    opening = rng.choice(_OPENINGS).format(repo=bug.repository, what=what)
    count = "" if len(bug.sites) == 1 else f" There may be up to {len(bug.sites)} separate mistakes."
    documented = f"\n\nWhat the documentation promises:\n{promises}" if promises else ""
    return f"{opening} {rng.choice(_HINTS)}{count}{documented}\n\n{_RULES}"


def _title(function: Function) -> str:
    """A function as users know it: special methods by their class."""
    return f"`{function.name.partition('.__')[0]}`"


def _symptom(rng: random.Random, mine: Function, known: tuple[Function, ...], *, far: bool) -> Function:
    """A public function in which the mistake shows: the one that holds it, or one that calls it, directly or not."""
    reached, queue = [mine], [mine]
    while queue:
        callee = queue.pop(0)
        for item in known:
            if callee.short in item.calls and item not in reached:
                reached.append(item)
                queue.append(item)
    public = [item for item in reached if item.public]
    if mine.public and not far:
        return mine
    callers = [item for item in public if item != mine]
    return rng.choice(callers or public or [mine])
