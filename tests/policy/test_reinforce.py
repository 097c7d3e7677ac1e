"""The reinforcement loop: who is trained on, with what baseline, and that reward rises on a bandit."""

import asyncio
import copy
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from palestra.envs.types import Task
from palestra.policy.batches import collate
from palestra.policy.config import DeepseekV32Config
from palestra.policy.engine import PolicyEngine
from palestra.policy.grpo import GrpoConfig
from palestra.policy.learner import Learner, OptimConfig
from palestra.policy.model import DeepseekV32ForCausalLM
from palestra.policy.reinforce import ReinforceConfig, Update, kept_of, reinforce, samples_of, weights_of
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
    config = ReinforceConfig(updates=4, tasks=2, group=4, lr=1e-3, warmup=4, grpo=GrpoConfig(kl=0.01))
    rates, updates = [], []
    for done in reinforce(learner, pool, tasks, config):
        rates.append(learner.optimiser.param_groups[0]["lr"])
        updates.append(done)
    assert rates == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3])
    assert [done.step for done in updates] == [1, 2, 3, 4]
    assert all(len(done.episodes) == 8 for done in updates)
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


def test_invalid_episodes_leave_their_group() -> None:
    task, other, dead = make_task(0), make_task(1), make_task(2)
    episodes = [
        scored(task, 0, 1.0),
        scored(other, 0, 0.1),
        scored(task, 1, None),
        scored(task, 2, 0.0),
        scored(task, 3, 1.0),
        scored(other, 1, 0.1),
        scored(other, 2, 0.1),
        scored(dead, 0, None),
    ]
    samples, metrics = samples_of(episodes, temperature=0.8)
    assert [sample.advantage for sample in samples] == pytest.approx([1 / 3, -2 / 3, 1 / 3])
    assert {sample.temperature for sample in samples} == {0.8}
    assert metrics["groups_without_signal"] == pytest.approx(2 / 3)
    assert metrics["invalid"] == pytest.approx(2 / 8)
    assert metrics["reward"] == pytest.approx((2 + 0.3) / 6)
    assert metrics["surprise"] == pytest.approx(1.5)


def test_an_episode_that_sampled_nothing_is_in_the_baseline_but_not_trained_on() -> None:
    task = make_task(0)
    silent = Episode(task, 1, "stub", "max_tokens", Verdict(reward=0.0), (Turn(Move(None, (1, 2, 3))),))
    samples, _ = samples_of([scored(task, 0, 1.0), silent])
    assert [sample.advantage for sample in samples] == [0.5]


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


def test_kept_stays_with_its_token_over_turns() -> None:
    masked = Completion((4, 5), (-0.1, -0.2), "stop", kept=((4, 6), None))
    plain = Completion((7,), (-0.3,), "stop")
    episode = played(make_task(0), 0, [plain, masked, plain], Verdict(reward=1.0))
    assert kept_of(episode) == [[None, (4, 6), None, None]]
    assert kept_of(played(make_task(0), 0, [plain], Verdict(reward=1.0))) == [None]
    samples, _ = samples_of([episode, scored(make_task(0), 1, 0.0)])
    batch = collate(samples, 32)
    assert batch.cut_NV is not None
    assert batch.targets_N.tolist() == [7, 4, 5, 7, 1, 2]
    assert (~batch.cut_NV).sum(dim=1).tolist() == [32, 2, 32, 32, 32, 32]


def test_no_tasks_is_said() -> None:
    with pytest.raises(ValueError, match="there are no tasks to learn from"):
        next(reinforce(tiny_learner(), BanditPool(1.0), [], ReinforceConfig()))
