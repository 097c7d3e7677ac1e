"""The oracle: repairs a bug through the tools, one mistake after the other, and says what it sees."""

from __future__ import annotations

from typing import Any

from ..types import Task

_WHY = {
    "boundary": "the comparison is off at its boundary",
    "arithmetic": "the arithmetic operator is the wrong one",
    "constant": "the number is off by one",
    "swap": "the arguments are in the wrong order",
    "connective": "`and` and `or` are mixed up",
    "variable": "the wrong variable is used",
    "negation": "the condition is the wrong way round",
    "dropped": "a statement is missing",
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


def solve_by_key(task: Task, tools: Any) -> Any:
    """Read each place of the bug, replace it, run the tests, submit."""
    tools.think("First I see what the repository holds.")
    tools.list_files()
    for step in task.key["steps"]:
        path, name, line, old = step["path"], step["function"], step["line"], step["old"]
        tools.think(f"The issue leads to `{name}` in {path}. I read it.")
        tools.read_file(path=path, start=max(1, line - _CONTEXT), lines=2 * _CONTEXT + old.count("\n"))
        tools.think(f"In `{name}`, at line {line}, {_WHY[step['kind']]}. I correct it.")
        tools.replace(path=path, old=old, new=step["new"])
    tools.think("Now the tests.")
    tools.run_tests()
    tools.think("The repair is complete.")
    return tools.submit()
