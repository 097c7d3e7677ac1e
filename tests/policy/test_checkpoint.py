"""Checkpoints: written and read back, in shards, and every kind of damage answered by one clear line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from palestra.policy.config import DeepseekV32Config
from palestra.policy.errors import CheckpointError, ConfigError
from palestra.policy.model import DeepseekV32ForCausalLM

CONFIG = DeepseekV32Config(
    vocab_size=17,
    hidden_size=16,
    intermediate_size=24,
    moe_intermediate_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    n_routed_experts=4,
    num_experts_per_tok=2,
    n_group=1,
    topk_group=1,
    first_k_dense_replace=1,
    q_lora_rank=8,
    kv_lora_rank=8,
    qk_nope_head_dim=4,
    qk_rope_head_dim=4,
    v_head_dim=6,
    index_n_heads=2,
    index_head_dim=8,
    index_topk=4,
    max_position_embeddings=64,
)
TOKENS = torch.arange(12).view(2, 6)
EXPERT = "model.layers.1.mlp.experts.3.up_proj.weight"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    DeepseekV32ForCausalLM(CONFIG).save_pretrained(tmp_path / "ckpt")
    return tmp_path / "ckpt"


def edit(folder: Path, change: Callable[[dict[str, Tensor]], Any]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def shard(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, part in parts.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()


def test_round_trip_is_exact_and_leaves_nothing_else(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "model.safetensors"]
    torch.manual_seed(0)
    fresh, read = DeepseekV32ForCausalLM(CONFIG), DeepseekV32ForCausalLM.from_pretrained(saved)
    assert read.config == CONFIG
    for name, tensor in fresh.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor), name
    assert EXPERT in load_file(saved / "model.safetensors")


def test_shards_read_like_one_file(saved: Path) -> None:
    whole = DeepseekV32ForCausalLM.from_pretrained(saved)
    shard(saved)
    parts = DeepseekV32ForCausalLM.from_pretrained(saved)
    with torch.no_grad():
        assert torch.equal(whole(TOKENS).logits_BTV, parts(TOKENS).logits_BTV)


def test_bfloat16_keeps_the_routing_bias_and_head_weights_exact(saved: Path) -> None:
    model = DeepseekV32ForCausalLM.from_pretrained(saved, dtype=torch.bfloat16)
    dtypes = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    assert dtypes["model.layers.1.mlp.gate.e_score_correction_bias"] == torch.float32
    assert dtypes["model.layers.0.self_attn.indexer.weights_proj.weight"] == torch.float32
    assert dtypes["lm_head.weight"] == torch.bfloat16
    with torch.no_grad():
        assert torch.isfinite(model(TOKENS).logits_BTV).all()


def test_multi_token_prediction_layers_are_passed_over(saved: Path) -> None:
    extra = "model.layers.2.embed_tokens.weight"
    edit(saved, lambda tensors: tensors.update({extra: torch.zeros(2, 2)}))
    with pytest.raises(CheckpointError, match=extra):
        DeepseekV32ForCausalLM.from_pretrained(saved)
    config = json.loads((saved / "config.json").read_text()) | {"num_nextn_predict_layers": 1}
    (saved / "config.json").write_text(json.dumps(config))
    DeepseekV32ForCausalLM.from_pretrained(saved)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop(EXPERT), f"lacks tensor {EXPERT}"),
        (lambda t: t.update({EXPERT: torch.zeros(3, 3)}), rf"{EXPERT} has shape \[3, 3\], its config needs \[8, 16\]"),
        (lambda t: t.update({"model.extra": torch.zeros(1)}), "model.extra that its config has no place for"),
        (lambda t: t[EXPERT].fill_(float("nan")), f"{EXPERT} holds NaN"),
        (lambda t: t.update({EXPERT: t[EXPERT].to(torch.float8_e4m3fn)}), f"{EXPERT} is torch.float8_e4m3fn"),
    ],
)
def test_a_wrong_tensor_is_named(saved: Path, change: Callable[[dict[str, Tensor]], Any], says: str) -> None:
    edit(saved, change)
    with pytest.raises(CheckpointError, match=says) as caught:
        DeepseekV32ForCausalLM.from_pretrained(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 5, 200, -10])
def test_truncated_file_is_one_clear_line(saved: Path, kept: int) -> None:
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"truncated or not safetensors") as caught:
        DeepseekV32ForCausalLM.from_pretrained(saved)
    assert "\n" not in str(caught.value)


def test_missing_pieces_are_named(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a folder"):
        DeepseekV32ForCausalLM.from_pretrained(tmp_path / "nowhere")
    shard(saved)
    (saved / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match="model-00002-of-00002"):
        DeepseekV32ForCausalLM.from_pretrained(saved)
    (saved / "model.safetensors.index.json").unlink()
    with pytest.raises(CheckpointError, match=r"neither model\.safetensors nor"):
        DeepseekV32ForCausalLM.from_pretrained(saved)
    (saved / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="not valid JSON"):
        DeepseekV32ForCausalLM.from_pretrained(saved)


def test_unwritable_target_is_a_clear_error(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot write checkpoint"):
        DeepseekV32ForCausalLM.from_pretrained(saved).save_pretrained(tmp_path / "file")
