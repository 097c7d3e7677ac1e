"""Numbers as people write them, read exactly: separators, fractions, percent, powers of ten, units.

A number becomes a `Fraction`, so that 0.1 + 0.2 is 0.3 and integers of any size compare exactly. What is not one finite
number is refused with a reason and never guessed at: "1,23" is neither 1.23 nor 123.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from .units import Unit, find_unit

Number = int | float | str | Fraction
MAX_CHARACTERS = 200
MAX_EXPONENT = 400

_DIGITS = r"(?:\d{1,3}(?:(?P<sep>[,_' ])\d{3}(?:(?P=sep)\d{3})*)|\d+)"
_DECIMAL = rf"(?P<whole>{_DIGITS})?(?:\.(?P<places>\d+))?\.?"
_POWER = r"(?:e(?P<e>[+-]?\d+)|\s*[x×*·]\s*10\s*(?:\^|\*\*)\s*(?P<ten>[+-]?\d+))"
_PLAIN = re.compile(rf"(?P<sign>[+-]?)\s*(?=[\d.]){_DECIMAL}{_POWER}?", re.IGNORECASE)
_RATIO = re.compile(r"(?P<sign>[+-]?)\s*(?:(?P<mixed>\d+)\s+)?(?P<over>\d+)\s*/\s*(?P<under>\d+)")
_BEFORE = re.compile(r"([+-]?)\s*([$€£¥])\s*(.*)", re.DOTALL)
_SPACES = re.compile(r"[\s\u2000-\u200a\u202f\u00a0]+")
_MINUS = str.maketrans({"−": "-", "–": "-", "⁄": "/", "∕": "/", "’": "'"})
_SUPERSCRIPT = re.compile(r"(?<=10)[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")


@dataclass(frozen=True)
class Quantity:
    """An exact value in `unit` (None: a bare number)."""

    value: Fraction
    unit: Unit | None = None

    def in_unit(self, unit: Unit) -> Fraction:
        """The value in another unit of the same dimension; a bare number is taken to be in it already. ValueError where
        they measure different things.
        """
        if self.unit is None or self.unit == unit:
            return self.value
        if self.unit.dimension != unit.dimension:
            raise ValueError(f"{self.unit.name} measures {self.unit.dimension}, {unit.name} {unit.dimension}")
        return (self.value * self.unit.factor + self.unit.offset - unit.offset) / unit.factor


def exact(value: Number) -> Fraction:
    """A number exactly: a float as the shortest decimal that means it, a text as written. ValueError else."""
    found = read_quantity(value)
    if found.unit is not None:
        raise ValueError(f"{value!r} has the unit {found.unit.name}: write the number alone")
    return found.value


def read_quantity(value: object, decimal: str = ".") -> Quantity:
    """The number, with its unit, that `value` is; `decimal` is the decimal mark, "." or ",". ValueError says why."""
    if decimal not in (".", ","):
        raise ValueError(f"decimal is {decimal!r}: it must be '.' or ','")
    if isinstance(value, bool) or not isinstance(value, int | float | str | Fraction):
        raise ValueError(f"expected a number, got {type(value).__name__}")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        return Quantity(Fraction(repr(value)))
    if not isinstance(value, str):
        return Quantity(Fraction(value))
    return _read_text(value, decimal)


def _read_text(given: str, decimal: str) -> Quantity:
    if len(given) > MAX_CHARACTERS:
        raise ValueError(f"a number of {len(given)} characters is too long: at most {MAX_CHARACTERS}")
    text = _prepared(given)
    if decimal == ",":
        text = text.translate(str.maketrans(",.", ".,"))
    before = _BEFORE.fullmatch(text)
    symbol = ""
    if before:
        sign, symbol, rest = before.groups()
        text = sign + rest
    found = _RATIO.match(text) or _PLAIN.match(text)
    if found is None:
        raise ValueError(f"{given[:60]!r} is not a number")
    after = text[found.end() :].strip()
    if symbol and after:
        raise ValueError(f"{given[:60]!r} has text behind the number")
    value = _value(found)
    named = symbol or after
    if not named:
        return Quantity(value)
    unit = find_unit(named)
    if unit is None:
        raise ValueError(f"{given[:60]!r} is not a number with a known unit: what is {named[:20]!r}?")
    return Quantity(value, unit)


def _prepared(text: str) -> str:
    """Powers as `^`, compatibility forms folded, one kind of minus, slash and space."""
    text = _SUPERSCRIPT.sub(lambda found: "^" + unicodedata.normalize("NFKC", found[0]), text)
    text = "".join(" " + one if unicodedata.category(one) == "No" and "/" in _folded(one) else one for one in text)
    return _SPACES.sub(" ", _folded(text)).strip()


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_MINUS)


def _value(found: re.Match[str]) -> Fraction:
    parts = found.groupdict()
    if "over" in parts:
        if int(parts["under"]) == 0:
            raise ValueError(f"{found[0]!r} divides by zero")
        size = int(parts["mixed"] or 0) + Fraction(int(parts["over"]), int(parts["under"]))
    else:
        whole, places = re.sub(r"[^\d]", "", parts["whole"] or ""), parts["places"] or ""
        if not whole and not places:
            raise ValueError(f"{found[0]!r} is not a number")
        size = Fraction(int(whole + places), 10 ** len(places))
        exponent = int(parts["e"] or parts["ten"] or 0)
        if abs(exponent) > MAX_EXPONENT:
            raise ValueError(f"the exponent {exponent} is beyond {MAX_EXPONENT}")
        size *= Fraction(10) ** exponent
    return -size if parts["sign"] == "-" else size
