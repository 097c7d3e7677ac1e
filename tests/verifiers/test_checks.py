"""Verdicts, composition and answer matching."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from palestra.verifiers.answers import exact_match, normalise
from palestra.verifiers.checks import all_of, check, gate, minimum, weighted, with_bonuses
from palestra.verifiers.types import Part, Verdict

Compose = Callable[[list[Part]], Verdict]
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


@pytest.mark.parametrize("compose", [all_of, weighted, minimum])
def test_nothing_to_check_is_a_mistake(compose: Compose) -> None:
    with pytest.raises(ValueError, match="part"):
        compose([])


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


GATED = st.lists(
    st.builds(Part, name=st.text(min_size=1), score=st.floats(0, 1), weight=st.floats(0.1, 10), gate=st.booleans()),
    min_size=1,
)


@given(GATED, st.sampled_from([weighted, minimum, all_of]))
def test_a_shut_gate_earns_nothing_and_an_open_one_changes_nothing(parts: list[Part], compose: Compose) -> None:
    plain = compose([part.model_copy(update={"gate": False}) for part in parts])
    found = compose(parts)
    shut = any(part.gate and part.score < 1.0 for part in parts)
    assert found.reward == (0.0 if shut else plain.reward)
    assert found.parts == tuple(parts)


@given(PARTS, st.booleans())
def test_a_gate_beside_the_parts_weighs_nothing(parts: list[Part], open_: bool) -> None:
    expected = weighted(parts).reward if open_ else 0.0
    assert weighted([*parts, gate("g", open_)]).reward == expected


@given(PARTS)
def test_the_minimum_is_the_lowest(parts: list[Part]) -> None:
    assert minimum(parts).reward == min(part.score for part in parts)


BONUSES = st.lists(
    st.builds(Part, name=st.just("b"), score=st.floats(0, 1), weight=st.floats(0, 0.24)), max_size=4
).map(tuple)


@given(st.floats(0, 1), BONUSES)
def test_bonuses_never_lower_never_make_full_and_never_replace(reward: float, bonuses: tuple[Part, ...]) -> None:
    found = with_bonuses(Verdict(reward=reward), bonuses)
    assert found.reward is not None
    assert found.parts == bonuses
    assert found.reward >= reward
    assert (found.reward == 0.0) == (reward == 0.0)
    if reward < 1.0 - 1e-9:
        assert found.reward < 1.0
    else:
        assert found.reward <= 1.0


def test_bonuses_by_hand() -> None:
    bonus = Part(name="brief", score=0.5, weight=0.4)
    assert with_bonuses(Verdict(reward=0.5), [bonus]).reward == pytest.approx(0.6)
    assert with_bonuses(Verdict(reward=0.5), [bonus, gate("g", False)]).reward == 0.0
    broken = Verdict.invalid("invalid_infra", "no power")
    assert with_bonuses(broken, [bonus]) == broken.model_copy(update={"parts": (bonus,)})
    with pytest.raises(ValueError, match="the bonuses weigh 1:"):
        with_bonuses(Verdict(reward=0.5), [Part(name="b", score=1.0)])


def test_parts_refuse_what_is_no_score() -> None:
    for wrong in ({"score": 1.1}, {"score": float("nan")}, {"weight": -1.0}, {"weight": float("inf")}):
        with pytest.raises(ValidationError):
            Part.model_validate({"name": "a", "score": 1.0} | wrong)
