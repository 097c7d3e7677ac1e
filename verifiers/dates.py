"""Dates and times as people write them, read strictly: a day that is not there, or that could be two, is refused."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from .checks import check
from .types import Part

Order = Literal["YMD", "DMY", "MDY"]
Precision = Literal["year", "month", "day", "minute", "second"]
MAX_CHARACTERS = 80
_MONTHS = ["january", "february", "march", "april", "may", "june"]
_MONTHS += ["july", "august", "september", "october", "november", "december"]
_YEAR, _MONTH, _DAY = r"(?P<year>\d{4})", r"(?P<month>[a-z]{3,9})\.?", r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_WORDS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_DAY}\s+(?:of\s+)?{_MONTH},?\s+{_YEAR}",
        rf"{_MONTH}\s+{_DAY},?\s+{_YEAR}",
        rf"{_YEAR},?\s+{_MONTH}\s+{_DAY}",
    )
)
_MONTH_YEAR = re.compile(rf"{_MONTH},?\s+{_YEAR}")
_YEAR_MONTH = re.compile(r"(?P<year>\d{4})-(?P<number>\d{2})")
_NUMBERS = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})")
_WEEKDAY = re.compile(r"^(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s+")
_LENGTHS: dict[Precision, int] = {"year": 1, "month": 2, "day": 3, "minute": 5, "second": 6}


def same_date(
    name: str,
    answer: object,
    expected: str | date | datetime,
    *,
    precision: Precision = "day",
    order: Order = "YMD",
    tolerance: timedelta = timedelta(0),
) -> Part:
    """Satisfied when `answer` is the date (or time) `expected` as far as `precision`, or within `tolerance` of it.

    Read are ISO 8601, English months ("1st of March 2024", "Mar 1, 2024") and numbers in `order` (3/4/2024 with "DMY"
    or "MDY"; refused otherwise). Times with a zone are compared in UTC; a time with a zone never equals one without.
    ValueError for an `expected` that is no date.
    """
    wanted = read_date(expected, "YMD", precision)
    try:
        given = read_date(answer, order, precision)
    except ValueError as error:
        return check(name, False, str(error))
    if (wanted.tzinfo is None) != (given.tzinfo is None):
        told = (
            "has a time zone, the expected one has none" if given.tzinfo else "has no time zone, the expected one has"
        )
        return check(name, False, f"{answer!r} {told}")
    length = _LENGTHS[precision]
    same = wanted.timetuple()[:length] == given.timetuple()[:length]
    passed = same or (bool(tolerance) and abs(wanted - given) <= tolerance)
    return check(name, passed, "matches" if passed else f"{str(answer)[:80]!r} is not the date")


def read_date(value: object, order: Order = "YMD", precision: Precision = "day") -> datetime:
    """The date or time that `value` is, in UTC where it has a zone. ValueError says why it is none, or is less precise
    than `precision`.
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if precision == "year" and isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 9999:
        return datetime(value, 1, 1)
    if not isinstance(value, str):
        raise ValueError(f"expected a date, got {type(value).__name__}")
    if len(value) > MAX_CHARACTERS:
        raise ValueError(f"a date of {len(value)} characters is too long: at most {MAX_CHARACTERS}")
    text = " ".join(unicodedata.normalize("NFKC", value).split()).rstrip(".")
    found = _iso(text, precision) or _written(_WEEKDAY.sub("", text.casefold()), order, precision)
    if found is None:
        raise ValueError(f"{value!r} is not a date, or not as precise as {precision}")
    return found


def _iso(text: str, precision: Precision) -> datetime | None:
    timed = len(text) > 10 and text[4:5] == "-"
    if not timed and (_LENGTHS[precision] > 3 or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text)):
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found
    except (ValueError, OverflowError):
        return None


def _written(text: str, order: Order, precision: Precision) -> datetime | None:
    """A date in words or numbers; None where it is none or not precise enough."""
    if _LENGTHS[precision] > 3:
        return None
    for pattern in _WORDS:
        if found := pattern.fullmatch(text):
            return _day(int(found["year"]), _month(found["month"]), int(found["day"]))
    if found := _NUMBERS.fullmatch(text):
        fields = dict(zip(order, (found[1], found[3], found[4]), strict=True))
        return _day(int(fields["Y"]), int(fields["M"]), int(fields["D"])) if len(fields["Y"]) == 4 else None
    if precision != "day":
        if found := _MONTH_YEAR.fullmatch(text):
            return _day(int(found["year"]), _month(found["month"]), 1)
        if found := _YEAR_MONTH.fullmatch(text):
            return _day(int(found["year"]), int(found["number"]), 1)
    return _day(int(text), 1, 1) if precision == "year" and re.fullmatch(r"\d{4}", text) else None


def _day(year: int, month: int, day: int) -> datetime | None:
    try:
        return datetime(year, month, day)
    except ValueError:
        return None


def _month(name: str) -> int:
    """The number of a month by its name or first letters; 0 where it is none."""
    return next((place for place, month in enumerate(_MONTHS, start=1) if month.startswith(name)), 0) or (
        9 if name == "sept" else 0
    )
