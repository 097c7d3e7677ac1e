"""The reinforcement loop on real workers: engines in Ray actors that play while the learner learns."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
import ray
import torch

from palestra.envs.mini.search import SearchMini
from palestra.envs.types import Task, ToolSchema
from palestra.infra.sandbox.sync import Sandboxes
from palestra.policy.config import DeepseekV32Config
from palestra.policy.engine import PolicyEngine
from palestra.policy.groups import Domain
from palestra.policy.learner import Learner, OptimConfig
from palestra.policy.model import DeepseekV32ForCausalLM
from palestra.policy.reinforce import ReinforceConfig, reinforce
from palestra.policy.rewards import RewardConfig
from palestra.rollout.cluster import connect
from palestra.rollout.codec import DeepseekCodec
from palestra.rollout.episode import Budget
from palestra.rollout.players import TokenPolicy
from palestra.rollout.tokenizer import train_tokenizer
from palestra.rollout.types import Message, Player, Policy, Sampling
from palestra.rollout.workers import PoolConfig, RolloutPool

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    connect(cpus=2)
    yield
    ray.shutdown()


def tiny_model(vocabulary: int) -> DeepseekV32ForCausalLM:
    torch.manual_seed(0)
    return DeepseekV32ForCausalLM(
        DeepseekV32Config(
            vocab_size=vocabulary,
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            first_k_dense_replace=1,
            q_lora_rank=8,
            kv_lora_rank=8,
            qk_nope_head_dim=4,
            qk_rope_head_dim=4,
            v_head_dim=4,
            index_n_heads=1,
            index_head_dim=8,
            index_topk=8,
            max_position_embeddings=1024,
        )
    )


class Uneven(TokenPolicy):
    """Cuts the samples of a task off at different lengths."""

    def start(self, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int) -> Player:
        self.sampling = replace(self.sampling, max_tokens=6 + 6 * (sample % 4))
        return super().start(task, messages, tools, sample)


def make_policy(codec: DeepseekCodec, sandboxes: Sandboxes | None) -> Policy:
    engine = PolicyEngine(tiny_model(codec.tokenizer.vocab_size), slots=8, max_len=1000)
    return Uneven("tiny", engine, codec, Sampling(top_p=1.0, seed=0))


@pytest.mark.parametrize("staleness", [0, 1])
def test_workers_play_while_the_learner_learns(staleness: int) -> None:
    """An untrained policy, rewarded for being short: groups have signal, and every token says who sampled it."""
    codec = DeepseekCodec(train_tokenizer([], 300), show_tools=False)
    learner = Learner(tiny_model(codec.tokenizer.vocab_size), OptimConfig())
    before = learner.model.lm_head.weight.detach().clone()
    tasks = [SearchMini().propose(random.Random(seed), 1) for seed in range(3)]
    short = Domain(rewards=RewardConfig(outcome=0.0, length=1.0, most_tokens=24))
    config = ReinforceConfig(updates=4, tasks=2, group=4, lr=1e-2, staleness=staleness, domains={"search-mini": short})
    pool_config = PoolConfig(workers=2, chunk=4, cpus_per_worker=0.5, budget=Budget(turns=1))
    pool = RolloutPool(partial(make_policy, codec), pool_config)
    try:
        updates = list(reinforce(learner, pool, tasks, config, {"search-mini": tasks[:1]}))
    finally:
        pool.close()
    assert [(done.step, len(done.episodes)) for done in updates] == [(0, 0), *((step, 8) for step in range(1, 5))]
    for done in updates[1:]:
        versions = {
            version for episode in done.episodes for path in episode.segments for version in path.versions or ()
        }
        assert versions <= set(range(max(0, done.step - 1 - staleness), done.step))
        assert done.metrics["invalid"] == 0.0
        assert done.metrics["groups_without_signal"] == 0.0
        assert done.metrics["staleness_max"] <= staleness
        assert done.metrics["skipped"] == 0.0
    assert not torch.equal(learner.model.lm_head.weight.detach(), before)
