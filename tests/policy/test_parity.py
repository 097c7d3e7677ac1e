"""Random checkpoints of random shapes, written by transformers: whole, padded and step by step, ours says the same.

Every shape follows from its number, so a failure names what to look at. Index heads are many, so that no two scores are
exactly equal (all heads below zero): how such ties are broken is no part of the architecture, and has its own test.
"""

import json
import random
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from palestra.kernels.dsa import DsaOptions
from palestra.kernels.forest import Forest
from palestra.policy.cache import PAGE, PagedCache
from palestra.policy.decode import extend
from palestra.policy.export import export_deepseek_v3, import_deepseek_v3
from palestra.policy.model import DeepseekV32ForCausalLM, Ties
from palestra.policy.rope import softmax_scale

BOUNDS = {torch.float32: 1e-4, torch.float64: 1e-9}
VOCABULARY, TIME = 53, 44
YARN = {"factor": 8.0, "original_max_position_embeddings": 16, "mscale": 1.0, "mscale_all_dim": 1.0}


def random_rope(rng: random.Random) -> dict[str, Any]:
    """No YaRN, or YaRN with the numbers that may be left out; in the present spelling or in the old one."""
    theta = rng.choice([10000.0, 500.0, 10000])
    if rng.random() < 0.3:
        return rng.choice(
            [{"rope_parameters": {"rope_type": "default", "rope_theta": theta}}, {"rope_theta": theta}, {}]
        )
    yarn: dict[str, Any] = {
        "factor": rng.choice([1.0, 2.5, 40]),
        "original_max_position_embeddings": rng.choice([16, 64]),
    }
    mscales = [{}, {"mscale": 1.0, "mscale_all_dim": 1.0}, {"mscale": 0.7, "mscale_all_dim": 0.3}]
    yarn |= rng.choice([*mscales, {"mscale_all_dim": 1.0}, {"mscale": 1.0}, {"attention_factor": 1.3}])
    yarn |= rng.choice([{}, {"beta_fast": 32, "beta_slow": 1}, {"beta_fast": 4.0, "beta_slow": 2.0, "truncate": False}])
    if rng.random() < 0.5:
        return {"rope_theta": theta, "rope_scaling": {"type": "yarn", **yarn}}
    return {"rope_parameters": {"rope_type": "yarn", "rope_theta": theta, **yarn}}


def random_shape(seed: int) -> dict[str, Any]:
    """A `config.json` with everything that a checkpoint may vary, small."""
    rng = random.Random(seed)
    layers, groups = 1 + seed % 4, rng.choice([1, 2, 4])
    experts = groups * rng.choice([2, 3, 4])
    chosen_groups = rng.randint(1, groups)
    rotary = rng.choice([2, 4, 8])
    dense: dict[str, Any] = rng.choice(
        [
            {"first_k_dense_replace": rng.randint(0, layers + 1)},
            {"mlp_layer_types": [rng.choice(["dense", "sparse"]) for _ in range(layers)]},
        ]
    )
    heads = rng.choice([1, 2, 5])
    shape: dict[str, Any] = {
        "model_type": "deepseek_v32",
        "vocab_size": VOCABULARY,
        "hidden_size": rng.choice([16, 24, 40]),
        "intermediate_size": rng.choice([20, 33]),
        "moe_intermediate_size": rng.choice([6, 16]),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "n_shared_experts": rng.choice([1, 1, 2]),
        "n_routed_experts": experts,
        "num_experts_per_tok": rng.randint(1, min(4, chosen_groups * experts // groups)),
        "n_group": groups,
        "topk_group": chosen_groups,
        "norm_topk_prob": rng.random() < 0.7,
        "routed_scaling_factor": rng.choice([1.0, 2.5]),
        "q_lora_rank": rng.choice([8, 20]),
        "kv_lora_rank": rng.choice([6, 16]),
        "qk_nope_head_dim": rng.choice([4, 7, 12]),
        "qk_rope_head_dim": rotary,
        "v_head_dim": rng.choice([4, 9, 16]),
        "attention_bias": rng.random() < 0.4,
        "tie_word_embeddings": rng.random() < 0.3,
        "index_n_heads": rng.choice([16, 24]),
        "index_head_dim": rotary + rng.choice([0, 4, 10]),
        "index_topk": rng.choice([1, 5, 8, 16, TIME, 100]),
        "max_position_embeddings": 128,
        "rms_norm_eps": rng.choice([1e-6, 1e-3]),
        "head_dim": rng.choice([rotary, 98]),
    }
    return shape | dense | random_rope(rng)


def randomise(theirs: Any, seed: int) -> None:
    """Weights so large that attention is far from uniform and every tensor, biases and norms too, matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in theirs.state_dict().items():
            if name != "lm_head.weight" or not theirs.config.tie_word_embeddings:
                tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.2)


def write_theirs(shape: dict[str, Any], folder: Path, seed: int, dtype: torch.dtype, **options: Any) -> None:
    theirs: Any = transformers.DeepseekV32ForCausalLM(transformers.DeepseekV32Config(**shape))
    randomise(theirs, seed)
    theirs.to(dtype).save_pretrained(folder, **options)


def read_theirs(folder: Path, dtype: torch.dtype, kind: Any = transformers.DeepseekV32ForCausalLM) -> Any:
    return kind.from_pretrained(folder, dtype=dtype, experts_implementation="eager").eval()


class Batch(NamedTuple):
    """Token ids [B, T]; how many of each row are real where rows are padded or packed; and in what steps, one token or
    several, they go through a cache."""

    tokens_BT: Tensor
    lengths: tuple[int, ...]
    steps: tuple[int, ...]

    @property
    def real_BT(self) -> Tensor:
        return torch.arange(self.tokens_BT.shape[1]) < torch.tensor(self.lengths).unsqueeze(-1)


def batch(lengths: tuple[int, ...], steps: tuple[int, ...]) -> Batch:
    assert max(lengths) == sum(steps)
    generator = torch.Generator().manual_seed(1)
    return Batch(torch.randint(0, VOCABULARY, (len(lengths), max(lengths)), generator=generator), lengths, steps)


SHORT = batch((TIME, 29, 7), (*[1] * 10, 9, *[1] * 25))
LONG = batch((290, 131), (40, *[1] * 5, 200, *[1] * 5, 40))


def whole_logits(model: DeepseekV32ForCausalLM, batch: Batch = SHORT) -> Tensor:
    """Logits [B, T, V] of equally long sequences."""
    logits: Tensor | None = model(batch.tokens_BT).logits_BTV
    assert logits is not None
    return logits


def padded_logits(model: DeepseekV32ForCausalLM, batch: Batch = SHORT, ties: Ties | None = None) -> Tensor:
    """The same of right-padded ones."""
    logits: Tensor | None = model(batch.tokens_BT, lengths_B=torch.tensor(batch.lengths), ties=ties).logits_BTV
    assert logits is not None
    return logits


def packed_logits(model: DeepseekV32ForCausalLM, batch: Batch = SHORT) -> Tensor:
    """The same of sequences that lie one behind the other in one row: [N, V]."""
    return forest_logits(model, batch.tokens_BT[batch.real_BT], Forest.separate(batch.lengths))


def forest_logits(model: DeepseekV32ForCausalLM, tokens_N: Tensor, forest: Forest) -> Tensor:
    options = DsaOptions(scale=softmax_scale(model.config), topk=model.config.index_topk, recent_ties=True)
    hidden: Tensor = model.forward_forest(tokens_N, forest, torch.zeros(len(tokens_N)), options).hidden_ND
    logits: Tensor = model.lm_head(hidden)
    return logits


def stepped_logits(model: DeepseekV32ForCausalLM, batch: Batch = SHORT) -> Tensor:
    """[B, T, V] through the latent cache."""
    rows, time = batch.tokens_BT.shape
    cache = PagedCache(model.config, pages=rows * (1 + time // PAGE), dtype=model.dtype)
    contexts = [cache.open([]) for _ in range(rows)]
    found = [
        extend(model, cache, contexts, tokens_BN.tolist(), last_only=False).view(rows, tokens_BN.shape[1], -1)
        for tokens_BN in torch.split(batch.tokens_BT, list(batch.steps), dim=1)
    ]
    return torch.cat(found, dim=1)


def stepped_theirs(theirs: Any, batch: Batch) -> Tensor:
    """`stepped_logits` by transformers, in the same steps."""
    cache = transformers.DynamicCache(config=theirs.config)
    parts = torch.split(batch.tokens_BT, list(batch.steps), dim=1)
    return torch.cat([theirs(part, past_key_values=cache, use_cache=True).logits for part in parts], dim=1)


def rerouted(bound: float, model: DeepseekV32ForCausalLM) -> float:
    """The bound where the router sees another number of rows than transformers' does."""
    return max(bound, 1e-6) if model.config.moe_layers else bound


def largest(difference: Tensor) -> float:
    return float(difference.abs().max())


@pytest.mark.parametrize("seed", range(16))
@torch.no_grad()
def test_random_checkpoints_of_transformers(seed: int, tmp_path: Path) -> None:
    shape = random_shape(seed)
    stored = [torch.float32, torch.bfloat16, torch.float64][seed % 3]
    write_theirs(shape, tmp_path, seed, stored, **({"max_shard_size": "8KB"} if seed % 2 else {}))
    assert (tmp_path / "model.safetensors.index.json").exists() == bool(seed % 2)
    check_logits(tmp_path, SHORT)


@pytest.mark.parametrize(("seed", "topk"), [(2, 20), (3, 100), (5, 300)])
@torch.no_grad()
def test_longer_sequences(seed: int, topk: int, tmp_path: Path) -> None:
    """Longer than the stripes in which attention is computed, and than several pages of the cache."""
    shape = random_shape(seed) | {"index_topk": topk, "max_position_embeddings": 300}
    write_theirs(shape | {"index_n_heads": 32, "index_head_dim": 32}, tmp_path, seed, torch.float32)
    check_logits(tmp_path, LONG)


def check_logits(folder: Path, batch: Batch) -> None:
    """In float64 steps are compared with transformers' own steps, and packed rows of models with experts to 1e-6 only:
    the router works in float32, where a product's rounding depends on how many rows there are, so that transformers'
    own steps differ that much from its whole pass."""
    for dtype, bound in BOUNDS.items():
        ours, theirs = DeepseekV32ForCausalLM.from_pretrained(folder, dtype=dtype), read_theirs(folder, dtype)
        expected = theirs(batch.tokens_BT).logits
        masked = theirs(batch.tokens_BT, attention_mask=batch.real_BT.long()).logits[batch.real_BT]
        stepped = expected if dtype == torch.float32 else stepped_theirs(theirs, batch)
        found = {
            "whole": largest(whole_logits(ours, batch) - expected),
            "padded": largest(padded_logits(ours, batch)[batch.real_BT] - masked),
            "packed": largest(packed_logits(ours, batch) - masked),
            "stepped": largest(stepped_logits(ours, batch) - stepped),
        }
        bounds = dict.fromkeys(found, bound) | {"packed": rerouted(bound, ours)}
        assert all(found[way] <= bounds[way] for way in found), f"{dtype}: {found} {ours.config}"
        assert largest(expected) > 0.1


@pytest.mark.parametrize("seed", range(4))
@torch.no_grad()
def test_equal_index_scores_are_broken_as_transformers_does(seed: int, tmp_path: Path) -> None:
    """One index head or two: a large part of all scores is exactly zero, and the top-k cuts through them."""
    shape = random_shape(seed) | {"index_n_heads": 1 + seed % 2, "index_topk": 6}
    write_theirs(shape, tmp_path, seed, torch.float32)
    for dtype, bound in BOUNDS.items():
        ours, theirs = DeepseekV32ForCausalLM.from_pretrained(tmp_path, dtype=dtype), read_theirs(tmp_path, dtype)
        expected = theirs(SHORT.tokens_BT).logits
        assert largest(whole_logits(ours) - expected) <= bound
        assert largest((padded_logits(ours, ties="reference") - expected)[SHORT.real_BT]) <= bound
        recent = ours(SHORT.tokens_BT, ties="recent").logits_BTV
        assert largest(recent - expected) > 1e-3  # there are such scores, and they matter


@pytest.mark.parametrize("seed", range(34, 38))
@torch.no_grad()
def test_sequences_with_a_common_beginning(seed: int, tmp_path: Path) -> None:
    """A beginning that several sequences share is computed once; transformers computes each by itself. Half of the
    models have experts: their router's float32 again."""
    shape = random_shape(seed) | {"mlp_layer_types": ["sparse" if seed % 2 else "dense"] * (1 + seed % 4)}
    write_theirs(shape, tmp_path, seed, torch.float32)
    first, second, third = SHORT.tokens_BT
    sequences = [first, torch.cat((first[:20], second[:9])), torch.cat((first[:20], third[:24])), second, first[:31]]
    forest = Forest.grow([sequence.numpy() for sequence in sequences])
    assert len(forest) == TIME + 9 + 24 + TIME
    tokens_N = torch.zeros(len(forest), dtype=torch.long)
    for path, sequence in zip(forest.paths, sequences, strict=True):
        tokens_N[path] = sequence
    for dtype, bound in BOUNDS.items():
        ours, theirs = DeepseekV32ForCausalLM.from_pretrained(tmp_path, dtype=dtype), read_theirs(tmp_path, dtype)
        logits_NV = forest_logits(ours, tokens_N, forest)
        for path, sequence in zip(forest.paths, sequences, strict=True):
            difference = largest(logits_NV[path] - theirs(sequence[None]).logits[0])
            assert difference <= rerouted(bound, ours)


@pytest.mark.parametrize("seed", range(20, 26))
@torch.no_grad()
def test_transformers_reads_what_we_write_back(seed: int, tmp_path: Path) -> None:
    write_theirs(random_shape(seed), tmp_path / "theirs", seed, torch.float32)
    for dtype, bound in BOUNDS.items():
        ours = DeepseekV32ForCausalLM.from_pretrained(tmp_path / "theirs", dtype=dtype)
        ours.save_pretrained(tmp_path / "ours", max_shard_size="9KB" if seed % 2 else 10**9)
        assert (tmp_path / "ours/model.safetensors.index.json").exists() == bool(seed % 2)
        again = DeepseekV32ForCausalLM.from_pretrained(tmp_path / "ours", dtype=dtype)
        assert again.config == ours.config
        assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in ours.state_dict().items())
        assert largest(whole_logits(ours) - read_theirs(tmp_path / "ours", dtype)(SHORT.tokens_BT).logits) <= bound


@pytest.mark.parametrize("seed", range(26, 34))
@torch.no_grad()
def test_to_and_from_deepseek_v3(seed: int, tmp_path: Path) -> None:
    """Within index_topk; half of them without q-LoRA, which transformers has in V3 only, and some rotating halves."""
    shape = random_shape(seed) | {"index_topk": 64, "rope_interleave": seed % 3 > 0}
    shape |= {"q_lora_rank": None} if seed % 2 else {}
    shape |= {"first_k_dense_replace": seed % 3, "mlp_layer_types": None}
    names = {name: value for name, value in shape.items() if not name.startswith(("index_", "mlp_layer", "head_dim"))}
    theirs: Any = transformers.DeepseekV3ForCausalLM(
        transformers.DeepseekV3Config(**names | {"model_type": "deepseek_v3"})
    )
    randomise(theirs, seed)
    theirs.save_pretrained(tmp_path / "theirs", **({"max_shard_size": "8KB"} if seed % 4 > 1 else {}))
    kind = transformers.DeepseekV3ForCausalLM
    for dtype, bound in BOUNDS.items():
        ours = import_deepseek_v3(tmp_path / "theirs", index_n_heads=3, index_head_dim=10, index_topk=64, dtype=dtype)
        expected = read_theirs(tmp_path / "theirs", dtype, kind)(SHORT.tokens_BT).logits
        assert largest(whole_logits(ours) - expected) <= bound
        assert export_deepseek_v3(ours, tmp_path / "ours") == 64
        assert largest(read_theirs(tmp_path / "ours", dtype, kind)(SHORT.tokens_BT).logits - expected) <= bound


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@torch.no_grad()
def test_without_shared_experts(tmp_path: Path) -> None:
    write_theirs(random_shape(3) | {"n_shared_experts": 0}, tmp_path, 3, torch.float32)
    ours, theirs = DeepseekV32ForCausalLM.from_pretrained(tmp_path), read_theirs(tmp_path, torch.float32)
    expected = theirs(SHORT.tokens_BT).logits
    assert largest(whole_logits(ours) - expected) <= 1e-4
    assert largest(stepped_logits(ours) - expected) <= 1e-4


@torch.no_grad()
def test_experts_that_are_fused_on_disk(tmp_path: Path) -> None:
    shape = random_shape(3) | {"mlp_layer_types": None, "first_k_dense_replace": 1}
    write_theirs(shape, tmp_path, 3, torch.float32, save_original_format=False)
    assert "model.layers.1.mlp.experts.gate_up_proj" in load_file(tmp_path / "model.safetensors")
    ours = DeepseekV32ForCausalLM.from_pretrained(tmp_path)
    assert largest(whole_logits(ours) - read_theirs(tmp_path, torch.float32)(SHORT.tokens_BT).logits) <= 1e-4


@torch.no_grad()
def test_layers_for_multi_token_prediction_are_left_out(tmp_path: Path) -> None:
    """As published: layer 61 of a model of 61, with an embedding and a head of its own."""
    shape = random_shape(2)
    write_theirs(shape, tmp_path, 2, torch.float32)
    expected = read_theirs(tmp_path, torch.float32)(SHORT.tokens_BT).logits
    tensors = load_file(tmp_path / "model.safetensors")
    last = shape["num_hidden_layers"]
    for name in ("eh_proj.weight", "embed_tokens.weight", "shared_head.head.weight", "self_attn.o_proj.weight"):
        tensors[f"model.layers.{last}.{name}"] = torch.full((2, 2), float("nan"))
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((tmp_path / "config.json").read_text()) | {"num_nextn_predict_layers": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert largest(whole_logits(DeepseekV32ForCausalLM.from_pretrained(tmp_path)) - expected) <= 1e-4


@pytest.mark.parametrize(
    "change",
    [
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}, "rope_scaling": YARN | {"type": "yarn"}},
        {"rope_parameters": YARN | {"rope_type": "yarn"}, "rope_theta": 500.0},
        {"rope_parameters": None, "rope_theta": 77.0},
        {"rope_scaling": {"type": "default", "rope_type": "yarn", "factor": 4}, "max_position_embeddings": 64},
        {"head_dim": 3, "rope_interleave": False},
    ],
    ids=["both spellings", "theta twice", "theta alone", "type twice", "said but not used"],
)
@torch.no_grad()
def test_a_config_means_what_it_means_to_transformers(change: dict[str, Any], tmp_path: Path) -> None:
    shape = {name: value for name, value in random_shape(0).items() if "rope" not in name or name == "qk_rope_head_dim"}
    write_theirs(shape | {"index_topk": 10}, tmp_path, 5, torch.float32)
    config = json.loads((tmp_path / "config.json").read_text())
    before = read_theirs(tmp_path, torch.float32)(SHORT.tokens_BT).logits
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    after = read_theirs(tmp_path, torch.float32)(SHORT.tokens_BT).logits
    assert (largest(after - before) > 1e-2) != ("head_dim" in change)
    assert largest(whole_logits(DeepseekV32ForCausalLM.from_pretrained(tmp_path)) - after) <= 1e-4
