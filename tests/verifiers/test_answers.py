"""Numbers, sets, lists and dates, against references of their own: decimal, fractions, permutations, the calendar."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from palestra.verifiers.answers import list_match, numeric, set_match
from palestra.verifiers.dates import Order, read_date, same_date
from palestra.verifiers.quantities import exact, read_quantity
from palestra.verifiers.units import _EXACT, find_unit

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**15), max_value=10**15)


@given(DECIMALS, st.sampled_from([",", "_", "'", " ", "\u202f", "\xa0"]))
def test_a_decimal_with_separators_is_read_exactly(value: Decimal, separator: str) -> None:
    text = f"{value:,}".replace(",", separator)
    assert read_quantity(text).value == Fraction(value)


@given(DECIMALS)
def test_a_decimal_comma_is_read_where_it_is_told(value: Decimal) -> None:
    text = f"{value:,}".translate(str.maketrans(",.", ".,"))
    assert read_quantity(text, decimal=",").value == Fraction(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_means_its_shortest_decimal(value: float) -> None:
    assert read_quantity(value).value == Fraction(Decimal(repr(value)))
    assert read_quantity(f"{value:.17g}").value == Fraction(Decimal(f"{value:.17g}"))


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**6))
def test_a_fraction_is_exact(over: int, under: int) -> None:
    assert read_quantity(f"{over}/{under}").value == Fraction(over, under)


@given(st.integers(), st.integers(-5, 5))
def test_integers_of_any_size_are_told_apart(value: int, off: int) -> None:
    text = str(value)
    if len(text) < 150:
        assert numeric("n", text, str(value + off)).passed == (off == 0)


@given(
    st.fractions(-1000, 1000, max_denominator=1000),
    st.fractions(-1000, 1000, max_denominator=1000),
    st.fractions(0, 10, max_denominator=100),
    st.fractions(0, 1, max_denominator=100),
)
def test_tolerances_are_exact(given_: Fraction, wanted: Fraction, absolute: Fraction, relative: Fraction) -> None:
    expected = abs(given_ - wanted) <= max(absolute, relative * abs(wanted))
    assert numeric("n", str(given_), wanted, absolute=absolute, relative=relative).passed == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 3/4", Fraction(7, 4)),
        ("½", Fraction(1, 2)),
        ("2½", Fraction(5, 2)),
        ("−2", Fraction(-2)),
        ("3 × 10^8", Fraction(3 * 10**8)),
        ("3×10⁸", Fraction(3 * 10**8)),
        ("1.5·10⁻³", Fraction(3, 2000)),
        ("1E6", Fraction(10**6)),
        ("42.", Fraction(42)),
        (".5", Fraction(1, 2)),
        ("１２", Fraction(12)),
        ("+7", Fraction(7)),
    ],
)
def test_ways_to_write_a_number(text: str, value: Fraction) -> None:
    assert read_quantity(text).value == value


@pytest.mark.parametrize(
    "value",
    [
        *("1,23", "12,345,67", "1,2345", "1 23", "1/0", "nan", "NaN", "inf", "-Infinity", "", " ", "-", ".", "abc"),
        *("--2", "1.2.3", "0x10", "1..2", "1e999999", "1e", "12 parsecs", "3-4", "about 5", "5 or 6", "9" * 300),
        *(math.nan, math.inf, -math.inf, True, None, [1], {"n": 1}, b"1", 1j),
    ],
)
def test_what_is_not_one_finite_number_is_refused(value: object) -> None:
    part = numeric("n", value, 1, absolute=10**9)
    assert part.score == 0.0
    assert part.detail


@given(st.text(max_size=300) | st.text(alphabet="0123456789.,-+eE/ %$'_×^½²", max_size=30))
def test_reading_a_number_refuses_or_reads_and_never_breaks(text: str) -> None:
    try:
        found = read_quantity(text)
    except ValueError:
        return
    assert isinstance(found.value, Fraction)


@pytest.mark.parametrize(
    ("answer", "expected", "passes"),
    [
        ("12.5%", 0.125, True),
        ("12.5%", "12.5 %", True),
        ("12.5", "12.5 %", True),
        (0.125, "12.5 %", False),
        ("1/8", "0.125", True),
        ("5 km", "5000 m", True),
        ("5000", "5 km", False),
        ("5", "5 km", True),
        ("5 kg", "5 km", False),
        ("5 km", 5, False),
        ("68 °F", "20 °C", True),
        ("293.15 K", "20 °C", True),
        ("36 km/h", "10 m/s", True),
        ("1 mi", "1609.344 m", True),
        ("2 lb", "907.18474 g", True),
        ("90 min", "1.5 hours", True),
        ("1 GiB", "1073741824 bytes", True),
        ("1 MW", "1 mW", False),
        ("1 KM", "1000 m", True),
        ("$1,200.50", "1200.5 USD", True),
        ("€5", "$5", False),
        ("10 m²", "10 m^2", True),
        ("1 acre", "4046.8564224 m2", True),
    ],
)
def test_units(answer: object, expected: float | str, passes: bool) -> None:
    assert numeric("n", answer, expected).passed is passes


def test_a_unit_may_be_asked_for() -> None:
    assert not numeric("n", "5", "5 km", needs_unit=True).passed
    assert numeric("n", "5000 m", "5 km", needs_unit=True).passed


@given(st.sampled_from(sorted(_EXACT)), st.fractions(-100, 100, max_denominator=50))
def test_every_unit_goes_there_and_back(name: str, value: Fraction) -> None:
    unit = find_unit(name)
    assert unit is not None
    for other in (one for one in _EXACT.values() if one.dimension == unit.dimension):
        there = read_quantity(f"{value} {name}").in_unit(other)
        assert (there * other.factor + other.offset - unit.offset) / unit.factor == value


@pytest.mark.parametrize(
    "wrong",
    [
        {"expected": math.nan},
        {"expected": "many"},
        {"expected": 1, "absolute": -1},
        {"expected": 1, "relative": math.inf},
        {"expected": 1, "absolute": "1 km"},
        {"expected": 1, "decimal": "_"},
    ],
)
def test_references_that_cannot_be_meant(wrong: dict[str, float | str]) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        numeric("n", "1", **wrong) if "decimal" not in wrong else read_quantity("1", decimal="_")  # type: ignore[arg-type]


def test_exact_is_exact() -> None:
    assert exact(0.1) + exact("0.2") == exact(0.3)


ITEMS = st.lists(st.sampled_from(["a1", "b1", "c1", 1, 2, 2.5, True, None, "x y"]), min_size=1, max_size=6)


@given(ITEMS, ITEMS, st.randoms(use_true_random=False))
def test_sets_have_no_order_and_no_multiplicity(expected: list[object], other: list[object], rng: object) -> None:
    shuffled = expected * 2
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert set_match("s", shuffled, expected).passed

    def keys(items: list[object]) -> set[str]:
        return {repr(item) for item in items}

    assert set_match("s", other, expected).passed == (keys(other) == keys(expected))
    part = set_match("s", other, expected, partial=True)
    assert part.score == len(keys(other) & keys(expected)) / len(keys(other) | keys(expected))


@given(ITEMS, ITEMS)
def test_multisets_count(expected: list[object], other: list[object]) -> None:
    one, two = Counter(map(repr, expected)), Counter(map(repr, other))
    assert set_match("s", other, expected, multiset=True).passed == (one == two)
    part = set_match("s", other, expected, multiset=True, partial=True)
    assert part.score == (one & two).total() / (one | two).total()


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=6), st.lists(st.sampled_from("abcd"), max_size=6))
def test_lists_by_their_longest_common_subsequence(expected: list[str], other: list[str]) -> None:
    letters = [f"{one}1" for one in expected], [f"{one}1" for one in other]
    assert list_match("l", letters[1], letters[0]).passed == (expected == other)
    longest = max(
        size
        for size in range(min(len(expected), len(other)) + 1)
        if {*combinations(expected, size)} & {*combinations(other, size)}
    )
    part = list_match("l", letters[1], letters[0], partial=True)
    assert part.score == longest / max(len(expected), len(other))


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        ("Arben, Tessel and Trinidad and Tobago", True),
        ("tessel; the Arben\nTrinidad and Tobago", True),
        ("Arben, Tessel, Trinidad & Tobago", False),
        ("Arben, Tessel", False),
        ("T&T, Arben, Tessel", True),
        ("1,234", False),
        (None, False),
        ({"a": 1}, False),
        (["Arben", ["Tessel"], "Trinidad and Tobago"], False),
        ([], False),
        ("", False),
    ],
)
def test_sets_from_texts_with_aliases(answer: object, passes: bool) -> None:
    expected = ["Arben", "Tessel", "Trinidad and Tobago"]
    part = set_match("s", answer, expected, aliases={"Trinidad and Tobago": ["T&T", "TT"]})
    assert part.passed is passes


def test_signs_alone_are_told_apart() -> None:
    assert not set_match("s", ["+"], ["-"]).passed
    assert set_match("s", [" + "], ["+"]).passed


def test_numbers_in_sets_compare_by_value() -> None:
    assert set_match("s", ["1,000", "50%", 0.5], [1000, "50 %", "1/2"]).passed
    assert set_match("s", "1,000, 2,000", [1000, 2000]).passed


def test_answers_without_end_are_refused_before_work_is_done() -> None:
    assert "too many" in set_match("s", list(range(20_000)), [1]).detail
    assert "too many" in list_match("l", "a," * 5_000, ["a"]).detail
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert not set_match("s", [deep], [1]).passed


def test_sets_that_cannot_be_meant() -> None:
    with pytest.raises(ValueError, match="at least one expected item"):
        set_match("s", [], [])
    with pytest.raises(ValueError, match="1 to 1000"):
        list_match("l", [], [])
    with pytest.raises(ValueError, match="stands for two"):
        set_match("s", [], ["a"], aliases={"b": ["x"], "c": ["X"]})


@example("B", "¼")
@example("1,000", "a thousand")
@given(st.text(), st.text())
def test_aliases_match_by_normalised_text(text: str, alias: str) -> None:
    assert set_match("s", [alias], [text], aliases={text: [alias]}).passed
    assert set_match("s", [text], [text], aliases={text: [alias]}).passed


DATES = st.dates(date(1000, 1, 1))


@given(DATES, st.integers(-3, 3))
def test_dates_in_words_and_numbers(day: date, off: int) -> None:
    try:
        other = day + timedelta(days=off)
    except OverflowError:
        other = day
    texts: list[tuple[str, Order]] = [
        (other.isoformat(), "YMD"),
        (f"{other:%d %B} {other.year:04}", "YMD"),
        (f"{other:%B} {other.day}th, {other.year:04}", "YMD"),
        (f"the {other.day}".removeprefix("the ") + f" of {other:%b} {other.year:04}", "YMD"),
        (f"{other:%A}, {other:%d %b}. {other.year:04}", "YMD"),
        (f"{other.day}/{other.month}/{other.year:04}", "DMY"),
        (f"{other.month}-{other.day}-{other.year:04}", "MDY"),
        (f"{other.year:04}.{other.month}.{other.day}", "YMD"),
    ]
    for text, order in texts:
        assert same_date("d", text, day, order=order).passed == (day == other), text
        assert same_date("d", text, day, order=order, tolerance=timedelta(days=3)).passed


@pytest.mark.parametrize(
    "answer",
    [
        *("", "tomorrow", "2024-02-30", "29 Feb 2023", "32 March 2024", "3/4/2024", "1/2/24", "March 2024", "2024"),
        *("2024-03", "1 Ma 2024", "1 2024 March", "20240301x", "2024-13-01", "0000-01-01", "9" * 100, None, 2024, True),
        "2024-03-01T10:00Z",
    ],
)
def test_what_is_not_one_day_is_refused(answer: object) -> None:
    assert not same_date("d", answer, "2024-03-01").passed


@pytest.mark.parametrize(
    ("answer", "precision", "passes"),
    [
        ("March 2024", "month", True),
        ("2024-03", "month", True),
        ("2024-03-31", "month", True),
        ("2024", "month", False),
        ("2024", "year", True),
        (2024, "year", True),
        ("Sept 2024", "year", True),
        ("2023", "year", False),
    ],
)
def test_precision(answer: object, precision: str, passes: bool) -> None:
    assert same_date("d", answer, "2024-03-01", precision=precision).passed is passes  # type: ignore[arg-type]


def test_times_with_zones_are_instants() -> None:
    noon = datetime(2024, 3, 1, 12, tzinfo=UTC)
    assert same_date("d", "2024-03-01T14:00+02:00", noon, precision="second").passed
    assert same_date("d", "2024-03-01T12:00:00Z", noon, precision="minute").passed
    assert not same_date("d", "2024-03-01T12:00", noon, precision="minute").passed
    assert not same_date("d", "2024-03-01", "2024-03-01T12:00", precision="minute").passed
    assert same_date("d", "2024-03-02T00:30+02:00", datetime(2024, 3, 1, 1, tzinfo=UTC)).passed


def test_an_expected_date_must_be_one() -> None:
    with pytest.raises(ValueError, match="is not a date"):
        same_date("d", "2024-03-01", "some day")
    assert read_date(date(2024, 3, 1)) == datetime(2024, 3, 1)
