"""The oracle: repairs a bug through the tools, one step after the other, and says what it sees."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ..types import Task

_WHY = {
    "boundary": "the comparison is off at its boundary",
    "comparison": "the comparison is the wrong one",
    "arithmetic": "the arithmetic operator is the wrong one",
    "constant": "a constant is wrong",
    "off-by-one": "the value is off by one",
    "swap": "the arguments are in the wrong order",
    "order": "two statements are in the wrong order",
    "connective": "the conditions are joined the wrong way",
    "variable": "the wrong variable is used",
    "negation": "the condition is the wrong way round",
    "dropped": "something is missing",
    "update": "a value is not kept up to date",
    "null-check": "a special case is not looked at",
    "early-return": "it returns too early",
    "default": "the default value is wrong",
    "function": "the opposite function is called",
}
_CONTEXT = 6


def hunk(before: str, after: str) -> tuple[int, str, str]:
    """The first changed line, and the fewest whole lines, unique in `before`, whose replacement gives `after`."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    first = head
    while True:
        snippet = "".join(old[head : len(old) - tail])
        if snippet.strip() and before.count(snippet) == 1:
            return first + 1, snippet, "".join(new[head : len(new) - tail])
        head, tail = max(0, head - 1), max(0, tail - 1) if head == 0 else tail


def hunks(before: str, after: str) -> list[str]:
    """The texts on the way from one to the other, each one changed region further; the first and last are given."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    texts, done = [before], ""
    for kind, _, end, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        done += "".join(new[first:last])
        if kind != "equal":
            texts.append(done + "".join(old[end:]))
    return texts


def solve_by_key(task: Task, tools: Any) -> Any:
    """Read each place of the bug, repair it, run the tests, submit."""
    tools.think("First I see what the repository holds.")
    tools.list_files()
    for step in task.key["steps"]:
        _repair(step, tools)
    tools.think("Now the tests.")
    tools.run_tests()
    tools.think("The repair is complete.")
    return tools.submit()


def _repair(step: Mapping[str, Any], tools: Any) -> None:
    path, line, old, new = step["path"], step["line"], step["old"], step["new"]
    if old is None:
        tools.think(f"A file is missing: {path}. I write it.")
        tools.write_file(path=path, text=new)
        return
    if new is None:
        tools.think(f"{path} should not be there. I delete it.")
        tools.delete_file(path=path)
        return
    where = f"`{step['function']}` in {path}" if step["function"] else path
    tools.think(f"The symptoms lead to {where}. I read it.")
    tools.read_file(path=path, start=max(1, line - _CONTEXT), lines=min(400, 2 * _CONTEXT + old.count("\n")))
    why = _WHY.get(step["kind"], "this is not what it should be")
    tools.think(f"At line {line} {why}. I correct it.")
    tools.replace(path=path, old=old, new=new)


def steps_between(path: str, before: str | None, after: str | None) -> list[dict[str, Any]]:
    """The steps that lead from one text of a file to another, None standing for no file."""
    place = {"path": path, "kind": "", "function": ""}
    if after is None or not (before or "").strip():
        return [{**place, "line": 1, "old": None if after is not None else "", "new": after}]
    assert before is not None
    texts, steps = hunks(before, after), []
    for one, other in pairwise(texts):
        line, old, new = hunk(one, other)
        steps.append({**place, "line": line, "old": old, "new": new})
    return steps
