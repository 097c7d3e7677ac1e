"""Final states: what was expected beside what was found, as JSON trees (`files.py`: as file trees), with named
differences.

Places are written as JSON pointers (RFC 6901) in trees and as relative paths in file trees. What does not matter is
ignored by patterns over them: `*` is any one step or any text within one, `**` any number of steps ("log/**",
"/users/*/last_login").
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Any, Literal

from .quantities import Number, exact
from .trees import problem
from .types import Part

MAX_NODES = 200_000
_TOLD = 8
Kind = Literal["missing", "extra", "changed"]


@dataclass(frozen=True)
class Difference:
    """One place where the found state is not the expected one; `expected` and `found` are cut to 80 characters.
    `leaves` says how much is at stake: what is lost of the expected state, or how much too much there is.
    """

    place: str
    kind: Kind
    expected: str = ""
    found: str = ""
    leaves: int = 1

    def __str__(self) -> str:
        told = f": expected {self.expected}, found {self.found}" if self.kind == "changed" else ""
        return f"{self.place or '/'} {self.kind}{told}"


@dataclass(frozen=True)
class Leeway:
    """What may differ: places that match `ignore`, numbers within max(absolute, relative * |expected|), lists at places
    that match `unordered` in their order.
    """

    ignore: tuple[str, ...] = ()
    absolute: Number = 0
    relative: Number = 0
    unordered: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("absolute", "relative"):
            if exact(getattr(self, name)) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: a tolerance cannot be negative")

    def ignores(self, place: str) -> bool:
        """Whether nothing at `place` matters."""
        return any(_pattern(one).fullmatch(place) for one in self.ignore)

    def near(self, wanted: float, found: float) -> bool:
        """Whether a number found is close enough to the one wanted."""
        if wanted == found:
            return True
        size = exact(wanted)
        return abs(size - exact(found)) <= max(exact(self.absolute), exact(self.relative) * abs(size))


def same_state(
    name: str, expected: object, found: object, leeway: Leeway | None = None, *, partial: bool = False
) -> Part:
    """Satisfied when the JSON trees are equal but for `leeway`; the detail names up to eight differences.

    1, 1.0 and True: numbers compare by value, booleans are no numbers. With `partial` the score is the share of the
    expected leaves that are right, each extra one counting as one wrong. ValueError for an `expected` that is not JSON.
    """
    if wrong := problem(expected, nodes=MAX_NODES):
        raise ValueError(f"the expected state cannot be used: {wrong}")
    if wrong := problem(found, nodes=MAX_NODES):
        return Part(name=name, score=0.0, detail=f"the found state cannot be compared: {wrong}")
    rule = leeway or Leeway()
    differences = list(tree_differences(expected, found, rule))
    return part_of(name, differences, _leaves(expected, rule), partial)


def tree_differences(expected: Any, found: Any, leeway: Leeway, place: str = "") -> Iterator[Difference]:
    """Where two JSON trees differ, in the order of the expected one. Both must be shallow (`trees.problem`)."""
    if leeway.ignores(place):
        return
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        keys = [*expected, *(key for key in found if key not in expected)]
        pairs = [(_escaped(key), expected.get(key, _NONE), found.get(key, _NONE)) for key in keys]
    elif isinstance(expected, list | tuple) and isinstance(found, list | tuple):
        loose = any(_pattern(one).fullmatch(place) for one in leeway.unordered)
        ordered = _paired(expected, found, leeway, place) if loose else zip_longest(expected, found, fillvalue=_NONE)
        pairs = [(str(index), one, other) for index, (one, other) in enumerate(ordered)]
    else:
        if not _same_leaf(expected, found, leeway):
            yield Difference(place, "changed", shown(expected), shown(found), max(1, _leaves(expected, leeway, place)))
        return
    for step, one, other in pairs:
        inner = f"{place}/{step}"
        if one is _NONE or other is _NONE:
            size = _leaves(other if one is _NONE else one, leeway, inner)
            if size and one is _NONE:
                yield Difference(inner, "extra", "", shown(other), size)
            elif size:
                yield Difference(inner, "missing", shown(one), "", size)
        else:
            yield from tree_differences(one, other, leeway, inner)


def _paired(expected: Sequence[Any], found: Sequence[Any], leeway: Leeway, place: str) -> list[tuple[Any, Any]]:
    """Each expected item with its equal in `found`, or else with the first that differs only within the leeway (looked
    for in lists of up to 500 others), or else with what is left in its order. First come, first served.
    """
    by_text: dict[str, list[int]] = {}
    for index, item in enumerate(found):
        by_text.setdefault(_canonical(item), []).append(index)
    left = dict(enumerate(found))
    beside: dict[int, Any] = {}
    for index, item in enumerate(expected):  # equal as they stand: without comparing each with each
        if same := by_text.get(_canonical(item)):
            beside[index] = left.pop(same.pop(0))
    for index, item in enumerate(expected):
        if index not in beside and len(left) <= _MAX_NEAR:
            step = f"{place}/{index}"
            near = next((key for key, one in left.items() if not any(tree_differences(item, one, leeway, step))), None)
            if near is not None:
                beside[index] = left.pop(near)
    rest = iter(left.values())
    pairs = [(item, beside[index] if index in beside else next(rest, _NONE)) for index, item in enumerate(expected)]
    return pairs + [(_NONE, one) for one in rest]


_NONE = object()
_MAX_NEAR = 500


def _canonical(item: Any) -> str:
    return json.dumps(item, sort_keys=True)


def _same_leaf(expected: object, found: object, leeway: Leeway) -> bool:
    if isinstance(expected, bool) or isinstance(found, bool) or expected is None or found is None:
        return expected is found
    if isinstance(expected, int | float) and isinstance(found, int | float):
        return leeway.near(expected, found)
    return isinstance(expected, str) and expected == found


def _leaves(value: Any, leeway: Leeway, place: str = "") -> int:
    """How many places of `value` hold nothing further and matter; an empty object or list counts as one."""
    if leeway.ignores(place):
        return 0
    if isinstance(value, Mapping) and value:
        return sum(_leaves(item, leeway, f"{place}/{_escaped(key)}") for key, item in value.items())
    if isinstance(value, list | tuple) and value:
        return sum(_leaves(item, leeway, f"{place}/{index}") for index, item in enumerate(value))
    return 1


def part_of(name: str, differences: list[Difference], expected: int, partial: bool) -> Part:
    """The part that tells of differences from a state of `expected` leaves."""
    more = f" and {len(differences) - _TOLD} more" if len(differences) > _TOLD else ""
    detail = "; ".join(map(str, differences[:_TOLD])) + more or "as expected"
    if not partial:
        return Part(name=name, score=0.0 if differences else 1.0, detail=detail)
    return Part(name=name, score=_share(differences, expected), detail=detail)


def _share(differences: Iterable[Difference], expected: int) -> float:
    """What is right of the expected leaves over them and those too many."""
    wrong = list(differences)
    if not wrong:
        return 1.0
    extra = sum(one.leaves for one in wrong if one.kind == "extra")
    lost = sum(one.leaves for one in wrong) - extra
    return max(0, expected - lost) / max(1, expected + extra)


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def shown(value: object) -> str:
    """A value as a detail shows it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    """A pattern over places as a regular expression; `**` alone in a step is any number of steps."""
    steps = []
    for step in pattern.split("/"):
        inner = "".join("[^/]*" if one == "*" else re.escape(one) for one in step)
        steps.append(inner if step != "**" else "**")
    text = "/".join(steps)
    text = text.replace("**/", "(?:[^/]*/)*").replace("/**", "(?:/[^/]*)*").replace("**", ".*")
    return re.compile(text, re.DOTALL)
