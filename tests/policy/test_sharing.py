"""What samples share is computed once, and nothing else changes: metrics and gradients are those of samples apart."""

import copy
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from palestra.policy.batches import Sample, collate
from palestra.policy.config import DeepseekV32Config
from palestra.policy.grpo import GrpoConfig
from palestra.policy.learner import Learner, OptimConfig
from palestra.policy.model import DeepseekV32ForCausalLM

TINY: dict[str, Any] = {
    "vocab_size": 29,
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
    "index_n_heads": 3,
    "index_head_dim": 8,
    "index_topk": 9,
    "max_position_embeddings": 256,
}
STILL = OptimConfig(lr=0.0, weight_decay=0.0, max_grad_norm=1e9, routing_bias_speed=0.0)


def random_model(dtype: torch.dtype = torch.float32, **changes: Any) -> DeepseekV32ForCausalLM:
    torch.manual_seed(0)
    model = DeepseekV32ForCausalLM(DeepseekV32Config.from_dict(TINY | changes), dtype=dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def branching(seed: int, count: int, turns: int, experts: bool = False) -> list[Sample]:
    """Episodes that begin alike and part at any turn, some of them within what was sampled. The expert choices agree
    as long as the tokens do, and now and then differ before."""
    rng = random.Random(seed)
    first = [(rng.randrange(29), 0) for _ in range(12)]
    episodes: list[list[tuple[int, int]]] = [first]
    samples: list[Sample] = []
    while len(samples) < count:
        path = list(rng.choice(episodes))
        path = path[: rng.randint(12, len(path))]
        for _ in range(rng.randint(1, turns)):
            path += [(rng.randrange(29), int(part >= 3)) for part in range(rng.randint(4, 8))]
        episodes.append(path)
        dice = random.Random(rng.random() if rng.random() < 0.2 else 0)
        choices = [[dice.sample(range(4), 2)] for _ in path]
        tokens, mask = zip(*path, strict=True)
        if not any(mask):
            continue
        sampled = sum(mask)
        samples.append(
            Sample(
                tokens,
                mask,
                tuple(-3.0 - random.Random(place).random() for place in range(len(path))),
                tuple((token, 1, 2) if token % 3 else None for token, said in path if said),
                advantage=rng.gauss(0, 1),
                temperature=rng.choice([1.0, 1.0, 0.7]),
                versions=tuple(range(sampled)),
                experts=np.array(choices[:-1]) if experts else None,
            )
        )
    return samples


def gradients(learner: Learner) -> dict[str, Tensor]:
    found = {name: parameter.grad for name, parameter in learner.model.named_parameters()}
    return {name: grad for name, grad in found.items() if grad is not None}


def assert_alike(model: DeepseekV32ForCausalLM, samples: list[Sample], sparse: bool, bound: float) -> float:
    """Shared and separate steps agree in every metric and every gradient; returns how often a position was shared."""
    found = []
    for share in (True, False):
        learner = Learner(copy.deepcopy(model), STILL, sparse, share=share)
        metrics = learner.grpo_step(samples, GrpoConfig(clip=0.5))
        found.append((gradients(learner), metrics))
    (ours, metrics), (theirs, expected) = found
    shared = metrics.pop("shared")
    assert expected.pop("shared") == 1.0
    assert metrics == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert ours.keys() == theirs.keys()
    for name, grad in theirs.items():
        assert float((ours[name] - grad).norm()) <= bound * float(grad.norm()) + 1e-12, name
    return shared


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("topk", [9, 256])
@pytest.mark.parametrize("experts", [True, False])
def test_a_branching_group_has_the_gradients_of_its_samples(sparse: bool, topk: int, experts: bool) -> None:
    samples = branching(1, 12, 3, experts)
    assert assert_alike(random_model(index_topk=topk), samples, sparse, 1e-5) > 1.5


@pytest.mark.parametrize("sparse", [True, False])
def test_in_float64_they_agree_to_ten_digits(sparse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The norms and the router compute in float32 whatever the model's dtype, as the published ones do; not here."""
    monkeypatch.setattr(Tensor, "float", lambda tensor: tensor)
    assert assert_alike(random_model(torch.float64), branching(2, 10, 4), sparse, 1e-10) > 1.5


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 4), st.booleans(), st.booleans())
def test_random_tries(seed: int, count: int, turns: int, experts: bool, sparse: bool) -> None:
    assert_alike(random_model(), branching(seed, count, turns, experts), sparse, 2e-5)


def test_recorded_experts_are_used_and_part_nodes_that_differ() -> None:
    tokens, mask = (3, 4, 5, 6, 7), (0, 0, 0, 1, 1)
    plain = Sample(tokens, mask, (0.0,) * 5)
    one, other = (replace(plain, experts=np.array([[[0, 1]], [[2, 3]], [[number, 1]], [[0, 2]]])) for number in (0, 3))
    batch = collate([one, other, plain, one], 29)
    # Two nodes in common, then two each, and four of the one without choices.
    assert len(batch.forest) == 2 + 2 + 2 + 4
    assert batch.forced is not None
    for path, sample in zip(batch.forest.paths, (one, other, plain), strict=False):
        expected = [[-1, -1]] * 4 if sample.experts is None else sample.experts[:, 0].tolist()
        assert batch.forced[0][path].tolist() == expected
    model = random_model()
    forced = Learner(model, STILL).recomputed([one])[0].recomputed
    logits = model(torch.tensor([tokens[:-1]]), routing=[torch.tensor(one.experts)[None, :, 0]], ties="recent")
    expected = logits.logits_BTV[0, 2:].log_softmax(dim=-1)[[0, 1], [6, 7]]
    assert forced == pytest.approx(expected.tolist(), abs=1e-5)
    assert forced != pytest.approx(Learner(model, STILL).recomputed([plain])[0].recomputed, abs=1e-4)


def test_samples_without_recorded_experts_choose_freely_beside_those_with() -> None:
    samples = branching(4, 6, 2, experts=True)
    samples[2:4] = [replace(sample, experts=None) for sample in samples[2:4]]
    assert_alike(random_model(), samples, True, 1e-5)


def test_recomputation_changes_nothing() -> None:
    samples = branching(5, 6, 3)
    found = []
    for recompute in (False, True):
        learner = Learner(random_model(), replace(STILL, recompute=recompute))
        metrics = learner.grpo_step(samples, GrpoConfig())
        found.append((metrics, gradients(learner)))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(found[1][1][name], grad) for name, grad in found[0][1].items())
