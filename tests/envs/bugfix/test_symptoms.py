"""Messages of eight languages' assertion libraries, as users would tell of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palestra.envs.bugfix.symptoms import read_symptom, scenario

GIVES = "it gives `{}` where `{}` is expected"
SAID = {
    "3 of 1..3 ==> expected: <true> but was: <false>": GIVES.format("false", "true"),
    "Expected values to be strictly equal:\n\n1 !== 2\n\n\n      + expected": GIVES.format("1", "2"),
    "AssertionError: expected [ 1 ] to deeply equal [ 1, 2 ]\n    at Context (test/words.js:6:68)": GIVES.format(
        "[ 1 ]", "[ 1, 2 ]"
    ),
    "a_test.go:16: Count() = 4, want 2": GIVES.format("4", "2"),
    "T::t\nFailed asserting that two strings are identical.\n--- Expected\n+++ Actual\n@@ @@\n-'a-b'\n+'a, b'\n": (
        GIVES.format("'a, b'", "'a-b'")
    ),
    "T::t\nFailed asserting that 3 matches expected 4.\n": GIVES.format("3", "4"),
    "AssertionError: 3 != 4": "`3` and `4` come out where the same value is expected",
    "AssertionError: Lists differ: [1] != [2]\n\nFirst": "`[1]` and `[2]` come out where the same value is expected",
    "assert 'x' == 'y'\n  - y": "`'x'` and `'y'` come out where the same value is expected",
    "AssertionError: ValueError not raised": "an input that must be refused is taken: no ValueError comes",
    "Expected java.lang.IllegalArgumentException to be thrown, but nothing was thrown.": (
        "an input that must be refused is taken: no IllegalArgumentException comes"
    ),
    "IndexError: list index out of range": "it ends with IndexError: list index out of range",
    "java.lang.NullPointerException: null": "it ends with NullPointerException: null",
    "***Exception: SegFault": "the program crashes",
    "Timeout of 2000ms exceeded": "it does not come to an end",
    "": "the result is not the expected one",
}


@pytest.mark.parametrize(("message", "said"), SAID.items())
def test_what_is_said(message: str, said: str) -> None:
    assert read_symptom(message).said == said


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ("tests.test_heap.TestHeap.test_descending_pushes", "descending pushes"),
        ("demo.RangeTest.lastIsIn()", "last is in"),
        ("example.org/words/words.TestSpaces", "spaces"),
        ("words.takes <tabs> & more", "words: takes <tabs> & more"),
        ("tests.test_a.test_b[1-2]", "b"),
    ],
)
def test_scenarios_are_words(test: str, words: str) -> None:
    assert scenario(test) == words


@given(st.text(max_size=400))
def test_no_message_breaks_it_and_none_is_long(message: str) -> None:
    said = read_symptom(message).said
    assert said
    assert "\n" not in said
    assert len(said) < 800


@given(st.sampled_from(["src/heap.py", "a/b/Heap.java", "/work/lib/x.c", "heap.go"]), st.integers(1, 999))
def test_places_are_left_out(path: str, line: int) -> None:
    for message in (
        f"{path}:{line}: KeyError: 'x'",
        f"wrong result\n  File {path}, line {line}",
        f"E {path}:{line}:1 x",
    ):
        said = read_symptom(message).said
        assert path not in said
        assert f":{line}" not in said


def test_brackets_of_a_title_are_kept_and_those_of_parameters_are_not() -> None:
    assert scenario("more matches.[^a-c] matches d") == "more matches: [^a-c] matches d"
    assert scenario("more matches.is [a]") == "more matches: is [a]"
    assert scenario("tests.test_a.test_of_values[1-2]") == "of values"


def test_several_checks_are_told_apart_without_the_names_of_tests() -> None:
    said = read_symptom("tests/a.c:3: not so: a == 1\ntests/a.c:9: not so: b == 2").said
    assert said == "a check says: not so: a == 1; not so: b == 2"
    assert (
        read_symptom("ATest::testBreaks\nObject cannot be converted").said == "a check says: Object cannot be converted"
    )
