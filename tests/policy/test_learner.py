"""Optimiser steps: which loss reaches which weight, that cutting the batch changes nothing, and what goes wrong."""

import asyncio
import copy
import io
import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from palestra.policy.batches import Sample
from palestra.policy.config import DeepseekV32Config
from palestra.policy.engine import PolicyEngine
from palestra.policy.grpo import GrpoConfig, grpo_loss
from palestra.policy.learner import Learner, OptimConfig
from palestra.policy.model import DeepseekV32ForCausalLM
from palestra.policy.moe import Router
from palestra.rollout.types import Sampling

TINY: dict[str, Any] = {
    "vocab_size": 37,
    "hidden_size": 32,
    "intermediate_size": 40,
    "moe_intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 2,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 12,
    "index_n_heads": 2,
    "index_head_dim": 16,
    "index_topk": 8,
    "max_position_embeddings": 128,
}
STILL = OptimConfig(lr=0.0, weight_decay=0.0, max_grad_norm=1e9, routing_bias_speed=0.0)


def random_model(seed: int = 0, dtype: torch.dtype = torch.float32, **changes: Any) -> DeepseekV32ForCausalLM:
    torch.manual_seed(seed)
    model = DeepseekV32ForCausalLM(DeepseekV32Config.from_dict(TINY | changes), dtype=dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def random_samples(seed: int, count: int = 7, kept: bool = False) -> list[Sample]:
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for number in range(count):
        length = 6 + 5 * number
        tokens = tuple(torch.randint(0, 37, (length,), generator=generator).tolist())
        mask = (0, 0, 0, *(torch.rand(length - 3, generator=generator) < 0.6).int().tolist())
        logprobs = tuple((-3.6 - torch.rand(length, generator=generator)).tolist())
        advantage = float(torch.randn((), generator=generator))
        masks = tuple((token, (token + 5) % 37, 1) for token, said in zip(tokens, mask, strict=True) if said)
        samples.append(Sample(tokens, mask, logprobs, masks if kept else None, advantage))
    return samples


def naive_logprobs(model: DeepseekV32ForCausalLM, sample: Sample) -> Tensor:
    """Log-probabilities of one sample's sampled tokens, from all logits of the sequence alone."""
    logits_TV = model(torch.tensor([sample.tokens]), ties="recent").logits_BTV[0, :-1] / sample.temperature
    said = torch.tensor(sample.mask[1:]).nonzero()[:, 0]
    logits_NV = logits_TV[said]
    for row, ids in enumerate(sample.kept or ()):
        if ids is not None:
            cut = torch.ones(logits_NV.shape[1], dtype=torch.bool)
            cut[list(ids)] = False
            logits_NV[row] = logits_NV[row].masked_fill(cut, -math.inf)
    targets = torch.tensor(sample.tokens[1:])[said]
    found: Tensor = logits_NV.log_softmax(dim=-1).gather(1, targets[:, None])[:, 0]
    return found


def gradients(learner: Learner) -> dict[str, Tensor]:
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in learner.model.named_parameters()
    }


def relative(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Largest error of any tensor, relative to that tensor's norm."""
    return max(
        float((found[name] - expected[name]).norm() / expected[name].norm().clamp(min=1e-12)) for name in expected
    )


@pytest.mark.parametrize("sparse", [True, False])
def test_microbatches_give_the_gradient_of_one_batch(sparse: bool) -> None:
    samples = random_samples(1, kept=True)
    config = GrpoConfig(clip=0.2, off_policy=0.3)
    for task in ("sft", "grpo"):
        found = []
        for size in (10**6, 90, 1):
            learner = Learner(random_model(), replace(STILL, microbatch=size), sparse)
            metrics = learner.sft_step(samples) if task == "sft" else learner.grpo_step(samples, config)
            found.append((metrics, gradients(learner)))
        whole, whole_gradient = found[0]
        for metrics, gradient in found[1:]:
            # How much is shared depends on how the batch is cut; nothing else does.
            assert metrics | {"shared": 0} == pytest.approx(whole | {"shared": 0}, rel=1e-5)
            assert relative(gradient, whole_gradient) < 1e-5


def test_each_loss_reaches_its_own_weights() -> None:
    samples = random_samples(2)
    found = {}
    for weight in (0.0, 1.0, 3.0):
        learner = Learner(random_model(), replace(STILL, indexer_weight=weight))
        learner.sft_step(samples)
        found[weight] = gradients(learner)
    for name, gradient in found[1.0].items():
        if ".indexer." in name:
            assert gradient.norm() > 0, name
            assert found[0.0][name].norm() == 0, name
            assert torch.allclose(found[3.0][name], 3 * gradient, rtol=1e-4, atol=1e-8), name
        else:
            assert gradient.norm() > 0, name
            assert torch.equal(found[0.0][name], gradient), name


def test_the_loss_is_the_cross_entropy_of_the_sampled_tokens_alone() -> None:
    model = random_model(3)
    samples = random_samples(3)
    naive, total = 0.0, 0
    for sample in samples:
        with torch.no_grad():
            logits = model(torch.tensor([sample.tokens]), ties="recent").logits_BTV[0].double()
        for place in range(1, len(sample.tokens)):
            if sample.mask[place]:
                naive -= float(logits[place - 1].log_softmax(dim=-1)[sample.tokens[place]])
                total += 1
    assert Learner(model, STILL).sft_step(samples)["loss"] == pytest.approx(naive / total, rel=1e-5)


def test_a_step_lowers_the_loss_on_the_same_batch() -> None:
    learner = Learner(random_model(4), OptimConfig(lr=3e-3, microbatch=200))
    samples = random_samples(4)
    losses = [learner.sft_step(samples)["loss"] for _ in range(6)]
    assert all(after < before for before, after in pairwise(losses))


@pytest.mark.parametrize(
    ("sampling", "expected_cut"),
    [(Sampling(top_p=1.0), False), (Sampling(top_p=0.8), True), (Sampling(temperature=0.7, top_p=0.9), True)],
)
def test_the_first_ratio_is_one(sampling: Sampling, expected_cut: bool) -> None:
    """What the engine said a token's probability was is what the learner finds, truncation and temperature included."""
    model = random_model(5)
    engine = PolicyEngine(model, slots=4, max_len=100)
    prompts = [[n + 1] * (3 + 6 * n) for n in range(6)]

    async def play() -> list[Sample]:
        calls = [engine.generate(prompt, replace(sampling, max_tokens=30, seed=n)) for n, prompt in enumerate(prompts)]
        samples = []
        for prompt, said in zip(prompts, await asyncio.gather(*calls), strict=True):
            before, after = len(prompt), len(said.tokens)
            samples.append(
                Sample(
                    (*prompt, *said.tokens),
                    (0,) * before + (1,) * after,
                    (0.0,) * before + said.logprobs,
                    said.kept,
                    0.5,
                    sampling.temperature,
                )
            )
        return samples

    samples = asyncio.run(play())
    assert any(sample.kept for sample in samples) == expected_cut
    for sample in samples:
        with torch.no_grad():
            found = naive_logprobs(model, sample)
        assert (found - torch.tensor(sample.logprobs)[-len(found) :]).abs().max() < 1e-4
    learner = Learner(model, STILL)
    metrics = learner.grpo_step(samples, GrpoConfig())
    assert metrics["loss"] == pytest.approx(-0.5, abs=1e-4)
    assert metrics["clipped"] == metrics["masked"] == 0.0


def test_grpo_gradient_is_that_of_the_objective() -> None:
    samples = random_samples(6, kept=True)
    config = GrpoConfig(clip=0.1, off_policy=0.2, kl=0.3)
    learner = Learner(random_model(6), replace(STILL, indexer_weight=0.0, microbatch=60))
    learner.reference = random_model(60)
    metrics = learner.grpo_step(samples, config)
    model = random_model(6)
    new = torch.cat([naive_logprobs(model, sample) for sample in samples])
    reference = torch.cat([naive_logprobs(learner.reference, sample) for sample in samples]).detach()
    old = [logprob for sample in samples for logprob, said in zip(sample.logprobs, sample.mask, strict=True) if said]
    rows_N = torch.repeat_interleave(torch.tensor([sample.sampled for sample in samples]))
    advantages_B = torch.tensor([sample.advantage for sample in samples])
    part = grpo_loss(new, torch.tensor(old), rows_N, advantages_B, config, reference)
    torch.autograd.backward(part.loss)
    assert metrics["loss"] == pytest.approx(float(part.loss.detach()), rel=1e-4)
    assert metrics["kl"] == pytest.approx(part.kl, rel=1e-4)
    expected = {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for name, parameter in model.named_parameters()
    }
    assert relative(gradients(learner), expected) < 1e-4


def test_kl_needs_a_reference_and_a_kept_one_is_a_copy() -> None:
    learner = Learner(random_model(7), OptimConfig(lr=1e-2))
    samples = random_samples(7)
    with pytest.raises(ValueError, match="there is no reference policy"):
        learner.grpo_step(samples, GrpoConfig(kl=0.1))
    learner.keep_reference()
    assert learner.grpo_step(samples, GrpoConfig(kl=0.1))["kl"] == pytest.approx(0.0, abs=1e-5)
    assert learner.grpo_step(samples, GrpoConfig(kl=0.1))["kl"] > 1e-3


@pytest.mark.parametrize("damage", ["advantage", "logprob", "weight"])
def test_a_step_that_is_not_finite_changes_nothing(damage: str) -> None:
    learner = Learner(random_model(8), OptimConfig(lr=1e-2))
    samples = random_samples(8)
    assert learner.grpo_step(samples, GrpoConfig())["skipped"] == 0.0
    if damage == "advantage":
        samples[2] = replace(samples[2], advantage=math.nan)
    elif damage == "logprob":
        samples[2] = replace(samples[2], logprobs=(-math.inf,) * len(samples[2].tokens))
    else:
        with torch.no_grad():
            learner.model.lm_head.weight[3, 3] = math.inf
    before = copy.deepcopy(learner.model.state_dict())
    metrics = learner.grpo_step(samples, GrpoConfig())
    assert metrics["skipped"] == 1.0
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.model.state_dict().items())
    assert learner.sft_step(random_samples(9))["skipped"] == (1.0 if damage == "weight" else 0.0)


def test_nothing_to_learn_is_said() -> None:
    learner = Learner(random_model(), STILL)
    with pytest.raises(ValueError, match="2 training sequences hold no token to learn"):
        learner.sft_step([Sample((1, 2), (0, 0), (0.0, 0.0))] * 2)


def test_the_routing_bias_evens_the_load_of_supervised_steps_only() -> None:
    model = random_model(10, n_group=1, n_routed_experts=6)
    router = next(module for module in model.modules() if isinstance(module, Router))
    with torch.no_grad():
        router.weight[:] *= 0.05
        router.e_score_correction_bias[0] += 0.4
    learner = Learner(model, replace(STILL, routing_bias_speed=0.02))
    samples = random_samples(10)
    bias = router.e_score_correction_bias.clone()
    first = learner.grpo_step(samples, GrpoConfig())
    assert torch.equal(router.e_score_correction_bias, bias)
    # Expert 0 is one of the two of every token: its load is 1 of 2, the mean 2 of 6.
    assert first["expert_load"] == pytest.approx(3.0)
    loads = [learner.sft_step(samples)["expert_load"] for _ in range(40)]
    assert loads[0] == pytest.approx(3.0)
    assert min(loads[-5:]) < 1.6
    assert (router.e_score_correction_bias - bias).abs().max() <= 40 * 0.02 + 1e-5


def test_padding_does_not_count_as_expert_load() -> None:
    samples = random_samples(11)
    found = [Learner(random_model(11), replace(STILL, microbatch=size)).sft_step(samples) for size in (10**6, 1)]
    assert found[0]["expert_load"] == pytest.approx(found[1]["expert_load"])


def test_a_model_without_experts_has_no_load() -> None:
    metrics = Learner(random_model(first_k_dense_replace=2), OptimConfig()).sft_step(random_samples(12))
    assert "expert_load" not in metrics
    assert metrics["skipped"] == 0.0


@pytest.mark.parametrize("with_reference", [True, False])
def test_a_learner_goes_on_from_its_state_as_if_unbroken(with_reference: bool) -> None:
    """A state is taken through a file, as checkpoints are."""
    config = GrpoConfig(kl=0.1 if with_reference else 0.0)
    unbroken = Learner(random_model(13), OptimConfig(lr=1e-2))
    if with_reference:
        unbroken.keep_reference()
    for step in range(2):
        unbroken.grpo_step(random_samples(step), config)
    file = io.BytesIO()
    torch.save(unbroken.state_dict(), file)
    file.seek(0)
    resumed = Learner(random_model(14), OptimConfig(lr=1e-2))
    resumed.load_state_dict(torch.load(file))
    for step in range(2, 5):
        assert resumed.grpo_step(random_samples(step), config) == unbroken.grpo_step(random_samples(step), config)
    for name, tensor in unbroken.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], tensor), name


def test_the_age_of_tokens_is_counted_from_the_learners_version() -> None:
    learner = Learner(random_model(15), STILL)
    samples = [replace(sample, versions=(3,) * sample.sampled) for sample in random_samples(15)]
    with pytest.raises(ValueError, match="max_staleness is 1"):
        learner.grpo_step(samples, GrpoConfig(max_staleness=1))
    for version, stale in ((4, 0.0), (5, 1.0)):
        learner.version = version
        metrics = learner.grpo_step(samples, GrpoConfig(max_staleness=1))
        assert metrics["stale"] == pytest.approx(stale)
        assert metrics["staleness_max"] == version - 3


def test_recomputed_log_probabilities_are_the_models() -> None:
    learner = Learner(random_model(16), replace(STILL, microbatch=60))
    samples = random_samples(16, kept=True)
    for before, after in zip(samples, learner.recomputed(samples), strict=True):
        assert replace(after, recomputed=None) == before
        with torch.no_grad():
            assert after.recomputed == pytest.approx(naive_logprobs(learner.model, before).tolist(), abs=1e-4)
