"""What a failed test saw, in words that a user could have written: no path, no line, no name of a tool."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_VALUE, MAX_SAID = 160, 300
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# What an assertion library says, and which group was expected, which one came.
_PAIRS: Sequence[tuple[re.Pattern[str], int, int]] = tuple(
    (re.compile(pattern, re.DOTALL), expected, got)
    for pattern, expected, got in (
        (r"expected: <(.*?)> but was: <(.*?)>(?:\s|$)", 1, 2),
        (r"expected:\s*<(.*?)> but was:\s*<(.*?)>", 1, 2),
        (r"[Ee]xpected '?(.+?)'? but (?:got|was|found) '?(.+?)'?(?:\n|$)", 1, 2),
        (r"two \w+ are (?:identical|equal)\.\n--- Expected\n\+\+\+ Actual\n@@ @@\n-([^\n]*)\n\+([^\n]*)", 1, 2),
        (r"Failed asserting that (.+?) (?:matches expected|is identical to) (.+?)\.(?:\n|$)", 2, 1),
        (r"Expected values to be strictly (?:deep-)?equal:\n+(.+?) !== (.+?)(?:\n\n|$)", 2, 1),
        (r"expected (.+?) to (?:deeply )?(?:strictly )?(?:equal|eql) (.+?)(?:\n|$)", 2, 1),
        (r"got:? (.+?)[,;]? (?:but )?(?:want(?:ed)?|expected):? (.+?)(?:\n|$)", 2, 1),
        (r"= (.+?)[,;] (?:want(?:ed)?|expected):? (.+?)(?:\n|$)", 2, 1),
        (r"want(?:ed)?:? (.+?)[,;] (?:but )?got:? (.+?)(?:\n|$)", 1, 2),
        (r"Expected equality of these values:\n\s*(.+?)\n(?:\s+Which is: (.+?)\n)?\s*(.+?)(?:\n|$)", 3, 2),
    )
)
_UNEQUAL = tuple(
    re.compile(pattern)
    for pattern in (
        r"AssertionError: (.+?) != (.+?)(?:$|\n| : )",
        r"assert (.+?) == (.+?)(?:\n|$)",
        r"\[  ERROR   \] --- (.+?) != (.+?)(?:\n|$)",
        r"(?:Assertion|Failure) '(.+?) == (.+?)' failed",
        r"'(.+?)' == '(.+?)' failed",
    )
)
_SILENT_ERROR = re.compile(
    r"(\w+) not raised|DID NOT RAISE <class '(?:[\w.]*\.)?(\w+)'>|Expected (?:[\w.]*\.)?(\w+) to be thrown"
    r'|exception of type "(?:[^"]*\\)?(\w+)" is thrown|Missing expected (\w+)|to throw (?:an )?(\w+)'
)
_PREFIX = re.compile(r"^(?:Lists|Tuples|Dicts|Sets|Sequences) differ: |^AssertionError: ")
_CRASH = re.compile(
    r"SEGV|SegFault|Segmentation|SIGABRT|Subprocess aborted|panic: (.{1,120})|stack overflow", re.IGNORECASE
)
_SLOW = re.compile(r"[Tt]ime(?:d? ?out|out)|\bTimeout\b")
_ERROR = re.compile(r"\b((?:[A-Za-z_][\w.\\]*)?(?:Error|Exception)|TypeError)\b:? ?([^\n]{0,200})")
_PLACE = re.compile(
    r"(?:file:/+)?[\w./\\-]*[\w-]+\.(?:py|js|mjs|cjs|ts|java|c|h|cc|cpp|hpp|go|php)\b(?::\d+)*|\bline \d+|:\d+:\d+"
)
_NOISE = re.compile(
    r"^\s*(=== RUN|--- FAIL|at |\[ +RUN|\[=+\]|\[-+\]|\[ +PASSED|\[ +FAILED|Running main|Note:|E\s+\+|\d+ FAILED)"
)
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_TEST = re.compile(r"\b[\w\\]+::test\w*")
_LIBRARY = frozenset({"AssertionError", "AssertionFailedError", "ExpectationFailedException", "AssertionException"})


@dataclass(frozen=True)
class Symptom:
    """What was seen: one sentence about values, an error or a crash."""

    said: str
    values: tuple[str, ...] = ()


def read_symptom(message: str) -> Symptom:
    """A failed test's message as a symptom."""
    text = _ANSI.sub("", message).strip()
    for pattern, expected, got in _PAIRS:
        if (found := pattern.search(text)) and found[expected] and found[got]:
            due, seen = _value(found[expected]), _value(found[got])
            if due != seen:
                return Symptom(f"it gives `{seen}` where `{due}` is expected", (due, seen))
    for pattern in _UNEQUAL:
        if found := pattern.search(text):
            first, second = _value(found[1]), _value(found[2])
            if first != second:
                return Symptom(f"`{first}` and `{second}` come out where the same value is expected", (first, second))
    if found := _SILENT_ERROR.search(text):
        kind = next(name for name in found.groups() if name)
        return Symptom(f"an input that must be refused is taken: no {kind} comes")
    if found := _CRASH.search(text):
        return Symptom("the program crashes" + (f": {_plain(found[1])}" if found[1] else ""))
    if found := _ERROR.search(text):
        kind = found[1].rpartition(".")[2].rpartition("\\")[2]
        if kind not in _LIBRARY:
            why = _plain(found[2])
            return Symptom(f"it ends with {kind}" + (f": {why}" if why else ""))
    if _SLOW.search(text):
        return Symptom("it does not come to an end")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _NOISE.match(line)]
    told = [_plain(line).removeprefix("AssertionError").lstrip(": ") for line in lines]
    said = _shortened("; ".join(list(filter(None, told))[:2]), MAX_SAID)
    return Symptom(f"a check says: {said}" if said else "the result is not the expected one")


def scenario(test: str) -> str:
    """What a test is about, from its id: its last name, as words."""
    name = test
    if " " not in re.sub(r"\[.*\]$", "", test):
        name = re.sub(r"\(\)$|\[.*\]$", "", test)
        name = name.rpartition(".")[2]
        name = re.sub(r"^[Tt]est_?(?=.)|_?[Tt]est$", "", name)
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.replace("_", " ").replace("-", " ")).lower()
    else:
        name = name.replace(".", ": ", 1)
    return " ".join(_PLACE.sub("", name).split())[:120].rstrip(" :")


def _value(text: str) -> str:
    """A value on one line, cut to a sane length."""
    line = _PREFIX.sub("", " ".join(text.split()))
    return _shortened(_ADDRESS.sub("0x...", _PLACE.sub("...", line)).replace("`", "'"), MAX_VALUE)


def _plain(text: str) -> str:
    line = _TEST.sub("", _PLACE.sub("", " ".join(text.split())))
    return _shortened(_ADDRESS.sub("0x...", line).replace("`", "'").strip(" :-"), MAX_SAID)


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
