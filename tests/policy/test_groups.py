"""Who is trained on, and with what baseline."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palestra.envs.types import Task
from palestra.policy.batches import collate
from palestra.policy.groups import Domain, groups_of, samples_of
from palestra.policy.rewards import RewardConfig
from palestra.rollout.types import Completion, Episode, Move, Turn
from palestra.verifiers.types import Verdict

INVALID = Verdict.invalid("invalid_infra", "the sandbox died")


def make_task(seed: int, env: str = "bandit") -> Task:
    return Task(env=env, version="1", seed=seed, level=1, prompt="?", key=seed % 4)


def played(task: Task, sample: int, completions: list[Completion], reward: float | None) -> Episode:
    verdict = INVALID if reward is None else Verdict(reward=reward)
    turns = tuple(Turn(Move({"role": "assistant"}, (task.seed % 32, 9, 10), one)) for one in completions)
    return Episode(task, sample, "stub", "answered", verdict, turns)


def scored(task: Task, sample: int, reward: float | None, length: int = 2) -> Episode:
    logprobs = tuple(-1.0 - n for n in range(length))
    return played(task, sample, [Completion(tuple(range(1, length + 1)), logprobs, "stop", version=3)], reward)


def test_invalid_episodes_leave_their_group() -> None:
    task, flat, dead, lonely = make_task(0), make_task(1), make_task(2), make_task(3)
    episodes = [
        scored(task, 0, 1.0),
        scored(flat, 0, 0.1),
        scored(task, 1, None),
        scored(task, 2, 0.0),
        scored(task, 3, 1.0),
        scored(flat, 1, 0.1),
        scored(flat, 2, 0.1),
        scored(dead, 0, None),
        scored(lonely, 0, 1.0),
        scored(lonely, 1, None),
    ]
    samples, metrics = samples_of(episodes, temperature=0.8)
    assert [sample.advantage for sample in samples] == pytest.approx([1 / 3, -2 / 3, 1 / 3])
    assert {sample.temperature for sample in samples} == {0.8}
    assert {sample.versions for sample in samples} == {(3, 3)}
    assert {sample.kl for sample in samples} == {None}
    assert metrics["groups"] == 4.0
    assert metrics["groups_without_signal"] == pytest.approx(1 / 4)
    assert metrics["groups_dropped"] == pytest.approx(2 / 4)
    assert metrics["invalid"] == pytest.approx(3 / 10)
    assert metrics["reward"] == pytest.approx((3 + 0.3) / 7)
    assert metrics["surprise"] == pytest.approx(1.5)


@settings(deadline=None)
@given(st.lists(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=6), max_size=6))
def test_baselines_are_means_over_the_valid_episodes(rewards: list[list[float | None]]) -> None:
    episodes = [scored(make_task(n), g, reward) for n, group in enumerate(rewards) for g, reward in enumerate(group)]
    samples, metrics = samples_of(episodes)
    expected: list[float] = []
    for group in rewards:
        valid = [reward for reward in group if reward is not None]
        if len(valid) > 1 and len(set(valid)) > 1:
            expected += [reward - sum(valid) / len(valid) for reward in valid]
    assert [sample.advantage for sample in samples] == pytest.approx(expected)
    assert math.fsum(sample.advantage for sample in samples) == pytest.approx(0.0, abs=1e-9)
    assert metrics["groups"] == len(rewards)


def test_each_draw_of_a_task_is_a_group_of_its_own() -> None:
    task = make_task(0)
    episodes = [scored(task, sample, reward) for sample, reward in ((4, 1.0), (6, 0.2), (5, 0.0), (7, 0.6))]
    assert [[one.sample for one in group.episodes] for group in groups_of(episodes, 2)] == [[4, 5], [6, 7]]
    samples, _ = samples_of(episodes, size=2)
    assert [sample.advantage for sample in samples] == pytest.approx([0.5, -0.5, -0.2, 0.2])
    assert len(groups_of(episodes)) == 1


def test_advantages_can_be_in_standard_deviations() -> None:
    task = make_task(0)
    samples, _ = samples_of([scored(task, 0, 0.1), scored(task, 1, 0.0)], divide_std=True)
    deviation = math.sqrt(2 * 0.05**2) + 1e-4
    assert [sample.advantage for sample in samples] == pytest.approx([0.05 / deviation, -0.05 / deviation])


def test_an_episode_that_sampled_nothing_is_in_the_baseline_but_not_trained_on() -> None:
    task = make_task(0)
    silent = Episode(task, 1, "stub", "max_tokens", Verdict(reward=0.0), (Turn(Move(None, (1, 2, 3))),))
    samples, _ = samples_of([scored(task, 0, 1.0), silent])
    assert [sample.advantage for sample in samples] == [0.5]


def test_every_segment_of_an_episode_has_its_advantage() -> None:
    task = make_task(0)
    said = Completion((1, 2), (-1.0, -2.0), "stop")
    moves = [Move({"role": "assistant"}, (5, 6), said, segment=segment) for segment in (0, 0, 1)]
    episode = Episode(task, 0, "stub", "answered", Verdict(reward=1.0), tuple(Turn(move) for move in moves))
    samples, _ = samples_of([episode, scored(task, 1, 0.0)])
    assert [(len(sample.tokens), sample.advantage) for sample in samples] == [(8, 0.5), (4, 0.5), (5, -0.5)]


def test_a_domain_has_rewards_and_a_kl_of_its_own() -> None:
    maths, prose = make_task(0, "maths"), make_task(1, "prose")
    short = RewardConfig(length=0.5, free_tokens=2, most_tokens=4)
    domains = {"prose": Domain(rewards=short, kl=0.3), "maths": Domain(kl=0.0)}
    episodes = [
        scored(maths, 0, 1.0),
        scored(maths, 1, 0.0),
        scored(prose, 0, 1.0, length=2),
        scored(prose, 1, 1.0, length=3),
        scored(prose, 2, None, length=9),
    ]
    samples, metrics = samples_of(episodes, domains=domains)
    assert [sample.kl for sample in samples] == [0.0, 0.0, 0.3, 0.3]
    assert [sample.advantage for sample in samples] == pytest.approx([0.5, -0.5, 0.125, -0.125])
    assert metrics["reward/prose"] == pytest.approx((1.0 + 0.75) / 2)
    assert metrics["reward/maths"] == 0.5
    assert metrics["terms/prose/length"] == pytest.approx(-0.25)
    assert metrics["terms/prose/outcome"] == 1.0
    assert not [name for name in metrics if name.startswith("terms/maths")]
    assert metrics["invalid"] == pytest.approx(1 / 5)


def test_a_negative_kl_is_refused() -> None:
    with pytest.raises(ValueError, match=r"kl of a domain is -0\.1: it must be 0 or more"):
        Domain(kl=-0.1)


def test_kept_stays_with_its_token_over_turns() -> None:
    masked = Completion((4, 5), (-0.1, -0.2), "stop", kept=((4, 6), None))
    plain = Completion((7,), (-0.3,), "stop")
    task = make_task(0)
    samples, _ = samples_of([played(task, 0, [plain, masked, plain], 1.0), scored(task, 1, 0.0)])
    assert [sample.kept for sample in samples] == [(None, (4, 6), None, None), None]
    batch = collate(samples, 32)
    assert batch.truncation is not None
    assert batch.targets_N.tolist() == [7, 4, 5, 7, 1, 2]
