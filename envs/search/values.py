"""Values in words and back: dates, numbers, words; and whether two answers say the same."""

from __future__ import annotations

import math
import re
from datetime import date

from ...verifiers.answers import normalise

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_MONTH = {name[:3].casefold(): number for number, name in enumerate(MONTHS, start=1)} | {"sept": 9}
_MONTH |= {name.casefold(): number for number, name in enumerate(MONTHS, start=1)}
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_DAY_FIRST = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?(?: of)? ([a-z]+)\.?,? (\d{4})")
_MONTH_FIRST = re.compile(r"([a-z]+)\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})")
_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:[,  \u202f]\d{3})+|\d+)(?:\.\d+)?")
_COUNTS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
)
LONGEST = 400
"""Characters of an answer; a longer text answers nothing."""


def say_date(iso: str, form: int = 0) -> str:
    """`4 March 1893`, `March 4, 1893` or `4th of March 1893`."""
    year, month, day = (int(part) for part in iso.split("-"))
    name = MONTHS[month - 1]
    if form == 1:
        return f"{name} {day}, {year}"
    ending = "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"the {day}{ending} of {name} {year}" if form == 2 else f"{day} {name} {year}"


def say_number(value: float, commas: bool = True) -> str:
    """`12,431` or `12431`; a fraction keeps one digit."""
    if not float(value).is_integer():
        return f"{value:,.1f}" if commas else f"{value:.1f}"
    return f"{int(value):,}" if commas else str(int(value))


def with_article(word: str) -> str:
    """`a surveyor`, `an architect`."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def read_date(text: str) -> str | None:
    """A text that is one date, as YYYY-MM-DD; None for anything else."""
    plain = " ".join(text.casefold().split()).strip(" .").removeprefix("on ").removeprefix("the ")
    if found := _ISO.fullmatch(plain):
        year, month, day = (int(part) for part in found.groups())
    elif found := _DAY_FIRST.fullmatch(plain):
        day, month, year = int(found[1]), _MONTH.get(found[2], 0), int(found[3])
    elif found := _MONTH_FIRST.fullmatch(plain):
        month, day, year = _MONTH.get(found[1], 0), int(found[2]), int(found[3])
    else:
        return None
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def read_number(text: str, unit: str = "") -> float | None:
    """A text that is one number, perhaps with its unit or `in` before a year; None for anything else."""
    plain = " ".join(text.casefold().split()).strip(" .").removeprefix("in ").removeprefix("the year ")
    for ending in filter(None, (unit, unit.removesuffix("s"), unit.removesuffix("s")[:1] if unit == "metres" else "")):
        plain = plain.removesuffix(f" {ending}")
    if plain in _COUNTS:
        return float(_COUNTS.index(plain))
    found = _NUMBER.fullmatch(plain)
    return float(re.sub(r"[,  \u202f]", "", plain)) if found else None


def same_answer(given: object, accepted: list[str], kind: str, unit: str = "") -> bool:
    """Whether `given` says one of `accepted`. `kind` is date, year, number or name. Never raises."""
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        return False
    if isinstance(given, float) and not math.isfinite(given):
        return False
    if isinstance(given, int) and abs(given) > 10**15:
        return False
    text = say_number(given, commas=False) if isinstance(given, int | float) else given
    if len(text) > LONGEST:
        return False
    if kind == "date":
        return read_date(text) is not None and read_date(text) == read_date(accepted[0])
    if kind in ("year", "number"):
        value, wanted = read_number(text, unit), read_number(accepted[0], unit)
        return value is not None and wanted is not None and abs(value - wanted) < 1e-6
    plain = normalise(text)
    return bool(plain) and plain in {normalise(name) for name in accepted}


def tells(text: str, accepted: list[str], kind: str) -> bool:
    """Whether somebody who takes values of this kind from `text` would meet an accepted one."""
    if kind == "name":
        plain = f" {normalise(text)} "
        return any(f" {normalise(name)} " in plain for name in accepted)
    if kind == "date":
        found = (*_ISO.finditer(text), *_DAY_FIRST.finditer(text.casefold()), *_MONTH_FIRST.finditer(text.casefold()))
        return any(read_date(match.group()) == read_date(accepted[0]) for match in found)
    return any(read_number(number) == read_number(accepted[0]) for number in _NUMBER.findall(text))
