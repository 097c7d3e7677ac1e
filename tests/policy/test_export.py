"""`deepseek_v3` checkpoints: what is exported computes the same in transformers, what is imported too."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor

from palestra.policy.config import DeepseekV32Config
from palestra.policy.errors import CheckpointError, ConfigError
from palestra.policy.export import VLLM_CPU_LATENT, export_deepseek_v3, import_deepseek_v3
from palestra.policy.model import DeepseekV32ForCausalLM

BASE = DeepseekV32Config(
    vocab_size=61,
    hidden_size=32,
    intermediate_size=48,
    moe_intermediate_size=16,
    num_hidden_layers=3,
    num_attention_heads=4,
    n_routed_experts=8,
    num_experts_per_tok=3,
    n_group=4,
    topk_group=2,
    first_k_dense_replace=1,
    q_lora_rank=24,
    kv_lora_rank=16,
    qk_nope_head_dim=12,
    qk_rope_head_dim=8,
    v_head_dim=10,
    index_n_heads=4,
    index_head_dim=16,
    index_topk=40,
    max_position_embeddings=128,
    initializer_range=0.2,
)
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 32,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
}
SHAPES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "without q-LoRA": {"q_lora_rank": None},
    "with biases": {"attention_bias": True},
    "dense layers only": {"first_k_dense_replace": 3},
    "tied": {"tie_word_embeddings": True},
    "one group, plain sum": {"n_group": 1, "topk_group": 1, "norm_topk_prob": False, "routed_scaling_factor": 1.0},
}


def random_model(seed: int = 0, dtype: torch.dtype = torch.float32, **changes: Any) -> DeepseekV32ForCausalLM:
    """Random in every tensor, norms and routing biases too."""
    torch.manual_seed(seed)
    model = DeepseekV32ForCausalLM(replace(BASE, **changes), dtype=dtype).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.ndim == 1:
                tensor.add_(torch.randn_like(tensor) * (0.05 if name.endswith("correction_bias") else 0.2))
    return model


def tokens(length: int = 40) -> Tensor:
    return torch.randint(0, BASE.vocab_size, (2, length), generator=torch.Generator().manual_seed(1))


def theirs(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    loader: Any = transformers.DeepseekV3ForCausalLM
    return loader.from_pretrained(folder, dtype=dtype, experts_implementation="eager").eval()


@torch.no_grad()
def difference(ours: DeepseekV32ForCausalLM, folder: Path, length: int = 40) -> float:
    """The largest between our logits, with sparse attention on, and those of transformers' DeepseekV3."""
    ids = tokens(length)
    return float((ours(ids).logits_BTV - theirs(folder, ours.dtype)(ids).logits).abs().max())


@pytest.mark.parametrize("changes", [*SHAPES.values(), {"rope_parameters": YARN}], ids=[*SHAPES, "YaRN"])
def test_transformers_computes_the_same_within_index_topk(changes: dict[str, Any], tmp_path: Path) -> None:
    model = random_model(dtype=torch.float64, **changes)
    assert export_deepseek_v3(model, tmp_path) == 40
    assert difference(model, tmp_path) < 1e-9
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["model_type"], config["architectures"]) == ("deepseek_v3", ["DeepseekV3ForCausalLM"])
    assert not any(name.startswith("index_") for name in config)
    assert not any("indexer" in name for name in load_file(tmp_path / "model.safetensors"))


def test_beyond_index_topk_it_is_another_function(tmp_path: Path) -> None:
    model = random_model(index_topk=8)
    assert export_deepseek_v3(model, tmp_path) == 8
    assert difference(model, tmp_path, 8) < 1e-4
    assert difference(model, tmp_path, 40) > 1e-2


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_a_padded_latent_changes_nothing(changes: dict[str, Any], tmp_path: Path) -> None:
    model = random_model(**changes)
    export_deepseek_v3(model, tmp_path, latent=VLLM_CPU_LATENT)
    config = theirs(tmp_path).config
    assert (config.kv_lora_rank, config.qk_rope_head_dim) == (512, 64)
    assert difference(model, tmp_path) < 2e-5


def test_what_cannot_be_said_or_padded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="knows no other order"):
        export_deepseek_v3(random_model(mlp_layer_types=("sparse", "dense", "sparse")), tmp_path)
    with pytest.raises(ConfigError, match=r"16 \+ 8 numbers cannot be padded to 8 \+ 8"):
        export_deepseek_v3(random_model(), tmp_path, latent=(8, 8))
    with pytest.raises(ConfigError, match=r"cannot be padded to 16 \+ 12"):
        export_deepseek_v3(random_model(), tmp_path, latent=(16, 12))
    with pytest.raises(ConfigError, match="YaRN"):
        export_deepseek_v3(random_model(rope_parameters=YARN), tmp_path, latent=VLLM_CPU_LATENT)
    assert not any(tmp_path.iterdir())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot write"):
        export_deepseek_v3(random_model(), tmp_path / "file")


def test_layers_that_are_dense_first_may_be_spelled_out(tmp_path: Path) -> None:
    model = random_model(mlp_layer_types=("dense", "sparse", "sparse"))
    export_deepseek_v3(model, tmp_path)
    assert difference(model, tmp_path) < 1e-4


@pytest.mark.parametrize(
    "changes", [{}, {"q_lora_rank": None}, {"attention_bias": True}], ids=["q-LoRA", "none", "bias"]
)
def test_a_checkpoint_that_transformers_wrote_is_imported(changes: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(3)
    names = {name: value for name, value in replace(BASE, **changes).to_dict().items() if not name.startswith("index")}
    names |= {"model_type": "deepseek_v3", "rope_parameters": YARN, "num_nextn_predict_layers": 0}
    transformers.DeepseekV3ForCausalLM(transformers.DeepseekV3Config(**names)).save_pretrained(tmp_path)
    model = import_deepseek_v3(tmp_path, index_n_heads=2, index_head_dim=16, index_topk=40, seed=5).eval()
    assert difference(model, tmp_path) < 1e-4
    assert model.config.index_topk == 40
    index = {name: tensor for name, tensor in model.state_dict().items() if ".indexer." in name}
    assert len(index) == 3 * 5
    again = import_deepseek_v3(tmp_path, index_n_heads=2, index_head_dim=16, index_topk=40, seed=5).state_dict()
    other = import_deepseek_v3(tmp_path, index_n_heads=2, index_head_dim=16, index_topk=40, seed=6).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in model.state_dict().items())
    assert all(torch.equal(other[name], again[name]) == (tensor.ndim == 1) for name, tensor in index.items())


def test_out_and_in_again(tmp_path: Path) -> None:
    model = random_model()
    export_deepseek_v3(model, tmp_path)
    before = torch.get_rng_state()
    back = import_deepseek_v3(tmp_path, index_n_heads=4, index_head_dim=16, index_topk=40)
    assert torch.equal(torch.get_rng_state(), before)
    assert back.config == model.config
    for name, tensor in back.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]) or ".indexer." in name


def test_imports_of_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read model config"):
        import_deepseek_v3(tmp_path)
    model = random_model()
    model.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="is not of model_type 'deepseek_v3'"):
        import_deepseek_v3(tmp_path)
    export_deepseek_v3(model, tmp_path)
    with pytest.raises(ConfigError, match="index_head_dim 4 is less than qk_rope_head_dim 8"):
        import_deepseek_v3(tmp_path, index_head_dim=4)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"kv_lora_rank": 17}))
    with pytest.raises(CheckpointError, match="kv_a_proj_with_mqa"):
        import_deepseek_v3(tmp_path)
