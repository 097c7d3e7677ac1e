"""When a policy counts as good, when it is rolled back, and to what."""

import copy
import io
import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from palestra.policy.batches import Sample
from palestra.policy.config import DeepseekV32Config
from palestra.policy.learner import Learner, OptimConfig
from palestra.policy.model import DeepseekV32ForCausalLM
from palestra.policy.stability import Diverged, Guard, GuardConfig

TINY = DeepseekV32Config(
    vocab_size=16,
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
    index_topk=4,
    max_position_embeddings=16,
)
SAMPLE = Sample((1, 2, 3, 4), (0, 0, 1, 1), (0.0,) * 4)


def tiny_learner() -> Learner:
    torch.manual_seed(0)
    return Learner(DeepseekV32ForCausalLM(TINY), OptimConfig())


def state_of(learner: Learner) -> list[Tensor]:
    """Copies of all weights and moments."""
    moments = [
        tensor for state in learner.optimiser.state.values() for tensor in state.values() if isinstance(tensor, Tensor)
    ]
    return [tensor.detach().clone() for tensor in (*learner.model.state_dict().values(), *moments)]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) and all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def guarded(config: GuardConfig | None = None, **scores: float) -> tuple[Guard, Learner]:
    """A guard that keeps a learner after one step, with these scores."""
    learner = tiny_learner()
    learner.sft_step([SAMPLE])
    guard = Guard(config)
    guard.keep(learner, 0)
    assert not guard.judge(learner, dict(scores), 0)
    return guard, learner


def test_a_fall_brings_weights_and_moments_back_and_slows_down() -> None:
    guard, learner = guarded(GuardConfig(tolerance=0.1, slower=0.25), a=0.6)
    good = state_of(learner)
    learner.sft_step([SAMPLE])
    bad = state_of(learner)
    assert not same(good, bad)
    assert guard.judge(learner, {"a": 0.49}, 5)
    assert same(state_of(learner), good)
    assert (guard.lr_scale, guard.rollbacks, guard.good_step) == (0.25, 1, 0)
    learner.sft_step([SAMPLE])
    assert same(state_of(learner), bad), "what comes back learns as it did"


def test_what_is_within_the_tolerance_is_the_new_good() -> None:
    guard, learner = guarded(GuardConfig(tolerance=0.1), a=0.6)
    learner.sft_step([SAMPLE])
    better = state_of(learner)
    assert not guard.judge(learner, {"a": 0.55}, 5)
    learner.sft_step([SAMPLE])
    assert guard.judge(learner, {"a": 0.2}, 10)
    assert same(state_of(learner), better)
    assert guard.good_step == 5


def test_the_best_is_what_counts_so_that_a_slow_fall_is_one_too() -> None:
    guard, learner = guarded(GuardConfig(tolerance=0.1), a=0.6)
    assert not guard.judge(learner, {"a": 0.55}, 1)
    assert not guard.judge(learner, {"a": 0.51}, 2)
    assert guard.judge(learner, {"a": 0.47}, 3)


def test_sets_are_compared_with_themselves() -> None:
    guard, learner = guarded(a=0.9, b=0.2)
    assert not guard.judge(learner, {"b": 0.15}, 1)
    assert not guard.judge(learner, {"c": 0.0}, 2)
    assert guard.judge(learner, {"a": 0.2}, 3)


def test_a_set_that_could_not_be_played_is_no_evidence_unless_updates_came_to_nothing() -> None:
    guard, learner = guarded(a=0.9)
    good = state_of(learner)
    learner.sft_step([SAMPLE])
    assert not guard.judge(learner, {"a": None}, 1)
    assert guard.good_step == 0
    assert not same(state_of(learner), good)
    assert guard.judge(learner, {"a": None}, 2, broken=True)
    assert same(state_of(learner), good)
    assert not guard.judge(learner, {"a": 0.9}, 3, broken=True)


def test_rollbacks_are_bounded() -> None:
    guard, learner = guarded(GuardConfig(most_rollbacks=2), a=0.9)
    good = state_of(learner)
    assert guard.judge(learner, {"a": 0.1}, 1)
    assert guard.judge(learner, {"a": 0.1}, 2)
    learner.sft_step([SAMPLE])
    said = "update 3: held-out reward fell again (a from 0.900 to 0.100) after 2 rollbacks: lower lr"
    with pytest.raises(Diverged, match=re.escape(said)):
        guard.judge(learner, {"a": 0.1}, 3)
    assert same(state_of(learner), good)


@settings(deadline=None, max_examples=12)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 1)), max_size=12), st.integers(0, 12))
def test_a_saved_guard_decides_the_same(scores: list[tuple[str, float]], cut: int) -> None:
    config = GuardConfig(tolerance=0.1, most_rollbacks=100)
    guard, learner = guarded(config, a=0.5, b=0.5)
    other, twin = guarded(config, a=0.5, b=0.5)
    for step, (name, score) in enumerate(scores):
        if step == cut:
            saved = io.BytesIO()
            torch.save(other.state_dict(), saved)
            saved.seek(0)
            other = Guard(config)
            other.load_state_dict(torch.load(saved, weights_only=True))
        for one in (learner, twin):
            one.sft_step([SAMPLE])
        assert guard.judge(learner, {name: score}, step) == other.judge(twin, {name: score}, step)
    assert same(state_of(learner), state_of(twin))
    assert (guard.lr_scale, guard.rollbacks) == (other.lr_scale, other.rollbacks)


def test_what_is_kept_is_a_copy() -> None:
    guard, learner = guarded(a=0.9)
    state = copy.deepcopy(guard.state_dict())
    learner.sft_step([SAMPLE])
    again = guard.state_dict()
    assert all(
        torch.equal(state["good"]["model"][name], again["good"]["model"][name]) for name in state["good"]["model"]
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"every": -1}, "every is -1: it must be 0 or more"),
        ({"tolerance": float("nan")}, "tolerance is nan: it must be 0 or more"),
        ({"most_rollbacks": -2}, "most_rollbacks is -2: it must be 0 or more"),
        ({"slower": 0.0}, "slower is 0.0: it must be above 0 and at most 1"),
        ({"slower": 1.5}, "slower is 1.5: it must be above 0 and at most 1"),
    ],
)
def test_impossible_configs_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        GuardConfig(**wrong)
