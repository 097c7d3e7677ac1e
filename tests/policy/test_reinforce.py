"""The reinforcement loop: that reward rises on a bandit, and what happens when things go wrong."""

import asyncio
import copy
import dataclasses
import io
import math
import re
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from palestra.envs.types import Task
from palestra.policy.batches import Sample
from palestra.policy.config import DeepseekV32Config
from palestra.policy.engine import PolicyEngine
from palestra.policy.groups import Domain
from palestra.policy.grpo import GrpoConfig
from palestra.policy.learner import Learner, OptimConfig
from palestra.policy.model import DeepseekV32ForCausalLM
from palestra.policy.reinforce import ReinforceConfig, Reinforcer, Update, reinforce, weights_of
from palestra.policy.rewards import RewardConfig
from palestra.policy.stability import Diverged, GuardConfig
from palestra.rollout.types import Completion, Episode, Move, Sampling, Turn
from palestra.verifiers.types import Verdict

TINY = DeepseekV32Config(
    vocab_size=32,
    hidden_size=32,
    intermediate_size=32,
    moe_intermediate_size=12,
    num_hidden_layers=2,
    num_attention_heads=2,
    n_routed_experts=4,
    num_experts_per_tok=2,
    n_group=1,
    topk_group=1,
    first_k_dense_replace=1,
    q_lora_rank=16,
    kv_lora_rank=16,
    qk_nope_head_dim=8,
    qk_rope_head_dim=8,
    v_head_dim=8,
    index_n_heads=2,
    index_head_dim=16,
    index_topk=4,
    max_position_embeddings=32,
    initializer_range=0.1,
)
INVALID = Verdict.invalid("invalid_infra", "the sandbox died")


def tiny_learner() -> Learner:
    torch.manual_seed(0)
    return Learner(DeepseekV32ForCausalLM(TINY), OptimConfig(weight_decay=0.0))


def make_task(seed: int) -> Task:
    return Task(env="bandit", version="1", seed=seed, level=1, prompt="?", key=seed % 4)


def played(task: Task, sample: int, completions: Sequence[Completion], verdict: Verdict) -> Episode:
    prompt = (task.seed % 32, 9, 10)
    turns = tuple(Turn(Move({"role": "assistant"}, prompt, completion)) for completion in completions)
    return Episode(task, sample, "stub", "answered", verdict, turns)


def scored(task: Task, sample: int, reward: float | None) -> Episode:
    completion = Completion((1, 2), (-1.0, -2.0), "stop")
    return played(task, sample, [completion], INVALID if reward is None else Verdict(reward=reward))


class BanditPool:
    """Plays one-turn episodes with the project's engine: the reward is the share of tokens that are the task's key.

    Every seventh episode is invalid. Like the real pool it yields episodes in an order of its own.
    """

    def __init__(self, top_p: float) -> None:
        self.engine = PolicyEngine(DeepseekV32ForCausalLM(TINY), slots=64, max_len=16)
        self.top_p = top_p
        self.items: list[tuple[str, int]] = []
        self.loaded: list[tuple[int, dict[str, Any]]] = []

    def load_weights(self, state: dict[str, Tensor], version: int) -> None:
        self.loaded.append((version, state))
        self.engine.load_weights(state, version)

    def run(self, items: Iterable[tuple[Task, int]]) -> Iterator[Episode]:
        listed = list(items)
        self.items += [(task.id, sample) for task, sample in listed]

        async def all_of_them() -> list[Completion]:
            return list(await asyncio.gather(*(self._sample(task, sample) for task, sample in listed)))

        for (task, sample), said in reversed(list(zip(listed, asyncio.run(all_of_them()), strict=True))):
            reward = sum(token == task.key for token in said.tokens) / 3
            invalid = zlib.crc32(f"{task.id}/{sample}".encode()) % 7 == 0
            yield played(task, sample, [said], INVALID if invalid else Verdict(reward=reward))

    async def _sample(self, task: Task, sample: int) -> Completion:
        seed = zlib.crc32(f"{task.id}/{sample}".encode())
        return await self.engine.generate((task.seed % 32, 9, 10), Sampling(top_p=self.top_p, max_tokens=3, seed=seed))


@pytest.mark.slow
@pytest.mark.parametrize("top_p", [1.0, 0.95])
def test_reward_rises(top_p: float) -> None:
    """Four contexts, four keys: only a policy that looks at its prompt gets beyond a quarter."""
    pool = BanditPool(top_p)
    config = ReinforceConfig(
        updates=40, tasks=4, group=32, minibatches=2, lr=5e-3, warmup=2, grpo=GrpoConfig(clip=0.2, off_policy=0.5)
    )
    rewards = [
        done.metrics["reward"] for done in reinforce(tiny_learner(), pool, [make_task(n) for n in range(4)], config)
    ]
    assert sum(rewards[:2]) / 2 < 0.15
    assert sum(rewards[-3:]) / 3 > 0.9
    assert [version for version, _ in pool.loaded] == list(range(41))


@pytest.mark.slow
def test_shuffled_rewards_teach_nothing() -> None:
    """The control: the settings that reach 0.9 above stay near chance when the rewards are dealt out at random."""
    config = ReinforceConfig(updates=40, tasks=4, group=32, minibatches=2, lr=5e-3, warmup=2, shuffle_rewards=True)
    updates = reinforce(tiny_learner(), BanditPool(1.0), [make_task(n) for n in range(4)], config)
    rewards = [done.metrics["reward"] for done in updates]
    assert sum(rewards[-3:]) / 3 < 0.3


def test_an_update_tells_what_it_was_made_from() -> None:
    pool = BanditPool(0.95)
    learner = tiny_learner()
    tasks = [make_task(n) for n in range(3)]
    config = ReinforceConfig(updates=4, tasks=2, group=16, lr=1e-3, warmup=4, grpo=GrpoConfig(kl=0.01))
    rates, updates = [], []
    for done in reinforce(learner, pool, tasks, config):
        rates.append(learner.optimiser.param_groups[0]["lr"])
        updates.append(done)
    assert rates == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3])
    assert [done.step for done in updates] == [1, 2, 3, 4]
    assert all(len(done.episodes) == 32 for done in updates)
    assert {episode.turns[0].move.completion.version for episode in updates[-1].episodes} == {3}  # type: ignore[union-attr]
    assert learner.reference is not None
    for name in ("reward/bandit", "invalid", "loss", "grad_norm", "kl", "clipped", "masked", "skipped"):
        assert name in updates[0].metrics


def test_every_sample_of_a_task_is_another_one() -> None:
    """Also where an update needs more tasks than there are, or an epoch ends within it. 0 is left to evaluation."""
    for tasks, count in ((1, 3), (3, 2), (5, 4)):
        pool = BanditPool(1.0)
        list(
            reinforce(
                tiny_learner(),
                pool,
                [make_task(n) for n in range(tasks)],
                ReinforceConfig(updates=3, tasks=count, group=2, lr=0.0),
            )
        )
        assert len(pool.items) == len(set(pool.items)) == 3 * count * 2
        assert all(sample > 0 for _, sample in pool.items)


def test_the_pool_gets_copies() -> None:
    learner = tiny_learner()
    pool = BanditPool(1.0)
    snapshots: list[dict[str, Tensor]] = []
    updates: Iterator[Update] = reinforce(
        learner, pool, [make_task(n) for n in range(4)], ReinforceConfig(updates=3, tasks=4, group=8, lr=1e-2)
    )
    for _ in updates:
        snapshots.append(copy.deepcopy(learner.model.state_dict()))
    for (_, given), expected in zip(pool.loaded[1:], snapshots, strict=True):
        assert given.keys() == expected.keys()
        assert all(torch.equal(given[name], tensor) for name, tensor in expected.items())
    assert not torch.equal(snapshots[0]["lm_head.weight"], snapshots[2]["lm_head.weight"])
    own = learner.model.state_dict()
    assert all(tensor.data_ptr() != own[name].data_ptr() for name, tensor in weights_of(learner).items())


def test_an_update_without_signal_trains_nothing() -> None:
    class Flat(BanditPool):
        def run(self, items: Iterable[tuple[Task, int]]) -> Iterator[Episode]:
            yield from (scored(task, sample, 0.1) for task, sample in items)

    learner = tiny_learner()
    before = copy.deepcopy(learner.model.state_dict())
    config = ReinforceConfig(updates=2, tasks=2, group=3, lr=1.0)
    for done in reinforce(learner, Flat(1.0), [make_task(0), make_task(1)], config):
        assert done.metrics["groups_without_signal"] == 1.0
        assert "loss" not in done.metrics
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.model.state_dict().items())


def test_groups_without_signal_are_refilled() -> None:
    """Half of the tasks always give the same reward: with refills each update still learns from two groups."""

    class Half(BanditPool):
        def run(self, items: Iterable[tuple[Task, int]]) -> Iterator[Episode]:
            yield from (scored(task, sample, float(sample % 2 * (task.seed % 2))) for task, sample in items)

    tasks = [make_task(n) for n in range(6)]
    config = ReinforceConfig(updates=4, tasks=2, group=2, lr=0.0, max_refills=20)
    for done in reinforce(tiny_learner(), Half(1.0), tasks, config):
        trained = {episode.task.id for episode in done.episodes if episode.task.seed % 2}
        assert len(trained) == 2
        assert done.metrics["groups"] == 2 + done.metrics["refills"] == len(done.episodes) / 2
        assert done.metrics["groups_without_signal"] == pytest.approx(1 - 2 / done.metrics["groups"])


def test_a_step_that_is_not_finite_stops_the_step_and_not_the_run() -> None:
    """An episode whose tokens the engine thought impossible makes the loss infinite."""

    class Broken(BanditPool):
        def run(self, items: Iterable[tuple[Task, int]]) -> Iterator[Episode]:
            for task, sample in items:
                episode = scored(task, sample, float(sample % 2))
                if len(self.loaded) == 1:
                    said = Completion((1, 2), (-1e30, -1e30), "stop")
                    episode = played(task, sample, [said], Verdict(reward=float(sample % 2)))
                yield episode

    learner = tiny_learner()
    config = ReinforceConfig(updates=2, tasks=1, group=2, minibatches=1, lr=1e-3)
    updates = reinforce(learner, Broken(1.0), [make_task(0)], config)
    before = copy.deepcopy(learner.model.state_dict())
    first = next(updates)
    assert first.metrics["skipped"] == 1.0
    assert "loss" not in first.metrics
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.model.state_dict().items())
    second = next(updates)
    assert second.metrics["skipped"] == 0.0
    assert not torch.equal(before["lm_head.weight"], learner.model.state_dict()["lm_head.weight"])


def test_domains_say_what_is_rewarded_and_how_strong_the_kl_is() -> None:
    """The weight of the outcome is 0, so that only the episodes' lengths tell them apart."""

    class Long(BanditPool):
        def run(self, items: Iterable[tuple[Task, int]]) -> Iterator[Episode]:
            for task, sample in items:
                said = Completion((1,) * (1 + sample % 2), (-1.0,) * (1 + sample % 2), "stop")
                yield played(task, sample, [said], Verdict(reward=1.0))

    learner = tiny_learner()
    short = Domain(rewards=RewardConfig(outcome=0.0, length=1.0, free_tokens=0, most_tokens=4), kl=0.1)
    config = ReinforceConfig(updates=1, tasks=1, group=2, minibatches=1, domains={"bandit": short})
    (done,) = reinforce(learner, Long(1.0), [make_task(0)], config)
    assert done.metrics["reward"] == pytest.approx(-3 / 8)
    assert done.metrics["terms/bandit/length"] == pytest.approx(-3 / 8)
    assert done.metrics["groups_without_signal"] == 0.0
    assert learner.reference is not None


def test_truncated_importance_sampling_recomputes_the_old_policy() -> None:
    """An engine that overstates its probabilities by a factor of e: the weights say so."""

    class Boastful(BanditPool):
        async def _sample(self, task: Task, sample: int) -> Completion:
            said = await super()._sample(task, sample)
            return dataclasses.replace(said, logprobs=tuple(logprob + 1 for logprob in said.logprobs))

    grpo = GrpoConfig(importance_cap=2.0, off_policy=None)
    config = ReinforceConfig(updates=1, tasks=4, group=16, minibatches=2, lr=1e-3, grpo=grpo)
    (done,) = reinforce(tiny_learner(), Boastful(1.0), [make_task(n) for n in range(4)], config)
    assert done.metrics["importance"] == pytest.approx(math.exp(-1), rel=1e-3)
    assert done.metrics["ratio_mean"] == pytest.approx(1.0, abs=0.05)


def held_out_tasks(first: int) -> list[Task]:
    """Prompts of the training tasks, in tasks with other ids, and so with other samples."""
    return [make_task(32 * (first + turn) + context) for turn in range(4) for context in range(4)]


HELD_OUT = {"near": held_out_tasks(1), "far": held_out_tasks(5)}


def taught_learner() -> Learner:
    """One that says the keys of the four tasks about half of the time."""
    learner = tiny_learner()
    learner.set_lr(1e-2)
    samples = [
        Sample((task.seed % 32, 9, 10, *(task.key,) * 3), (0, 0, 0, 1, 1, 1), (0.0,) * 6)
        for task in (make_task(n) for n in range(4))
    ]
    for _ in range(12):
        learner.sft_step(samples)
    learner.optimiser.state.clear()
    return learner


def test_a_run_that_diverges_recovers_by_rollback() -> None:
    """With an absurd learning rate the policy is lost at once; rolled back to lower ones it learns after all."""
    config = ReinforceConfig(
        updates=24,
        tasks=4,
        group=16,
        lr=1.0,
        warmup=0,
        guard=GuardConfig(every=2, tolerance=0.15, slower=0.06, most_rollbacks=3),
    )
    pool, learner = BanditPool(1.0), taught_learner()
    run = Reinforcer(learner, pool, [make_task(n) for n in range(4)], config, HELD_OUT)
    updates = list(run.updates())
    scores = [(done.step, one.name, one.score or 0.0) for done in updates for one in done.evaluations]
    assert {name for step, name, _ in scores if step == 0} == {"near", "far"}
    assert len({name for step, name, _ in scores if step}) == 2
    start = min(score for step, _, score in scores if step == 0)
    assert start > 0.3
    assert min(score for _, _, score in scores) < start - 0.15, "it did diverge"
    assert 1 <= run.guard.rollbacks <= 3
    assert updates[-1].metrics["rollbacks"] == run.guard.rollbacks
    assert updates[-1].metrics["lr"] == pytest.approx(0.06**run.guard.rollbacks)
    assert scores[-1][2] > max(0.8, start)
    assert [version for version, _ in pool.loaded] == list(range(25 + run.guard.rollbacks))


def test_a_run_that_falls_again_and_again_ends_with_the_last_good_policy() -> None:
    learner = taught_learner()
    before = copy.deepcopy(learner.model.state_dict())
    guard = GuardConfig(every=1, tolerance=0.15, slower=1.0, most_rollbacks=1)
    config = ReinforceConfig(updates=50, tasks=4, group=16, lr=1.0, warmup=0, guard=guard)
    updates = reinforce(learner, BanditPool(1.0), [make_task(n) for n in range(4)], config, HELD_OUT)
    steps: list[int] = []
    with pytest.raises(Diverged, match=r"held-out reward fell again \((near|far) from .* after 1 rollbacks: lower lr"):
        steps += [done.step for done in updates]
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.model.state_dict().items())


def test_a_resumed_run_equals_an_unbroken_one() -> None:
    config = ReinforceConfig(
        updates=6,
        tasks=3,
        group=8,
        max_refills=2,
        lr=5e-3,
        grpo=GrpoConfig(kl=0.05),
        guard=GuardConfig(every=2, tolerance=0.02),
    )
    tasks = [make_task(n) for n in range(5)]

    def fresh() -> Reinforcer:
        return Reinforcer(tiny_learner(), BanditPool(0.95), tasks, config, HELD_OUT)

    unbroken = fresh()
    expected = [(done.step, done.metrics) for done in unbroken.updates()]
    broken = fresh()
    saved = io.BytesIO()
    found = []
    for done in broken.updates():
        found.append((done.step, done.metrics))
        if done.step == 3:
            torch.save({"run": broken.state_dict(), "learner": broken.learner.state_dict()}, saved)
            break
    saved.seek(0)
    state = torch.load(saved, weights_only=True)
    resumed = fresh()
    resumed.learner.load_state_dict(state["learner"])
    resumed.load_state_dict(state["run"])
    found += [(done.step, done.metrics) for done in resumed.updates()]
    assert found == expected
    ours, theirs = unbroken.learner.model.state_dict(), resumed.learner.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_resumed_run_wants_its_reference_back() -> None:
    config = ReinforceConfig(updates=2, tasks=1, group=2, grpo=GrpoConfig(kl=0.05))
    run = Reinforcer(tiny_learner(), BanditPool(1.0), [make_task(0)], config)
    state = run.state_dict() | {"step": 1}
    run.load_state_dict(state)
    with pytest.raises(ValueError, match="resumes at update 1 without its reference policy: restore it as well"):
        next(run.updates())


@pytest.mark.slow
def test_a_pool_that_plays_ahead_teaches_as_well() -> None:
    """With weights one update old: the age of every token reaches the loss, and the reward rises all the same."""
    config = ReinforceConfig(updates=40, tasks=4, group=32, lr=5e-3, warmup=2, staleness=1)
    pool = BanditPool(1.0)
    threads = set(threading.enumerate())
    updates = list(reinforce(tiny_learner(), pool, [make_task(n) for n in range(4)], config, HELD_OUT))
    learnt = [done.metrics for done in updates if "loss" in done.metrics]
    assert len(learnt) == 40
    assert max(metrics["staleness_max"] for metrics in learnt) == 1.0
    assert sum(metrics["reward"] for metrics in learnt[-3:]) / 3 > 0.85
    assert len(pool.items) == 40 * 4 * 32 + 6 * 16
    assert set(threading.enumerate()) <= threads


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"group": 1}, "group is 1: it must be 2 or more"),
        ({"tasks": 0}, "tasks is 0: it must be 1 or more"),
        ({"lr": math.nan}, "lr is nan: it must be 0 or more, and finite"),
        ({"staleness": -1}, "staleness is -1: it must be 0 or more"),
        ({"temperature": 0.0}, "temperature is 0.0: it must be above 0"),
    ],
)
def test_impossible_configs_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        ReinforceConfig(**wrong)


def test_an_empty_held_out_set_is_refused() -> None:
    with pytest.raises(ValueError, match="held-out set 'near' has no tasks: give it some or leave it out"):
        Reinforcer(tiny_learner(), BanditPool(1.0), [make_task(0)], ReinforceConfig(), {"near": []})


def test_no_tasks_is_said() -> None:
    with pytest.raises(ValueError, match="there are no tasks to learn from"):
        next(reinforce(tiny_learner(), BanditPool(1.0), [], ReinforceConfig()))
