"""Length and language: their values, and that they are shares whatever the text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palestra.verifiers.style import SCRIPTS, brevity, in_language, language_consistency, length_penalty


@pytest.mark.parametrize(
    ("tokens", "expected"), [(0, 0.0), (100, 0.0), (125, -0.25), (150, -0.5), (200, -1.0), (10_000, -1.0)]
)
def test_length_is_free_then_costs_in_a_line(tokens: int, expected: float) -> None:
    assert length_penalty(tokens, 100, 200) == expected


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("So the train leaves at 9.", "en", 1.0),
        ("Поезд уходит в 9.", "ru", 1.0),
        ("Поезд уходит в 9.", "en", 0.0),
        ("我们先查酒店的价格，再订票。", "zh", 1.0),
        ("我们 book it", "zh", 2 / 8),
        ("ホテルの値段を調べる", "ja", 1.0),
        ("ホテルの値段", "zh", 2 / 6),
        ("호텔 가격", "ko", 1.0),
        ("Ωμέγα", "el", 1.0),
        ("\uff28\uff4f\uff54\uff45\uff4c \U0001d465", "en", 1.0),  # full-width letters, a mathematical x
        ("cafe\u0301", "en", 1.0),
        ("ab фг", "en", 0.5),
        ("", "en", 1.0),
        ("12 + 30 = 42 \U0001f642", "en", 1.0),
    ],
)
def test_language_is_told_by_the_script_of_letters(text: str, language: str, expected: float) -> None:
    assert language_consistency(text, language) == pytest.approx(expected)


@given(st.text(), st.sampled_from(sorted(SCRIPTS)))
def test_consistency_is_a_share_whatever_the_text(text: str, language: str) -> None:
    assert 0.0 <= language_consistency(text, language) <= 1.0


@given(st.integers(0, 10**6), st.integers(0, 1000), st.integers(1, 1000))
def test_brevity_is_full_when_free_and_never_grows(length: int, free: int, more: int) -> None:
    part = brevity("length", length, free, free + more)
    assert part.score == pytest.approx(1.0 + length_penalty(length, free, free + more))
    assert (part.score == 1.0) == (length <= free)
    assert brevity("length", length + 1, free, free + more).score <= part.score


def test_no_letters_are_in_no_language() -> None:
    assert in_language("language", "42 !", "en").score == 0.0
    assert in_language("language", "forty-two", "en", weight=0.5).score == 1.0


def test_lengths_and_languages_that_cannot_be_meant() -> None:
    with pytest.raises(ValueError, match="free is 9 and most 9"):
        brevity("length", 1, 9, 9)
    with pytest.raises(ValueError, match="language is 'xx'"):
        in_language("language", "text", "xx")
