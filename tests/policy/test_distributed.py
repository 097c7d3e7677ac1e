"""Two processes are as good as one: the same updates and metrics, one clear error when one of them dies."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import ray
import torch
from torch import Tensor

from palestra.policy.batches import Sample, microbatches
from palestra.policy.config import DeepseekV32Config
from palestra.policy.distributed import GroupConfig, LearnerGroup, RankLost
from palestra.policy.dsa_training import StageConfig, dense_stage, warm_up
from palestra.policy.grpo import GrpoConfig
from palestra.policy.learner import Learner, OptimConfig, TakesSteps
from palestra.policy.model import DeepseekV32ForCausalLM
from palestra.policy.ranks import owners
from palestra.policy.reinforce import weights_of
from palestra.policy.stability import Guard, GuardConfig
from palestra.rollout.cluster import ClusterTooSmall, connect

pytestmark = pytest.mark.slow

OPTIM = OptimConfig(lr=3e-3, weight_decay=0.1, microbatch=100)
SMALL = GroupConfig(processes=2, cpus=0.5)
Step = Callable[[TakesSteps, int], dict[str, float]]


def tiny_model(seed: int = 0, **changes: Any) -> DeepseekV32ForCausalLM:
    """One dense layer and one with experts."""
    torch.manual_seed(seed)
    config: dict[str, Any] = {
        "vocab_size": 31,
        "hidden_size": 24,
        "intermediate_size": 32,
        "moe_intermediate_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": 1,
        "q_lora_rank": 16,
        "kv_lora_rank": 12,
        "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 4,
        "v_head_dim": 8,
        "index_n_heads": 2,
        "index_head_dim": 8,
        "index_topk": 9,
        "max_position_embeddings": 256,
    }
    model = DeepseekV32ForCausalLM(DeepseekV32Config.from_dict(config | changes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def grouped(seed: int, groups: int = 5, size: int = 4) -> list[Sample]:
    """Groups of answers of uneven length to prompts of uneven length."""
    rng = random.Random(seed)
    samples = []
    for _ in range(groups):
        prompt = [rng.randrange(31) for _ in range(rng.randint(5, 40))]
        for _ in range(size):
            answer = [rng.randrange(31) for _ in range(rng.randint(1, 20))]
            length = len(prompt) + len(answer)
            samples.append(
                Sample(
                    (*prompt, *answer),
                    (0,) * len(prompt) + (1,) * len(answer),
                    tuple(-3.4 - rng.random() for _ in range(length)),
                    advantage=rng.gauss(0, 1),
                    temperature=rng.choice([1.0, 0.8]),
                    versions=tuple(rng.randrange(3) for _ in answer),
                )
            )
    rng.shuffle(samples)
    return samples


def single_file(seed: int) -> list[Sample]:
    """One short sample: less than there are processes."""
    return grouped(seed, groups=1, size=1)


def relative(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    return max(float((found[name] - one).norm() / one.norm().clamp(min=1e-12)) for name, one in expected.items())


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    connect(cpus=2)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def shared_group() -> Iterator[LearnerGroup]:
    with LearnerGroup(tiny_model(), OPTIM, group=SMALL) as group:
        yield group


@pytest.fixture
def group(shared_group: LearnerGroup) -> LearnerGroup:
    """The group as if it were new."""
    fresh = Learner(tiny_model(), OPTIM)
    shared_group.load_state_dict(fresh.state_dict())
    for name in ("config", "sparse", "seed", "version"):
        setattr(shared_group, name, getattr(fresh, name))
    return shared_group


def sft(learner: TakesSteps, step: int) -> dict[str, float]:
    return learner.sft_step(grouped(step))


def sft_tiny(learner: TakesSteps, step: int) -> dict[str, float]:
    return learner.sft_step(single_file(step))


def grpo(learner: TakesSteps, step: int) -> dict[str, float]:
    learner.set_lr(1e-3 * (step + 1))
    return learner.grpo_step(grouped(step, groups=4 + step), GrpoConfig())


def grpo_with_kl(learner: TakesSteps, step: int) -> dict[str, float]:
    if not step:
        learner.keep_reference()
    learner.version = 2
    return learner.grpo_step(grouped(step), GrpoConfig(kl=0.1, max_staleness=1, normalisation="token"))


def grpo_corrected(learner: TakesSteps, step: int) -> dict[str, float]:
    return learner.grpo_step(learner.recomputed(grouped(step)), GrpoConfig(importance_cap=2.0))


def dense_without_indexer(learner: TakesSteps, step: int) -> dict[str, float]:
    """The indexer gets no gradient anywhere: weight decay must not reach it either."""
    return next(dense_stage(learner, [grouped(step)], StageConfig(1, warmup=0)))


def warm_up_of_the_indexer(learner: TakesSteps, step: int) -> dict[str, float]:
    return next(warm_up(learner, [grouped(step)], StageConfig(1, warmup=0)))


@pytest.mark.parametrize(
    "step", [sft, sft_tiny, grpo, grpo_with_kl, grpo_corrected, dense_without_indexer, warm_up_of_the_indexer]
)
def test_two_processes_make_the_updates_of_one(group: LearnerGroup, step: Step) -> None:
    one = Learner(tiny_model(), OPTIM)
    before = weights_of(one)
    for number in range(3):
        expected = step(one, number)
        assert step(group, number) == pytest.approx(expected, rel=1e-5, abs=1e-7)
        assert expected["skipped"] == 0.0
    found, wanted = weights_of(group), weights_of(one)
    assert relative(found, wanted) < 1e-5
    moved = {name for name, tensor in wanted.items() if not torch.equal(tensor, before[name])}
    assert moved
    assert moved == {name for name, tensor in found.items() if not torch.equal(tensor, before[name])}
    own = ray.get([actor.weights.remote() for actor in group._actors])
    assert all(torch.equal(own[0][name], own[1][name]) for name in own[0]), "the processes have drifted apart"


def test_what_is_shared_stays_together_and_the_work_is_balanced() -> None:
    samples = grouped(3, groups=12)
    parts = list(microbatches(samples, 100))
    found = owners(parts, 3)
    sizes = [
        len({part[:end] for part in (sample.tokens for sample in some) for end in range(1, len(part))})
        for some in parts
    ]
    loads = [sum(size for size, owner in zip(sizes, found, strict=True) if owner == rank) for rank in range(3)]
    assert max(loads) - min(loads) <= max(sizes)
    assert owners(parts[:1], 3) == [0]


def test_recomputed_log_probabilities_come_back_in_order(group: LearnerGroup) -> None:
    samples = grouped(7)
    expected = Learner(tiny_model(), OPTIM).recomputed(samples)
    for ours, theirs in zip(group.recomputed(samples), expected, strict=True):
        assert replace(ours, recomputed=None) == replace(theirs, recomputed=None)
        assert ours.recomputed == pytest.approx(theirs.recomputed, abs=1e-6)


def test_a_state_goes_from_one_process_to_two_and_back(group: LearnerGroup) -> None:
    config = GrpoConfig(kl=0.1)
    unbroken, resumed = Learner(tiny_model(), OPTIM), Learner(tiny_model(1), OPTIM)
    unbroken.keep_reference()
    unbroken.grpo_step(grouped(0), config)
    group.load_state_dict(copy.deepcopy(unbroken.state_dict()))
    group.grpo_step(grouped(1), config)
    unbroken.grpo_step(grouped(1), config)
    resumed.load_state_dict(copy.deepcopy(group.state_dict()))
    assert resumed.grpo_step(grouped(2), config) == pytest.approx(unbroken.grpo_step(grouped(2), config), rel=1e-5)
    assert relative(weights_of(resumed), weights_of(unbroken)) < 1e-5


def test_a_step_that_is_not_finite_in_one_process_changes_nothing_in_any(group: LearnerGroup) -> None:
    samples = grouped(4)
    samples[2] = replace(samples[2], advantage=math.nan)
    before = weights_of(group)
    assert group.grpo_step(samples, GrpoConfig())["skipped"] == 1.0
    assert all(torch.equal(before[name], tensor) for name, tensor in weights_of(group).items())
    assert group.grpo_step(grouped(4), GrpoConfig())["skipped"] == 0.0


def test_a_bad_sample_is_the_error_of_one_process_and_the_group_goes_on(group: LearnerGroup) -> None:
    samples = grouped(5)
    samples[2] = replace(samples[2], tokens=(99, *samples[2].tokens[1:]))
    with pytest.raises(ValueError, match="token id 99 of a training sequence is not in the vocabulary of 31"):
        group.sft_step(samples)
    with pytest.raises(ValueError, match="there is no reference policy"):
        group.grpo_step(grouped(5), GrpoConfig(kl=0.1))
    assert group.sft_step(grouped(5)) == pytest.approx(Learner(tiny_model(), OPTIM).sft_step(grouped(5)), rel=1e-5)


def test_a_group_is_rolled_back(group: LearnerGroup) -> None:
    guard = Guard(GuardConfig(tolerance=0.1))
    group.sft_step(grouped(0))
    guard.keep(group, 0)
    guard.judge(group, {"set": 0.8}, 0)
    good = weights_of(group)
    first = group.sft_step(grouped(1))
    assert guard.judge(group, {"set": 0.2}, 1)
    assert all(torch.equal(good[name], tensor) for name, tensor in weights_of(group).items())
    assert group.sft_step(grouped(1)) == first


def test_more_processes_than_the_cluster_can_hold_are_refused() -> None:
    with pytest.raises(ClusterTooSmall, match="room for 2 of 5 workers"):
        LearnerGroup(tiny_model(), OPTIM, group=GroupConfig(processes=5))
    with pytest.raises(ValueError, match="processes is 0"):
        GroupConfig(processes=0)


def test_a_process_that_dies_ends_the_group_with_one_line(shared_group: LearnerGroup) -> None:
    """The last test: it takes the group with it."""
    ray.kill(shared_group._actors[1])
    for _ in range(2):
        with pytest.raises(RankLost, match=r"learner process 1 of 2 is lost .*: give the same command again") as caught:
            shared_group.sft_step(grouped(6))
        assert "\n" not in str(caught.value)
