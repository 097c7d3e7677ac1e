"""`palestra policy inspect`, and every kind of bad checkpoint answered by one line, wherever a policy can be named."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from palestra.policy.config import DeepseekV32Config
from palestra.policy.export import export_deepseek_v3
from palestra.policy.model import DeepseekV32ForCausalLM, count_parameters
from palestra.rollout.tokenizer import Tokenizer, train_tokenizer
from palestra.services.cli.main import run

PUBLISHED = {
    "architectures": ["DeepseekV32ForCausalLM"],
    "model_type": "deepseek_v32",
    "vocab_size": 129280,
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "num_hidden_layers": 61,
    "num_nextn_predict_layers": 1,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "n_shared_experts": 1,
    "n_routed_experts": 256,
    "ep_size": 1,
    "routed_scaling_factor": 2.5,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "qk_nope_head_dim": 128,
    "topk_method": "noaux_tc",
    "n_group": 8,
    "topk_group": 4,
    "num_experts_per_tok": 8,
    "moe_layer_freq": 1,
    "first_k_dense_replace": 3,
    "norm_topk_prob": True,
    "scoring_func": "sigmoid",
    "hidden_act": "silu",
    "index_n_heads": 64,
    "index_head_dim": 128,
    "index_topk": 2048,
    "max_position_embeddings": 163840,
    "rms_norm_eps": 1e-06,
    "rope_theta": 10000,
    "rope_scaling": {
        "type": "yarn",
        "factor": 40,
        "original_max_position_embeddings": 4096,
        "beta_fast": 32,
        "beta_slow": 1,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
    },
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]},
}
SHARD = "model-00002-of-00004.safetensors"
EMBEDDING = "model.embed_tokens.weight"
Ask = Callable[..., tuple[int, str, str]]
Damage = Callable[[Path], Any]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command line; its exit code, standard output and standard error."""

    def typed(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return typed


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return train_tokenizer([], 280)


@pytest.fixture
def checkpoint(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """A small whole one, in shards."""
    config = DeepseekV32Config(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        intermediate_size=16,
        moe_intermediate_size=8,
        num_hidden_layers=3,
        num_attention_heads=2,
        n_routed_experts=4,
        num_experts_per_tok=2,
        n_group=1,
        topk_group=1,
        first_k_dense_replace=1,
        q_lora_rank=None,
        kv_lora_rank=8,
        qk_nope_head_dim=8,
        qk_rope_head_dim=4,
        v_head_dim=8,
        index_n_heads=2,
        index_head_dim=8,
        index_topk=8,
        max_position_embeddings=1024,
    )
    folder = tmp_path / "policy"
    DeepseekV32ForCausalLM(config).save_pretrained(folder, max_shard_size="20KB")
    tokenizer.save(folder)
    assert (folder / SHARD).exists()
    return folder


def test_inspect_shows_a_checkpoint(checkpoint: Path, ask: Ask) -> None:
    code, out, err = ask("policy", "inspect", checkpoint)
    assert (code, err) == (0, "")
    assert "3: 1 dense, 2 with experts (4 routed, 2 per token, 1 shared)" in out
    assert f"4 files from {SHARD.replace('2', '1', 1)}" in out
    assert "all finite" in out
    report = json.loads(ask("policy", "inspect", checkpoint, "--json")[1])
    model = DeepseekV32ForCausalLM.from_pretrained(checkpoint)
    parts = report["parameters"]["parts"]
    assert report["parameters"]["total"] == count_parameters(model) == sum(part["total"] for part in parts.values())
    assert report["parameters"]["active"] == sum(part["active"] for part in parts.values())
    assert parts["routed experts"] == {"total": 2 * 4 * 3 * 8 * 16, "active": 2 * 2 * 3 * 8 * 16}
    assert parts["embedding"] == {"total": 16 * model.config.vocab_size, "active": 16}
    assert report["cache_bytes_per_token"]["float32"] == {"latent": 3 * 12 * 4, "index keys": 3 * 8 * 4, "all": 240}
    assert report["weights"]["size"] == sum(path.stat().st_size for path in checkpoint.glob("*.safetensors"))
    assert report["weights"]["dtypes"] == {"F32": len(model.state_dict()) + 2 * (4 * 3 - 2)}
    assert DeepseekV32Config.from_dict(report["config"]) == model.config
    assert json.loads(ask("policy", "inspect", checkpoint, "--config-only", "--json")[1])["weights"] is None


@pytest.mark.parametrize("bare", [True, False])
def test_inspect_of_the_published_config(bare: bool, tmp_path: Path, ask: Ask) -> None:
    """671 B parameters, 37 B of them active (DeepSeek-V3, section 1), and the indexer's; layer 61 predicts several
    tokens at once and is left out."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(PUBLISHED))
    code, out, _ = ask("policy", "inspect", path if bare else tmp_path, "--json")
    assert code == 0
    report = json.loads(out)
    parts = report["parameters"]["parts"]
    assert parts["indexer"]["total"] == 61 * (64 * 128 * 1536 + 128 * 7168 + 2 * 128 + 64 * 7168)
    assert report["parameters"]["total"] - parts["indexer"]["total"] == 671_026_404_352
    assert round(report["parameters"]["active"] / 1e9) == 37
    assert report["cache_bytes_per_token"]["bfloat16"]["all"] == 61 * (512 + 64 + 128) * 2
    assert (report["layers"], report["quantized"]) == ({"dense": 3, "moe": 58}, "fp8")
    assert (report["index_topk"], report["context"]) == (2048, 163840)
    told = ask("policy", "inspect", path)[1]
    assert "671.9 B parameters, 37.5 B active per token" in told
    assert "quantised (fp8)" in told
    assert "YaRN x 40" in told


def test_tied_embeddings_are_counted_once(checkpoint: Path, ask: Ask) -> None:
    (checkpoint / "config.json").write_text(
        json.dumps(json.loads((checkpoint / "config.json").read_text()) | {"tie_word_embeddings": True})
    )
    report = json.loads(ask("policy", "inspect", checkpoint, "--json")[1])
    embedding = report["parameters"]["parts"]["embedding"]
    assert embedding["active"] == embedding["total"] > 0
    assert report["parameters"]["parts"]["output projection"]["total"] == 0


def configured(**changes: Any) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def tensors(change: Callable[[dict[str, Tensor]], Any], file: str = SHARD) -> Damage:
    def damage(folder: Path) -> None:
        held = load_file(folder / file)
        change(held)
        save_file(held, folder / file, metadata={"format": "pt"})

    return damage


def index(change: Callable[[dict[str, str]], Any]) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "model.safetensors.index.json"
        data = json.loads(path.read_text())
        change(data["weight_map"])
        path.write_text(json.dumps(data))

    return damage


def spoiled(held: dict[str, Tensor], value: float) -> None:
    held[min(held)].flatten()[0] = value


def emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def as_v3(folder: Path) -> None:
    export_deepseek_v3(DeepseekV32ForCausalLM.from_pretrained(folder), folder)


def another_tokenizer(folder: Path) -> None:
    train_tokenizer(["palestra learns by wrestling, wrestling by palestra"] * 9, 290).save(folder)


def without_special_tokens(folder: Path) -> None:
    path = folder / "tokenizer.json"
    data = json.loads(path.read_text())
    data["added_tokens"] = [token for token in data["added_tokens"] if token["content"] != "</think>"]
    data["model"]["vocab"].pop("</think>", None)
    path.write_text(json.dumps(data))


BAD: dict[str, tuple[Damage, str]] = {
    "empty folder": (emptied, "cannot read model config .*config.json: No such file"),
    "config is no JSON": (lambda d: (d / "config.json").write_text("{,"), "config.json is not valid JSON"),
    "config is a list": (lambda d: (d / "config.json").write_text("[1]"), "is a JSON list; it must be an object"),
    "another model": (configured(model_type="llama"), "model_type is 'llama'; only 'deepseek_v32' is read"),
    "deepseek_v3": (as_v3, "model_type is 'deepseek_v3'; import_deepseek_v3 of palestra.policy.export reads it"),
    "a text for a number": (configured(kv_lora_rank="8"), "config kv_lora_rank is '8'; it must be int"),
    "null": (configured(n_group=None), "config n_group is None; it must be int"),
    "not finite": (configured(rms_norm_eps=float("nan")), "config rms_norm_eps is nan; it must be a number"),
    "YaRN of text": (
        configured(rope_scaling={"type": "yarn", "factor": 2, "mscale": "1"}),
        "rope_parameters.mscale is '1'; it must be a number",
    ),
    "another shape": (configured(hidden_size=32), r"tensor \S+ has shape \[.*16\], its config needs \[.*32\]"),
    "absurdly large": (configured(hidden_size=2**40), "has shape .* its config needs"),
    "more layers": (configured(num_hidden_layers=4), r"lacks tensor model.layers.3\S+ that its config needs"),
    "fewer layers": (configured(num_hidden_layers=2), r"has tensor model.layers.2\S+ that its config has no place for"),
    "no weights listed": (lambda d: (d / "model.safetensors.index.json").unlink(), "has neither model.safetensors nor"),
    "index is no JSON": (lambda d: (d / "model.safetensors.index.json").write_text("{"), "no readable weight_map"),
    "index names twice": (
        lambda d: (d / "model.safetensors.index.json").write_text('{"weight_map": {"a": "x", "a": "y"}}'),
        "a is given twice",
    ),
    "index names an absent tensor": (index(lambda names: names.update(more=SHARD)), f"{SHARD} lacks tensor more"),
    "shard is gone": (lambda d: (d / SHARD).unlink(), f"shard .*{SHARD} is missing"),
    "shard is cut": (lambda d: os.truncate(d / SHARD, 5000), f"{SHARD} is truncated or not safetensors"),
    "shard is empty": (lambda d: (d / SHARD).write_bytes(b""), f"{SHARD} is truncated or not safetensors"),
    "shard is a pointer": (
        lambda d: (d / SHARD).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        f"{SHARD} is truncated or not safetensors",
    ),
    "tensor in two shards": (
        tensors(lambda held: held.update({EMBEDDING: torch.zeros(1)})),
        f"{EMBEDDING} is in both",
    ),
    "NaN": (tensors(lambda held: spoiled(held, float("nan"))), "holds NaN or infinity"),
    "infinity": (tensors(lambda held: spoiled(held, float("inf"))), "holds NaN or infinity"),
    "integers": (tensors(lambda held: held.update({min(held): held[min(held)].long()})), "is I64; convert it"),
    "no tokenizer.json to read": (lambda d: (d / "tokenizer.json").write_text("{"), "is no readable tokenizer.json"),
    "tokenizer has more ids": (another_tokenizer, r"its tokenizer has 2\d\d tokens, its model 264"),
    "tokenizer has no such token": (without_special_tokens, "no token '</think>'"),
    "other end of message": (configured(eos_token_id=7), "ends a message with id 1, its config has eos_token_id 7"),
    "other begin of text": (configured(bos_token_id=3), "begins with id 0, its config has bos_token_id 3"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_checkpoint_is_one_line(kind: str, checkpoint: Path, ask: Ask, tmp_path: Path) -> None:
    damage, says = BAD[kind]
    damage(checkpoint)
    store = ("--store", f"sqlite:///{tmp_path}/store.db")
    named = ("--policy", f"palestra:{checkpoint}")
    answers = [
        ask("policy", "inspect", checkpoint),
        ask("rollout", "travel-mini", *named, *store),
        ask("eval", "travel-mini", *named, *store),
    ]
    for code, out, err in answers:
        assert (code, out) == (1, ""), err
        assert err.startswith("palestra: ")
        assert err.count("\n") == 1, err
    lines = [err for _, _, err in answers]
    assert lines[0] == lines[1] == lines[2]
    with pytest.raises(ValueError, match=says):
        raise ValueError(lines[0])


def test_a_bad_quantised_checkpoint_is_not_played(checkpoint: Path, ask: Ask, tmp_path: Path) -> None:
    configured(quantization_config={"quant_method": "fp8"})(checkpoint)
    code, _, err = ask(
        "eval", "travel-mini", "--policy", f"palestra:{checkpoint}", "--store", f"sqlite:///{tmp_path}/s.db"
    )
    assert (code, err.count("\n")) == (1, 1)
    assert "convert the checkpoint to bf16 or float32 first" in err
    assert "quantised (fp8)" in ask("policy", "inspect", checkpoint)[1]
