"""The stages of DSA training against naive float64 loops: what each teaches, from which loss, and what probes see."""

import copy
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from palestra.kernels.dsa import Selector
from palestra.policy.attention import LatentAttention
from palestra.policy.batches import Sample
from palestra.policy.config import DeepseekV32Config
from palestra.policy.dsa_training import Probe, StageConfig, dense_stage, probe, sparse_stage, warm_up
from palestra.policy.learner import Learner, OptimConfig
from palestra.policy.model import DeepseekV32ForCausalLM
from palestra.policy.moe import Router

TOPK = 6
TINY: dict[str, Any] = {
    "vocab_size": 31,
    "hidden_size": 32,
    "intermediate_size": 40,
    "moe_intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
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
    "index_topk": TOPK,
    "max_position_embeddings": 64,
}
STEADY = OptimConfig(weight_decay=0.1, max_grad_norm=1e9)
STILL = StageConfig(steps=1, lr=0.0, final_lr=0.0)


def random_model(seed: int = 0, dtype: torch.dtype = torch.float64, **changes: Any) -> DeepseekV32ForCausalLM:
    torch.manual_seed(seed)
    model = DeepseekV32ForCausalLM(DeepseekV32Config.from_dict(TINY | changes), dtype=dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def random_samples(seed: int = 0, lengths: tuple[int, ...] = (23, 9, 17)) -> list[Sample]:
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for number, length in enumerate(lengths):
        tokens = (number, *torch.randint(3, 31, (length - 1,), generator=generator).tolist())
        mask = (0, 0, *(torch.rand(length - 2, generator=generator) < 0.6).int().tolist())
        samples.append(Sample(tokens, mask, (0.0,) * length))
    return samples


def changed(model: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


def indexer_of(model: nn.Module) -> set[str]:
    return {name for name, _ in model.named_parameters() if ".indexer." in name}


def rotate(vector: Tensor, position: int, pairs: list[tuple[int, int]]) -> Tensor:
    """RoPE of one vector by its definition, pair by pair."""
    turned = vector.clone()
    for number, (one, other) in enumerate(pairs):
        angle = position * 10000.0 ** (-number / len(pairs))
        turned[one] = vector[one] * math.cos(angle) - vector[other] * math.sin(angle)
        turned[other] = vector[one] * math.sin(angle) + vector[other] * math.cos(angle)
    return turned


def naive_attention(layer: LatentAttention, x_TD: Tensor, seen: list[list[int]]) -> list[list[float]]:
    """Attention summed over heads and divided by their number, of each query over the positions it sees."""
    heads, nope, rope = 3, 8, 8
    pairs = [(nope + 2 * i, nope + 2 * i + 1) for i in range(rope // 2)]
    queries = layer.q_b_proj(layer.q_a_layernorm(layer.q_a_proj(x_TD))).unflatten(-1, (heads, nope + rope))
    joint = layer.kv_a_proj_with_mqa(x_TD)
    unfolded = layer.kv_b_proj(layer.kv_a_layernorm(joint[:, :16])).unflatten(-1, (heads, -1))
    found = []
    for t, places in enumerate(seen):
        total = torch.zeros(len(places), dtype=torch.float64)
        for head in range(heads):
            query = rotate(queries[t, head], t, pairs)
            keys = [rotate(torch.cat((unfolded[s, head, :nope], joint[s, 16:])), s, pairs) for s in places]
            logits = torch.stack([query @ key for key in keys]) / math.sqrt(nope + rope)
            total += logits.softmax(dim=0) / heads
        found.append(total.tolist())
    return found


def naive_scores(layer: LatentAttention, x_TD: Tensor) -> list[list[float]]:
    """The indexer's score of every query for itself and everything before it."""
    indexer, pairs = layer.indexer, [(i, i + 4) for i in range(4)]
    queries = indexer.wq_b(layer.q_a_layernorm(layer.q_a_proj(x_TD))).unflatten(-1, (2, 16))
    keys = [rotate(key, s, pairs) for s, key in enumerate(indexer.k_norm(indexer.wk(x_TD)))]
    weights = indexer.weights_proj(x_TD) / math.sqrt(2 * 16)
    return [
        [
            sum(float(weights[t, j] * (rotate(queries[t, j], t, pairs) @ keys[s]).clamp(min=0)) for j in range(2))
            for s in range(t + 1)
        ]
        for t in range(len(x_TD))
    ]


def best(scores: list[float]) -> list[int]:
    """The highest TOPK positions, of equal ones the latest."""
    return sorted(sorted(range(len(scores)), key=lambda s: (-scores[s], -s))[:TOPK])


@torch.no_grad()
def naive_kl(layers: list[tuple[LatentAttention, Tensor]], *, sparse: bool) -> float:
    """KL(attention || softmax of the indexer's scores), mean over positions and layers."""
    total, count = 0.0, 0
    for layer, x_TD in layers:
        scores = naive_scores(layer, x_TD)
        seen = [best(row) if sparse else list(range(len(row))) for row in scores]
        for p, row, places in zip(naive_attention(layer, x_TD, seen), scores, seen, strict=True):
            log_q = torch.tensor([row[s] for s in places], dtype=torch.float64).log_softmax(dim=0).tolist()
            total += sum(one * (math.log(one) - other) for one, other in zip(p, log_q, strict=True))
            count += 1
    return total / count


def attention_inputs(model: DeepseekV32ForCausalLM, call: Any) -> list[tuple[LatentAttention, Tensor]]:
    """What each layer's attention is given while `call` runs."""
    found: list[tuple[LatentAttention, Tensor]] = []
    layers = [module for module in model.modules() if isinstance(module, LatentAttention)]
    hooks = [
        layer.register_forward_pre_hook(lambda one, args: found.append((one, args[0].detach()))) for layer in layers
    ]
    call()
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("sparse", [False, True])
def test_the_indexer_learns_from_the_naive_kl(sparse: bool) -> None:
    model, stage = random_model(), sparse_stage if sparse else warm_up
    samples = random_samples(lengths=(23, 9))
    metrics: list[dict[str, float]] = []
    learner = Learner(model, STEADY, share=False)
    given = attention_inputs(model, lambda: metrics.extend(stage(learner, [samples], STILL)))
    per_sample = [(layer, x_TD) for layer, x_ND in given for x_TD in torch.split(x_ND, [22, 8])]
    assert metrics[0]["indexer_kl"] == pytest.approx(naive_kl(per_sample, sparse=sparse), rel=1e-7)
    other = naive_kl(per_sample, sparse=not sparse)
    assert abs(metrics[0]["indexer_kl"] - other) > 1e-3, "dense and sparse loss are to differ here"


def test_the_warm_up_moves_the_indexer_alone() -> None:
    learner = Learner(random_model(dtype=torch.float32), STEADY, sparse=True)
    before = copy.deepcopy(learner.model.state_dict())
    steps = warm_up(learner, [random_samples(seed) for seed in range(3)], StageConfig(steps=3))
    while next(steps, None):
        assert changed(learner.model, before) <= indexer_of(learner.model)
    assert changed(learner.model, before) == indexer_of(learner.model)
    assert all(parameter.requires_grad for parameter in learner.model.parameters())
    assert (learner.config, learner.sparse) == (STEADY, True)


def test_the_dense_stage_leaves_the_indexer() -> None:
    learner = Learner(random_model(dtype=torch.float32), STEADY)
    before = copy.deepcopy(learner.model.state_dict())
    assert [step["indexer_kl"] for step in dense_stage(learner, [random_samples()], StageConfig(steps=1))] == [0.0]
    biases = {
        f"{name}.e_score_correction_bias" for name, one in learner.model.named_modules() if isinstance(one, Router)
    }
    assert biases
    assert changed(learner.model, before) == set(before) - indexer_of(learner.model)
    assert (learner.config, learner.sparse) == (STEADY, True)


def test_each_weight_of_the_sparse_stage_learns_from_its_own_loss_alone() -> None:
    learner = Learner(random_model(), STEADY)
    sample = random_samples(lengths=(40,))[0]
    list(sparse_stage(learner, [[sample]], STILL))
    model, named = learner.model, dict(learner.model.named_parameters())
    left = {name: parameter.grad for name, parameter in named.items()}
    tokens_BT = torch.tensor([sample.tokens])
    output = model(tokens_BT[:, :-1], lengths_B=torch.tensor([39]), sparse=True, indexer_loss="sparse", ties="recent")
    said = torch.tensor(sample.mask[1:], dtype=torch.bool)
    loss = nn.functional.cross_entropy(output.logits_BTV[0, said], tokens_BT[0, 1:][said])
    by_loss = torch.autograd.grad(loss, list(named.values()), retain_graph=True, allow_unused=True)
    by_kl = torch.autograd.grad(output.indexer_kl, list(named.values()), allow_unused=True)
    for name, from_loss, from_kl in zip(named, by_loss, by_kl, strict=True):
        own, other = (from_kl, from_loss) if ".indexer." in name else (from_loss, from_kl)
        assert other is None or not other.any(), name
        assert own is not None, name
        assert own.any(), name
        assert left[name] is not None, name
        torch.testing.assert_close(left[name], own, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("selector", ["window", "random"])
def test_a_control_learns_without_the_indexer(selector: Selector) -> None:
    learner = Learner(random_model(dtype=torch.float32), STEADY, selector=selector)
    before = copy.deepcopy(learner.model.state_dict())
    list(sparse_stage(learner, [random_samples()], StageConfig(steps=1)))
    assert changed(learner.model, before) == set(before) - indexer_of(learner.model)


def test_the_warm_up_finds_where_attention_goes() -> None:
    model = random_model(1, torch.float32, num_hidden_layers=1)
    with torch.no_grad():
        next(one for one in model.modules() if isinstance(one, LatentAttention)).q_b_proj.weight *= 4
    held_out = random_samples(99, (40, 40, 40))
    before = probe(model, held_out)
    learner = Learner(model, OptimConfig(weight_decay=0.0))
    batches = ([sample] for seed in range(60) for sample in random_samples(seed, (40,)))
    kl = [step["indexer_kl"] for step in warm_up(learner, batches, StageConfig(steps=60, lr=1e-2, final_lr=1e-3))]
    after = probe(model, held_out)
    assert sum(kl[-5:]) < 0.85 * sum(kl[:5])
    assert after.recall[0] > before.recall[0] + 0.1, (before, after)


def test_learning_rates_and_going_on_where_a_stage_stopped() -> None:
    config = StageConfig(steps=4, lr=1.0, final_lr=0.2, warmup=2)
    assert [config.lr_at(step) for step in range(5)] == pytest.approx([0.5, 0.8, 0.6, 0.4, 0.2])

    def endless() -> Iterator[list[Sample]]:
        while True:
            yield random_samples()

    learner = Learner(random_model(dtype=torch.float32), STEADY)
    rates = [learner.optimiser.param_groups[0]["lr"] for _ in sparse_stage(learner, endless(), config, start=1)]
    assert rates == pytest.approx([0.8, 0.6, 0.4])
    assert len(list(warm_up(learner, [random_samples()] * 2, config))) == 2


@torch.no_grad()
def test_probe_sees_loss_and_exact_answers() -> None:
    model = random_model()
    samples = random_samples(5)
    losses = []
    for sample in samples:
        logits_TV = model(torch.tensor([sample.tokens]), ties="recent").logits_BTV[0]
        said = [t for t, mask in enumerate(sample.mask) if mask]
        losses += [-float(logits_TV[t - 1].log_softmax(0)[sample.tokens[t]]) for t in said]
    found = probe(model, samples, at_once=2)
    assert found.loss == pytest.approx(sum(losses) / len(losses), rel=1e-6)
    # The same samples, rewritten so that some answers are what the model would say and some miss by one token.
    tokens = (*samples[0].tokens[:3], *[0] * 4)
    greedy = list(tokens)
    for t in range(3, 7):
        greedy[t] = int(model(torch.tensor([greedy[:t]]), ties="recent").logits_BTV[0, -1].argmax())
    right = Sample(tuple(greedy), (0, 0, 0, 1, 1, 0, 1), (0.0,) * 7)
    assert probe(model, [right]).exact == 1.0
    wrong = Sample((*greedy[:6], (greedy[6] + 1) % 31), right.mask, right.logprobs)
    halves = probe(model, [right, wrong])
    assert (halves.exact, halves.answers) == (0.75, 4)


@pytest.mark.parametrize("selector", ["indexer", "window"])
@pytest.mark.parametrize("sparse", [False, True])
@torch.no_grad()
def test_probe_sees_the_attention_mass_of_what_is_selected(selector: Selector, sparse: bool) -> None:
    model, samples, probes = random_model(2), random_samples(3, (25,)), list[Probe]()
    given = attention_inputs(model, lambda: probes.append(probe(model, samples, sparse=sparse, selector=selector)))
    for number, (layer, x_TD) in enumerate(given):
        everything = [list(range(t + 1)) for t in range(len(x_TD))]
        rows, scores = naive_attention(layer, x_TD, everything), naive_scores(layer, x_TD)
        held = []
        for t in range(TOPK, len(x_TD)):
            chosen = best(scores[t]) if selector == "indexer" else range(t - TOPK + 1, t + 1)
            held.append(sum(rows[t][s] for s in chosen))
        assert probes[0].recall[number] == pytest.approx(sum(held) / len(held), rel=1e-5)
    assert probe(model, random_samples(3, (TOPK + 1,))).recall == (1.0, 1.0)


def test_probe_refuses_samples_without_answers() -> None:
    silent = Sample((1, 2, 3), (0, 0, 0), (0.0,) * 3)
    with pytest.raises(ValueError, match="1 samples hold no answer"):
        probe(random_model(), [silent])
