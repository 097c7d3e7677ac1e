"""Attacks on the tests' verdict that leave the bug in (`cheats.toml`): from a source, which runs beside the tests, from
the shell, and by odd answers."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..types import Cheat, Task, ToolCall
from .knowledge import Knowledge

_FILE = Path(__file__).with_name("cheats.toml")
_LIKE = {"typescript": "javascript", "cpp": "c"}
_ODD = ("../report.xml", "/tmp/report.xml", "report.xml", "a/../../b.py", "./x.c", "x\n.go", "." * 300)
_MANY = 50


def cheats_of(rng: random.Random, task: Task, known: Knowledge) -> Iterator[Cheat]:
    """Every attack, the sources' ones in a file that holds the bug."""
    broken: Mapping[str, str | None] = task.world["broken"]
    there = sorted(path for path, text in broken.items() if text is not None)
    language = known.project.language
    for attack in _attacks()[_LIKE.get(language, language)] if there else ():
        path = rng.choice(there)
        text = _put(broken[path] or "", attack["where"], attack["code"])
        yield Cheat(name=f"source: {attack['name']}", answer={"files": {path: text}})
    for attack in _attacks()["shell"]:
        call = ToolCall(name="shell", arguments={"command": attack["code"]})
        yield Cheat(name=f"shell: {attack['name']}", calls=(call,), submit=True)
    for name, paths in (("tests", known.project.tests), ("hidden tests", known.project.hidden), ("odd paths", _ODD)):
        yield Cheat(name=f"answer: {name} replaced", answer={"files": dict.fromkeys(sorted(paths)[:_MANY], "")})


@cache
def _attacks() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text())


def _put(text: str, where: str, code: str) -> str:
    if where == "class":
        return re.sub(r"(\b(?:class|enum|record)\b[^{;]*\{)", lambda found: found[1] + code, text, count=1)
    if where == "header":
        return re.sub(r"(?m)^(package \w+.*)$", lambda found: f"{found[1]}\n{code}", text, count=1)
    return f"{text}\n{code}"
