"""The model against transformers', against itself step by step, and its indexer loss against the naive formulas."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from palestra.policy.config import DeepseekV32Config
from palestra.policy.errors import ConfigError
from palestra.policy.model import (
    DeepseekV32ForCausalLM,
    count_parameters,
    update_routing_bias,
)
from palestra.policy.moe import Experts, MixtureOfExperts, Router

YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
    "beta_fast": 32,
    "beta_slow": 1,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
}
SMALL: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 40,
    "moe_intermediate_size": 12,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 2,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 10,
    "qk_rope_head_dim": 8,
    "v_head_dim": 12,
    "index_n_heads": 3,
    "index_head_dim": 16,
    "index_topk": 8,
    "max_position_embeddings": 256,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "sparse": {},
    "topk_above_context": {"index_topk": 64},
    "yarn": {"rope_parameters": YARN, "index_topk": 12},
    "yarn_mscales_differ": {"rope_parameters": YARN | {"mscale": 0.7, "mscale_all_dim": 0.4, "factor": 2.5}},
    "one_group_many_experts": {"n_routed_experts": 12, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 5},
    "groups": {"n_routed_experts": 16, "n_group": 4, "topk_group": 2, "num_experts_per_tok": 3, "n_shared_experts": 2},
    "all_dense": {"first_k_dense_replace": 3},
    "all_experts": {"first_k_dense_replace": 0, "norm_topk_prob": False, "routed_scaling_factor": 1.3},
    "wide_heads": {"num_attention_heads": 5, "v_head_dim": 20, "qk_nope_head_dim": 7, "index_n_heads": 2},
    "tied_and_biased": {"tie_word_embeddings": True, "attention_bias": True},
}


def small(**changes: Any) -> DeepseekV32Config:
    return DeepseekV32Config.from_dict(SMALL | changes)


def random_model(
    config: DeepseekV32Config, seed: int = 0, dtype: torch.dtype = torch.float32
) -> DeepseekV32ForCausalLM:
    """A model with weights large enough that attention is far from uniform and every tensor matters."""
    torch.manual_seed(seed)
    model = DeepseekV32ForCausalLM(config, dtype=dtype)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(torch.randn_like(tensor) * 0.15)
    return model


def write_reference(config: DeepseekV32Config, folder: Path, seed: int) -> None:
    torch.manual_seed(seed)
    theirs = transformers.DeepseekV32ForCausalLM(transformers.DeepseekV32Config(**config.to_dict()))
    with torch.no_grad():
        for name, tensor in theirs.state_dict().items():
            # A tied pair is one tensor under two names.
            if not (config.tie_word_embeddings and name == "lm_head.weight"):
                tensor.add_(torch.randn_like(tensor) * 0.15)
    theirs.save_pretrained(folder)


def reference_logits(folder: Path, tokens: Tensor, dtype: torch.dtype) -> Tensor:
    theirs = transformers.DeepseekV32ForCausalLM.from_pretrained(folder, dtype=dtype, experts_implementation="eager")
    with torch.no_grad():
        logits: Tensor = theirs(tokens).logits
    return logits


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_equal_transformers(variant: str, tmp_path: Path) -> None:
    config = small(**VARIANTS[variant])
    write_reference(config, tmp_path / "theirs", seed=len(variant))
    tokens = torch.randint(0, config.vocab_size, (3, 40), generator=torch.Generator().manual_seed(1))
    for dtype, bound in ((torch.float32, 1e-4), (torch.float64, 1e-9)):
        ours = DeepseekV32ForCausalLM.from_pretrained(tmp_path / "theirs", dtype=dtype)
        expected = reference_logits(tmp_path / "theirs", tokens, dtype)
        with torch.no_grad():
            difference = (ours(tokens).logits_BTV - expected).abs().max().item()
        assert difference <= bound, f"{variant} {dtype}: {difference}"
        assert expected.abs().max() > 0.1


def test_transformers_reads_what_we_write(tmp_path: Path) -> None:
    model = random_model(small(rope_parameters=YARN, n_routed_experts=8, n_group=4, topk_group=2))
    model.save_pretrained(tmp_path / "ours")
    tokens = torch.randint(0, 61, (2, 30))
    with torch.no_grad():
        ours = model(tokens).logits_BTV
    assert (reference_logits(tmp_path / "ours", tokens, torch.float32) - ours).abs().max() <= 1e-4


def test_without_q_lora_dense_attention_equals_deepseek_v3() -> None:
    """transformers has no V3.2 without q-LoRA; within index_topk V3.2 is V3, which it has."""
    config = small(q_lora_rank=None, index_topk=64)
    ours = random_model(config)
    fields = config.to_dict() | {"model_type": "deepseek_v3"}
    theirs = transformers.DeepseekV3ForCausalLM(transformers.DeepseekV3Config(**fields))
    weights = {name: value for name, value in ours.state_dict().items() if ".indexer." not in name}
    theirs.load_state_dict(weights)
    tokens = torch.randint(0, 61, (2, 40))
    with torch.no_grad():
        assert (theirs(tokens).logits - ours(tokens).logits_BTV).abs().max() <= 1e-4


def test_padding_does_not_reach_earlier_tokens() -> None:
    model, tokens = random_model(small()), torch.randint(0, 61, (2, 30))
    lengths = torch.tensor([17, 30])
    with torch.no_grad():
        padded = model(tokens, lengths_B=lengths, indexer_loss="sparse")
        alone = model(tokens[:1, :17], lengths_B=torch.tensor([17]), indexer_loss="sparse")
        other = model(tokens[1:], lengths_B=torch.tensor([30]), indexer_loss="sparse")
    torch.testing.assert_close(padded.logits_BTV[:1, :17], alone.logits_BTV, rtol=0, atol=1e-5)
    torch.testing.assert_close(padded.indexer_kl, (alone.indexer_kl * 17 + other.indexer_kl * 30) / 47)


def test_indexer_loss_reaches_the_indexer_only() -> None:
    model, tokens = random_model(small()), torch.randint(0, 61, (2, 30))
    loss = model(tokens, indexer_loss="sparse", return_logits=False).indexer_kl
    assert loss is not None
    loss.backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None and bool(parameter.grad.any())) == (".indexer." in name), name


def test_lm_loss_does_not_reach_the_indexer() -> None:
    model, tokens = random_model(small()), torch.randint(0, 61, (2, 30))
    out = model(tokens)
    assert out.logits_BTV is not None
    out.logits_BTV.logsumexp(-1).sum().backward()
    for name, parameter in model.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.any())
        assert reached != (".indexer." in name), name


@pytest.mark.parametrize("sparse", [True, False])
def test_selected_mass_tells_the_selectors_apart(sparse: bool) -> None:
    """All of it within index_topk; beyond, an indexer that was taught by its loss holds more than a window does."""
    model, tokens = random_model(small(num_hidden_layers=1)), torch.randint(0, 61, (4, 40))
    optimiser = torch.optim.Adam(model.model.layers.parameters(), lr=1e-2)
    for _ in range(30):
        optimiser.zero_grad()
        model(tokens, sparse=False, indexer_loss="dense", return_logits=False).indexer_kl.backward()
        optimiser.step()
    with torch.no_grad():
        masses = {
            selector: model(tokens, sparse=sparse, selector=selector, measure=True).selected_mass
            for selector in ("indexer", "window", "random")
        }
        within = model(tokens[:, :8], sparse=sparse, measure=True).selected_mass
    assert within == (1.0,)
    assert masses["indexer"][0] > masses["window"][0] + 0.05
    assert masses["indexer"][0] > masses["random"][0] + 0.05
    assert model(tokens).selected_mass is None
    with pytest.raises(ValueError, match="the window selector leaves the indexer nothing to learn"):
        model(tokens, selector="window", indexer_loss="sparse")


def test_a_selector_of_everything_is_dense_attention() -> None:
    model, tokens = random_model(small(index_topk=40)), torch.randint(0, 61, (2, 40))
    with torch.no_grad():
        dense = model(tokens, sparse=False).logits_BTV
        for selector in ("indexer", "window", "random"):
            torch.testing.assert_close(model(tokens, selector=selector).logits_BTV, dense)


def test_forced_routing_keeps_present_weights() -> None:
    model, tokens = random_model(small()), torch.randint(0, 61, (2, 12))
    free = model(tokens, return_routing=True)
    assert free.routing is not None
    forced = model(tokens, routing=free.routing, return_routing=True)
    torch.testing.assert_close(forced.logits_BTV, free.logits_BTV)
    others = [(choice + 1) % 4 for choice in free.routing]
    moved = model(tokens, routing=others)
    assert not torch.allclose(moved.logits_BTV, free.logits_BTV)
    moved.logits_BTV.sum().backward()
    gate = model.get_parameter("model.layers.1.mlp.gate.weight")
    assert gate.grad is not None
    assert bool(gate.grad.any())
    with pytest.raises(ValueError, match="routing has 1 layers"):
        model(tokens, routing=others[:1])


def test_both_expert_paths_agree() -> None:
    config = small(n_routed_experts=8, num_experts_per_tok=3)
    torch.manual_seed(0)
    experts, router = Experts(config), Router(config)
    for parameter in (*experts.parameters(), *router.parameters()):
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(50, 32)
    choice, weights = router(x)
    torch.testing.assert_close(
        experts._every_expert(x, choice, weights), experts._chosen_experts(x, choice, weights), rtol=1e-4, atol=1e-5
    )


def test_routing_bias_moves_towards_even_load() -> None:
    block = MixtureOfExperts(small())
    update_routing_bias(block.gate, torch.tensor([9, 1, 5, 5]), speed=0.01)
    torch.testing.assert_close(block.gate.e_score_correction_bias, torch.tensor([-0.01, 0.01, 0.0, 0.0]))


def test_meta_model_has_the_published_size() -> None:
    full = DeepseekV32ForCausalLM(DeepseekV32Config(), device="meta")
    assert count_parameters(full) == 671_877_929_216
    with torch.device("meta"):
        theirs = transformers.DeepseekV32ForCausalLM(transformers.DeepseekV32Config(**SMALL, num_key_value_heads=2))
    assert count_parameters(DeepseekV32ForCausalLM(small(), device="meta")) == sum(
        p.numel() for p in theirs.parameters()
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hidden_size": "32"}, "hidden_size is '32'; it must be int"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0; it must be at least 1"),
        ({"n_group": 3}, "n_routed_experts 4 is not a multiple of n_group 3"),
        ({"num_experts_per_tok": 3}, "num_experts_per_tok 3 exceeds the 2 experts"),
        ({"index_head_dim": 4}, "index_head_dim 4 is less than qk_rope_head_dim 8"),
        ({"model_type": "llama"}, "model_type is 'llama'"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"quantization_config": {"quant_method": "fp8"}}, "quantization_config"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, r"rope_parameters.factor is None"),
        ({"rope_parameters": {"rope_type": "linear"}}, "rope_type is 'linear'"),
        ({"mlp_layer_types": ["dense"]}, "mlp_layer_types must be 3"),
    ],
)
def test_bad_config_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        small(**change)


def test_config_round_trip_and_old_rope_spelling() -> None:
    config = small(rope_theta=5000, rope_scaling={"type": "yarn", "factor": 2, "original_max_position_embeddings": 32})
    assert config.rope_parameters["rope_type"] == "yarn"
    assert config.rope_parameters["rope_theta"] == 5000
    assert DeepseekV32Config.from_dict(config.to_dict()) == config
