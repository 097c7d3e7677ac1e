"""Verdicts, composition and answer matching."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from palestra.verifiers.answers import exact_match, normalise
from palestra.verifiers.checks import all_of, check, weighted
from palestra.verifiers.types import Part, Verdict

PARTS = st.lists(
    st.builds(Part, name=st.text(min_size=1), score=st.floats(0, 1), weight=st.floats(0.1, 10)), min_size=1
)


@pytest.mark.parametrize("validity", ["invalid_infra", "invalid_env", "invalid_verifier"])
def test_only_a_valid_verdict_has_a_reward(validity: str) -> None:
    with pytest.raises(ValidationError, match="only valid ones"):
        Verdict.model_validate({"reward": 0.0, "validity": validity})
    assert not Verdict.model_validate({"reward": None, "validity": validity}).passed


def test_a_valid_verdict_needs_a_reward() -> None:
    with pytest.raises(ValidationError, match="only valid ones"):
        Verdict(reward=None)


@given(PARTS)
def test_all_of_passes_exactly_when_every_part_does(parts: list[Part]) -> None:
    assert all_of(parts).passed == all(part.score == 1.0 for part in parts)


@given(PARTS)
def test_a_weighted_reward_lies_between_its_parts(parts: list[Part]) -> None:
    reward = weighted(parts).reward
    assert reward is not None
    assert min(part.score for part in parts) - 1e-9 <= reward <= max(part.score for part in parts) + 1e-9


def test_weights_count() -> None:
    parts = [Part(name="a", score=1.0, weight=3.0), Part(name="b", score=0.0, weight=1.0)]
    assert weighted(parts).reward == pytest.approx(0.75)


@pytest.mark.parametrize("compose", [all_of, weighted])
def test_nothing_to_check_is_a_mistake(compose: object) -> None:
    with pytest.raises(ValueError, match="part"):
        compose([])  # type: ignore[operator]


@pytest.mark.parametrize(
    ("answer", "accepted", "passes"),
    [
        ("Kelori", ["Kelori"], True),
        ("  the KELORI. ", ["Kelori"], True),
        ("ＫＥＬＯＲＩ", ["Kelori"], True),
        ("Kelori II", ["Kelori"], False),
        ("Tovana", ["Kelori", "Tovana"], True),
        (42, ["42"], True),
        ("", [""], False),
        ("the", ["a"], False),
        (None, ["None"], False),
        (True, ["True"], False),
        (["Kelori"], ["Kelori"], False),
    ],
)
def test_exact_match(answer: object, accepted: list[str], passes: bool) -> None:
    assert exact_match("answer", answer, accepted).passed is passes


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_a_check_is_all_or_nothing() -> None:
    assert check("x", True).score == 1.0
    assert check("x", False, "why").score == 0.0
