"""Checkpoints: written and read back, in shards, and every kind of damage answered by one clear line."""

import contextlib
import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from palestra.policy import shards
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
        (lambda t: t.update({EXPERT: t[EXPERT].long()}), f"{EXPERT} is I64; convert it"),
        (lambda t: t.update({"model.extra": torch.zeros(1)}), "model.extra that its config has no place for"),
        (lambda t: t[EXPERT].fill_(float("nan")), f"{EXPERT} holds NaN"),
        (lambda t: t.update({EXPERT: t[EXPERT].to(torch.float8_e4m3fn)}), f"{EXPERT} is F8_E4M3; convert it"),
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


def filled(value: float) -> DeepseekV32ForCausalLM:
    """A model with one number everywhere: what is read of it tells which checkpoint it is from."""
    model = DeepseekV32ForCausalLM(CONFIG)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.fill_(value)
    return model


def values(folder: Path) -> set[float]:
    return {float(x) for t in DeepseekV32ForCausalLM.from_pretrained(folder).state_dict().values() for x in t.unique()}


def sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def test_shards_are_written_as_transformers_writes_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = DeepseekV32ForCausalLM(CONFIG)
    model.save_pretrained(tmp_path, max_shard_size="4KB")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    files = sorted(set(index["weight_map"].values()))
    assert files == [f"model-{n:05}-of-{len(files):05}.safetensors" for n in range(1, len(files) + 1)]
    assert sorted(sizes(tmp_path)) == sorted([*files, "config.json", "model.safetensors.index.json"])
    held = {file: load_file(tmp_path / file) for file in files}
    assert {name: file for file in files for name in held[file]} == index["weight_map"]
    totals = [sum(tensor.nbytes for tensor in shard.values()) for shard in held.values()]
    assert index["metadata"]["total_size"] == sum(totals)
    assert len(files) > 3
    assert max(totals) <= 4000
    read = DeepseekV32ForCausalLM.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(read[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(("given", "parts"), [(10**6, 1), ("1MB", 1), ("0.01 MiB", 3), ("11kb", 3), (1, 51)])
def test_shard_sizes_in_bytes_and_words(given: int | str, parts: int, tmp_path: Path) -> None:
    filled(1).save_pretrained(tmp_path, max_shard_size=given)
    assert len(list(tmp_path.glob("*.safetensors"))) == parts
    assert values(tmp_path) == {1}


@pytest.mark.parametrize("given", [0, -5, "5", "much", "GB", None, 1.5])
def test_a_shard_size_that_is_none_is_refused(given: Any, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"max_shard_size is .*; give a number of bytes"):
        filled(1).save_pretrained(tmp_path / "new", max_shard_size=given)
    assert not (tmp_path / "new").exists()


SHARDED, WHOLE = "9KB", "1GB"
BOTH_WAYS = pytest.mark.parametrize(
    ("before", "after"), [(SHARDED, SHARDED), (WHOLE, SHARDED), (SHARDED, WHOLE), (WHOLE, WHOLE)]
)


@BOTH_WAYS
def test_a_later_checkpoint_takes_the_place_of_an_earlier_one(before: str, after: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("stays")
    for value, size in ((1, before), (2, after), (3, after), (4, before)):
        filled(value).save_pretrained(tmp_path, max_shard_size=size)
        assert values(tmp_path) == {value}
        files = set(sizes(tmp_path)) - {"tokenizer.json", "config.json"}
        index = {"model.safetensors.index.json"} if size == SHARDED else set()
        assert len(files - index) == (1 if size == WHOLE else 3)
        assert index <= files


@BOTH_WAYS
@pytest.mark.parametrize("at", [1, 2])
def test_a_reader_meanwhile_sees_the_old_or_the_new(
    before: str, after: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A save falls between two steps of reading: after the index was read, and after the first file was opened."""
    filled(1).save_pretrained(tmp_path, max_shard_size=before)
    opened: list[Any] = []

    def opening(path: Path, framework: str) -> Any:
        opened.append(path)
        if len(opened) == at:
            filled(2).save_pretrained(tmp_path, max_shard_size=after)
        return safe_open(path, framework=framework)

    with monkeypatch.context() as patch:
        patch.setattr(shards, "safe_open", opening)
        seen = values(tmp_path)
    assert len(opened) >= at
    assert seen in ({1}, {2})
    assert values(tmp_path) == {2}


@BOTH_WAYS
def test_killed_at_any_step_the_old_or_the_new_is_whole(
    before: str, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    seen = []
    for step in range(12):
        folder, left = tmp_path / str(step), step
        filled(1).save_pretrained(folder, max_shard_size=before)

        def dying(real: Callable[..., Any]) -> Callable[..., Any]:
            def do(*args: Any, **kwargs: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    raise Killed
                return real(*args, **kwargs)

            return do

        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(os, "replace", dying(os.replace))
            patch.setattr(Path, "unlink", dying(Path.unlink))
            filled(2).save_pretrained(folder, max_shard_size=after)
        seen.append(values(folder))
        filled(3).save_pretrained(folder, max_shard_size=after)
        assert values(folder) == {3}
        assert ".partial" not in sizes(folder)
    assert seen[0] == {1}
    assert seen[-1] == {2}
    assert all(found in ({1}, {2}) for found in seen)
    assert seen == sorted(seen, key=max)


@BOTH_WAYS
@pytest.mark.parametrize("room", [0, 500, 5000, 9000])
def test_a_full_disk_leaves_the_old_checkpoint(before: str, after: str, room: int, tmp_path: Path) -> None:
    """The limit on a file's size stands for the disk: the write fails half-way just so."""
    filled(1).save_pretrained(tmp_path, max_shard_size=before)
    old, model, unlimited = sizes(tmp_path), filled(2), resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, unlimited[1]))
        with pytest.raises(CheckpointError, match=r"cannot write checkpoint .* make room") as caught:
            model.save_pretrained(tmp_path, max_shard_size=after)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert "\n" not in str(caught.value)
    assert sizes(tmp_path) == old
    assert values(tmp_path) == {1}


def test_a_tensor_in_two_shards_is_named(tmp_path: Path) -> None:
    filled(1).save_pretrained(tmp_path, max_shard_size=SHARDED)
    for file in sorted(tmp_path.glob("model-*.safetensors")):
        save_file(load_file(file) | {EXPERT: torch.zeros(8, 16)}, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=rf"{EXPERT} is in both .*00001-of.* and .*00002-of"):
        DeepseekV32ForCausalLM.from_pretrained(tmp_path)


def test_a_shape_that_no_machine_holds_is_refused_before_memory_is_asked_for(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text()) | {"vocab_size": 10**13}
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"embed_tokens.weight has shape \[17, 16\], its config needs"):
        DeepseekV32ForCausalLM.from_pretrained(saved)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rms_norm_eps": float("inf")}, "rms_norm_eps is inf; it must be a number of at least 0"),
        ({"routed_scaling_factor": -1}, "routed_scaling_factor is -1"),
        ({"eos_token_id": "</s>"}, "eos_token_id is '</s>'; it must be int or tuple or null"),
        ({"eos_token_id": 17}, "eos_token_id is 17; an id of the vocabulary is below vocab_size 17"),
        ({"eos_token_id": [1, "2"]}, "eos_token_id is '2'; an id"),
        ({"pad_token_id": 99}, "pad_token_id is 99; an id"),
        ({"tie_word_embeddings": 1}, "tie_word_embeddings is 1; it must be bool"),
        ({"num_attention_heads": True}, "num_attention_heads is True; it must be int"),
        ({"rope_parameters": [1]}, r"rope_parameters is \[1\]; it must be an object"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5; only 1 is supported"),
        ({"rope_scaling": {"type": "yarn", "factor": 2, "beta_fast": "32"}}, "rope_parameters.beta_fast is '32'"),
        ({"rope_scaling": {"type": "yarn", "factor": 2, "rope_theta": 1}}, "rope_theta is 1; with YaRN it must be"),
        ({"rope_scaling": {"type": "yarn", "factor": float("nan")}}, "rope_parameters.factor is nan"),
        ({"model_type": "deepseek_v3"}, "import_deepseek_v3 of palestra.policy.export reads it"),
    ],
)
def test_a_wrong_config_value_is_named(saved: Path, change: dict[str, Any], says: str) -> None:
    config = json.loads((saved / "config.json").read_text()) | change
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=says) as caught:
        DeepseekV32ForCausalLM.from_pretrained(saved)
    assert "\n" not in str(caught.value)
