"""The units answers come in, with exact factors: value * factor + offset is the value in the dimension's base unit."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Unit:
    """A unit by its shortest name. `factor` and `offset` lead to the base unit of its dimension."""

    name: str
    dimension: str
    factor: Fraction
    offset: Fraction = Fraction(0)


_TABLE = {
    "share": "%|percent|per cent|pct 1/100; ‰|per mille 1/1000; bp|basis points 1/10000",
    "length": "m|metre|metres|meter|meters 1; mm|millimetres|millimeters 1/1000; cm|centimetres|centimeters 1/100; "
    "km|kilometre|kilometres|kilometer|kilometers 1000; um|µm|micrometres|micrometers 1/1000000; nm 1/1000000000; "
    'in|inch|inches|" 127/5000; ft|foot|feet 381/1250; yd|yard|yards 1143/1250; mi|mile|miles 201168/125; nmi 1852',
    "mass": "kg|kilogram|kilograms 1; g|gram|grams 1/1000; mg|milligrams 1/1000000; t|tonne|tonnes 1000; "
    "lb|lbs|pound|pounds 45359237/100000000; oz|ounce|ounces 45359237/1600000000",
    "time": "s|sec|second|seconds 1; ms|millisecond|milliseconds 1/1000; us|µs|microseconds 1/1000000; "
    "ns|nanoseconds 1/1000000000; min|mins|minute|minutes 60; h|hr|hrs|hour|hours 3600; d|day|days 86400; "
    "week|weeks 604800",
    "area": "m2|m²|m^2|sqm|square metres|square meters 1; cm2|cm²|cm^2 1/10000; km2|km²|km^2 1000000; "
    "ha|hectare|hectares 10000; acre|acres 316160658/78125; sqft|sq ft|ft2|ft²|ft^2|square feet 145161/1562500",
    "volume": "l|litre|litres|liter|liters 1; ml|millilitres|milliliters 1/1000; cl 1/100; dl 1/10; "
    "m3|m³|m^3|cubic metres|cubic meters 1000; cm3|cm³|cm^3 1/1000; gal|gallon|gallons 473176473/125000000",
    "speed": "m/s|mps 1; km/h|kmh|kph 5/18; mph 1397/3125; kn|knot|knots 463/900",
    "temperature": "K|kelvin 1; °C|C|celsius|degrees celsius 1 5463/20; "
    "°F|F|fahrenheit|degrees fahrenheit 5/9 45967/180",
    "energy": "J|joule|joules 1; kJ 1000; MJ 1000000; Wh 3600; kWh 3600000; cal 523/125; kcal 4184; eV "
    "1602176634/10000000000000000000000000000",
    "power": "W|watt|watts 1; kW 1000; MW 1000000; GW 1000000000; mW 1/1000",
    "pressure": "Pa|pascal|pascals 1; hPa|mbar 100; kPa 1000; bar 100000; atm 101325",
    "frequency": "Hz|hertz 1; kHz 1000; MHz 1000000; GHz 1000000000",
    "data": "B|byte|bytes 1; bit|bits 1/8; kB|KB|kilobytes 1000; MB|megabytes 1000000; GB|gigabytes 1000000000; "
    "TB|terabytes 1000000000000; KiB 1024; MiB 1048576; GiB 1073741824; TiB 1099511627776",
    "angle": "°|deg|degree|degrees 1; arcmin 1/60; arcsec 1/3600",
    "euros": "€|EUR|euro|euros 1; cents 1/100",
    "US dollars": "$|USD|US$|dollar|dollars 1",
    "pounds sterling": "£|GBP 1",
    "yen": "¥|JPY|yen 1",
    "Swiss francs": "CHF 1",
}
"""By dimension: names that mean one unit, its factor, and its offset where it has one."""


def _units() -> Iterator[tuple[str, Unit]]:
    for dimension, line in _TABLE.items():
        for entry in line.split("; "):
            words = entry.split(" ")
            numbers = [word for word in words if word[0].isdigit() and word.replace("/", "").isdigit()]
            names = " ".join(words[: len(words) - len(numbers)]).split("|")
            unit = Unit(names[0], dimension, *map(Fraction, numbers))
            yield from ((unicodedata.normalize("NFKC", name), unit) for name in names)


_EXACT = dict(_units())
_FOLDED = {
    name.casefold(): unit
    for name, unit in _EXACT.items()
    if len({other for key, other in _EXACT.items() if key.casefold() == name.casefold()}) == 1
}


def find_unit(name: str) -> Unit | None:
    """The unit of this name; case counts only where it tells units apart (MW and mW). None where there is none."""
    name = " ".join(unicodedata.normalize("NFKC", name).split())
    for spelled in (name, name.rstrip(".")):
        if found := _EXACT.get(spelled) or _FOLDED.get(spelled.casefold()):
            return found
    return None
