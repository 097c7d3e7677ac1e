"""The supervised schedule: learning rates, the switch to sparse attention, and that a pattern is learnt."""

from collections.abc import Iterator
from itertools import repeat

import pytest
import torch

from palestra.policy.config import DeepseekV32Config
from palestra.policy.learner import Learner, OptimConfig
from palestra.policy.model import DeepseekV32ForCausalLM
from palestra.policy.sft import SftConfig, fine_tune
from palestra.rollout.types import Trajectory

TINY = DeepseekV32Config(
    vocab_size=16,
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
    index_topk=6,
    max_position_embeddings=64,
)


def learner() -> Learner:
    torch.manual_seed(0)
    return Learner(DeepseekV32ForCausalLM(TINY), OptimConfig())


def counting(length: int = 14) -> Iterator[Trajectory]:
    """Demonstrations that count upwards from anywhere."""
    for start in range(1_000_000):
        tokens = tuple((start + step) % 16 for step in range(length))
        yield Trajectory(tokens, (0, *([1] * (length - 1))), (0.0,) * length)


def test_learning_rate_rises_then_falls() -> None:
    config = SftConfig(steps=100, lr=1.0, final_lr=0.1, warmup=10)
    assert config.lr_at(0) == pytest.approx(0.1)
    assert config.lr_at(9) == pytest.approx(1 - 0.9 * 0.09)
    assert config.lr_at(100) == pytest.approx(0.1)
    rates = [config.lr_at(step) for step in range(10, 100)]
    assert rates == sorted(rates, reverse=True)
    assert SftConfig(steps=10, lr=1.0, warmup=0).lr_at(0) == 1.0


def test_counting_is_learnt_densely_and_then_sparsely() -> None:
    student = learner()
    config = SftConfig(steps=60, dense_steps=40, batch=4, lr=1e-2, final_lr=1e-3, warmup=5)
    seen = []
    for metrics in fine_tune(student, counting(), config):
        seen.append((student.sparse, student.optimiser.param_groups[0]["lr"], metrics))
    assert [sparse for sparse, _, _ in seen] == [False] * 40 + [True] * 20
    assert [rate for _, rate, _ in seen] == [config.lr_at(step) for step in range(60)]
    assert [metrics["tokens"] for _, _, metrics in seen] == [4 * 14 * (step + 1) for step in range(60)]
    assert seen[0][2]["loss"] > 2.5
    assert seen[-1][2]["loss"] < 0.3


def test_it_ends_where_the_demonstrations_end() -> None:
    few = [next(counting())] * 7
    steps = list(fine_tune(learner(), iter(few), SftConfig(steps=50, batch=3)))
    assert [step["tokens"] for step in steps] == [42.0, 84.0, 98.0]
    assert list(fine_tune(learner(), iter(repeat(few[0], 0)), SftConfig(steps=50))) == []
