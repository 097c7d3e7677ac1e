"""Compare an answer with a reference: texts the way question-answering benchmarks do (normalised, with aliases),
numbers exactly or within tolerances, sets and lists.

Each returns a Part. A wrong answer of whatever shape is a score of 0 with a reason; a reference that cannot be meant is
the author's mistake and raises ValueError.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

from .checks import check
from .quantities import Number, exact, read_quantity
from .types import Part

MAX_ITEMS = 10_000
MAX_ORDERED = 1_000
_MAX_ANDS = 30
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = re.compile(r"(?!(?<!\w)-\.?\d)[^\w\s]|_")
"""All but the sign of a number: 47 is not -47."""
_SEPARATORS = re.compile(r"\n|;|,(?!\d{3}\b)")
_AND = re.compile(r"\band\b")


@lru_cache(maxsize=1 << 14)  # verdicts, replays and wrong answers ask for the same few texts
def normalise(text: str) -> str:
    """Lower case, no accents' compatibility variants, no punctuation, no articles, single spaces (SQuAD's
    normalisation, NFKC), but with the signs of numbers.
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("\u2212", "-")
    return " ".join(_ARTICLES.sub(" ", _PUNCTUATION.sub(" ", folded)).split())


def exact_match(name: str, answer: object, accepted: Iterable[str]) -> Part:
    """Satisfied when `answer` is a text that equals one of `accepted` after normalisation."""
    if not isinstance(answer, str | int | float) or isinstance(answer, bool):
        return check(name, False, f"expected a text, got {type(answer).__name__}")
    given = normalise(str(answer))
    passed = bool(given) and given in {normalise(text) for text in accepted}
    return check(name, passed, "matches" if passed else f"{str(answer)[:80]!r} is not the answer")


def numeric(
    name: str,
    answer: object,
    expected: Number,
    *,
    absolute: Number = 0,
    relative: Number = 0,
    needs_unit: bool = False,
    decimal: str = ".",
) -> Part:
    """Satisfied when `answer` is a number within max(absolute, relative * |expected|) of `expected`, in exact
    arithmetic.

    `expected` may have a unit ("12.5 km", "30 %"): then the answer may be in any unit of the same dimension, and one
    without a unit counts as in the expected one, unless `needs_unit`. Without tolerances the two must be equal.
    """
    wanted = read_quantity(expected)
    slack = max(_tolerance("absolute", absolute), _tolerance("relative", relative) * abs(wanted.value))
    try:
        given = read_quantity(answer, decimal)
        if wanted.unit is not None:
            if needs_unit and given.unit is None:
                raise ValueError(f"{answer!r} has no unit")
            value = given.in_unit(wanted.unit)
        elif given.unit is None or given.unit.dimension == "share":
            value = given.value * (given.unit.factor if given.unit else 1)
        else:
            raise ValueError(f"{given.unit.name} is a unit, but a bare number is asked for")
    except ValueError as error:
        return check(name, False, str(error))
    passed = abs(value - wanted.value) <= slack
    return check(name, passed, "matches" if passed else f"{str(answer)[:80]} is not the number")


def set_match(
    name: str,
    answer: object,
    expected: Iterable[object],
    *,
    aliases: Mapping[str, Iterable[str]] | None = None,
    multiset: bool = False,
    partial: bool = False,
) -> Part:
    """Satisfied when `answer` has exactly the items of `expected`, in any order; with `multiset` each as often.

    Texts compare normalised (`aliases`: other spellings of an expected text), numbers by value, anything else as JSON.
    A text is split at commas, semicolons and line ends, and what is then no expected item at "and". With `partial` the
    score is the items in common over all that either side has, so that a list of everything there is earns little.
    """
    known = _spellings(aliases or {})
    wanted = Counter(_identity(item, known) for item in expected)
    if not wanted:
        raise ValueError("set_match needs at least one expected item")
    items = _items(answer, lambda item: _identity(item, known) in wanted)
    if isinstance(items, str):
        return check(name, False, items)
    given = Counter(_identity(item, known) for item in items)
    if not multiset:
        wanted, given = Counter(set(wanted)), Counter(set(given))
    common, all_ = (wanted & given).total(), (wanted | given).total()
    detail = f"{common} of {wanted.total()} found, {(given - wanted).total()} too many"
    if not partial:
        return check(name, common == all_, detail)
    return Part(name=name, score=common / all_, detail=detail)


def list_match(
    name: str,
    answer: object,
    expected: Sequence[object],
    *,
    aliases: Mapping[str, Iterable[str]] | None = None,
    partial: bool = False,
) -> Part:
    """Satisfied when `answer` has the items of `expected` in their order (compared as `set_match` does). With `partial`
    the score is the longest common subsequence over the longer of the two.
    """
    known = _spellings(aliases or {})
    wanted = [_identity(item, known) for item in expected]
    if not 0 < len(wanted) <= MAX_ORDERED:
        raise ValueError(f"list_match has {len(wanted)} expected items: it needs 1 to {MAX_ORDERED}")
    items = _items(answer, lambda item: _identity(item, known) in wanted, MAX_ORDERED)
    if isinstance(items, str):
        return check(name, False, items)
    given = [_identity(item, known) for item in items]
    common = _common(wanted, given)
    detail = f"{common} of {len(wanted)} in order, {len(given)} given"
    if not partial:
        return check(name, given == wanted, detail)
    return Part(name=name, score=common / max(len(wanted), len(given)), detail=detail)


def _tolerance(name: str, value: Number) -> Fraction:
    found = exact(value)
    if found < 0:
        raise ValueError(f"{name} is {value}: a tolerance cannot be negative")
    return found


def _spellings(aliases: Mapping[str, Iterable[str]]) -> dict[str, Hashable]:
    """Each alias, normalised, and the identity it stands for. ValueError where one stands for two."""
    known: dict[str, Hashable] = {}
    for text, others in aliases.items():
        meant = _identity(text, {})
        for other in others:
            if known.setdefault(_spelling(other), meant) != meant:
                raise ValueError(f"the alias {other!r} stands for two expected items")
    return known


def _spelling(text: str) -> str:
    """A text normalised, or as it is where nothing would be left of it: "+" is not "-"."""
    return normalise(text) or text.strip()


def _identity(item: object, known: Mapping[str, Hashable]) -> Hashable:
    """What two items must share to be the same."""
    if isinstance(item, str) and (meant := known.get(_spelling(item))) is not None:
        return meant
    try:
        found = read_quantity(item)
        return ("number", found.value) if found.unit is None else ("number", found.value, found.unit.name)
    except ValueError:
        pass
    if isinstance(item, str):
        return "text", _spelling(item)
    try:
        return "json", json.dumps(item, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return "other", type(item).__name__, id(item)


def _items(answer: object, expected: Callable[[str], bool], most: int = MAX_ITEMS) -> list[object] | str:
    """The items of an answer, or why it has none."""
    if isinstance(answer, str):
        pieces = [part.strip() for part in _SEPARATORS.split(answer)[: most + 1]]
        split = [_at_and(piece, expected) for piece in pieces]
        found: list[object] = [part.strip() for parts in split for part in parts if part.strip()]
    elif isinstance(answer, list | tuple):
        found = list(answer)
    else:
        return f"expected a list, got {type(answer).__name__}"
    return found if len(found) <= most else f"{len(found)} items are too many: at most {most}"


def _at_and(piece: str, expected: Callable[[str], bool]) -> list[str]:
    """A text split at "and", but not within the longest runs that are expected items: a name may have an "and"."""
    words = _AND.split(piece)
    if len(words) > _MAX_ANDS:
        return words
    found: list[str] = []
    at = 0
    while at < len(words):
        runs = ("and".join(words[at:end]) for end in range(len(words), at + 1, -1))
        size = next((len(_AND.split(run)) for run in runs if expected(run.strip())), 1)
        found.append("and".join(words[at : at + size]))
        at += size
    return found


def _common(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for left in one:
        before = 0
        for index, right in enumerate(other, start=1):
            before, row[index] = row[index], before + 1 if left == right else max(row[index], row[index - 1])
    return row[-1]
