"""The terms of a mixed reward: their values, and that an invalid episode has none."""

import re

import pytest

from palestra.envs.types import Task
from palestra.policy.rewards import RewardConfig, reward_of, rubric_scores
from palestra.rollout.types import Completion, Episode, Move, Turn
from palestra.verifiers.types import Part, Verdict

TASK = Task(env="essay", version="1", seed=0, level=1, prompt="?")


def episode(verdict: Verdict, *thoughts: str, tokens: int = 3) -> Episode:
    said = Completion((1,) * tokens, (0.0,) * tokens, "stop")
    messages = [{"role": "assistant", "reasoning_content": thought, "content": "Да."} for thought in thoughts]
    turns = tuple(Turn(Move(message, (1, 2), said)) for message in messages)
    return Episode(TASK, 0, "stub", "answered", verdict, (*turns, Turn(Move(None, error="not in the grammar"))))


def test_rubric_takes_parts_by_name() -> None:
    parts = (Part(name="polite", score=0.5), Part(name="true", score=1.0), Part(name="true", score=0.0))
    found = rubric_scores(Verdict(reward=0.3, parts=parts), ["true", "polite", "brief"])
    assert found == {"true": 0.5, "polite": 0.5, "brief": 0.0}


def test_a_reward_is_the_weighted_sum_of_its_terms() -> None:
    verdict = Verdict(reward=0.8, parts=(Part(name="polite", score=0.5),))
    config = RewardConfig(
        outcome=2.0,
        length=0.5,
        free_tokens=2,
        most_tokens=10,
        consistency=0.3,
        language="ru",
        rubric={"polite": 0.4, "brief": 0.1},
    )
    reward, terms = reward_of(episode(verdict, "Да", "no", tokens=3), config)
    assert terms == {
        "outcome": 0.8,
        "length": -0.5,
        "consistency": 0.5,
        "rubric/polite": 0.5,
        "rubric/brief": 0.0,
    }
    assert reward == pytest.approx(2 * 0.8 - 0.5 * 0.5 + 0.3 * 0.5 + 0.4 * 0.5)


def test_by_default_the_reward_is_the_verdicts() -> None:
    assert reward_of(episode(Verdict(reward=0.25), "well"), RewardConfig()) == (0.25, {"outcome": 0.25})


def test_invalid_stays_invalid() -> None:
    broken = episode(Verdict.invalid("invalid_env", "it broke"), "fine")
    assert reward_of(broken, RewardConfig(consistency=1.0, outcome=0.0)) == (None, {})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"outcome": -1.0}, "outcome is -1.0: a weight must be 0 or more, and finite"),
        ({"consistency": float("nan")}, "consistency is nan: a weight must be 0 or more"),
        ({"rubric": {"polite": -0.5}}, "rubric.polite is -0.5: a weight must be 0 or more"),
        ({"length": 0.1}, "free_tokens is 0 and most_tokens 0: a length penalty needs 0 <= free_tokens < most_tokens"),
        ({"length": 0.1, "free_tokens": 9, "most_tokens": 9}, "free_tokens is 9 and most_tokens 9"),
        ({"language": "xx"}, "language is 'xx': it must be one of ar, de, "),
    ],
)
def test_impossible_configs_are_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        RewardConfig(**wrong)  # type: ignore[arg-type]
