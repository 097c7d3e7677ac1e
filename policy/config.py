"""The model's configuration: the ``config.json`` of ``model_type = "deepseek_v32"`` as a frozen dataclass."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, get_args

from .errors import ConfigError

CONFIG_NAME = "config.json"
MODEL_TYPE = "deepseek_v32"
ARCHITECTURE = "DeepseekV32ForCausalLM"
_DEFAULT_ROPE = MappingProxyType({"rope_type": "default", "rope_theta": 10000.0})
_POSITIVE = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "moe_intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "n_routed_experts",
    "num_experts_per_tok",
    "n_group",
    "topk_group",
    "kv_lora_rank",
    "qk_rope_head_dim",
    "qk_nope_head_dim",
    "v_head_dim",
    "index_n_heads",
    "index_head_dim",
    "index_topk",
    "max_position_embeddings",
)
# Values the architecture fixes: a checkpoint that says otherwise is another model.
_FIXED: Mapping[str, Any] = MappingProxyType(
    {"hidden_act": "silu", "scoring_func": "sigmoid", "topk_method": "noaux_tc", "moe_layer_freq": 1, "mlp_bias": False}
)


@dataclass(frozen=True)
class DeepseekV32Config:
    """Shape and constants of a DeepSeek-V3.2 model; the defaults are the 671B model's (DeepSeek-V3.2, section 2).

    ``q_lora_rank`` may be None: queries are then projected straight from the hidden state, and so are the indexer's.
    ``rope_parameters`` holds ``rope_type`` (``default`` or ``yarn``), ``rope_theta`` and YaRN's numbers; the older
    ``rope_theta`` + ``rope_scaling`` pair is accepted by ``from_dict``. ``mlp_layer_types`` ("dense"/"sparse" per
    layer) overrides ``first_k_dense_replace``. Raises ConfigError where values are impossible or contradict.
    """

    vocab_size: int = 129280
    hidden_size: int = 7168
    intermediate_size: int = 18432
    moe_intermediate_size: int = 2048
    num_hidden_layers: int = 61
    num_attention_heads: int = 128
    n_shared_experts: int = 1
    n_routed_experts: int = 256
    num_experts_per_tok: int = 8
    n_group: int = 8
    topk_group: int = 4
    norm_topk_prob: bool = True
    routed_scaling_factor: float = 2.5
    first_k_dense_replace: int = 3
    mlp_layer_types: tuple[str, ...] | None = None
    q_lora_rank: int | None = 1536
    kv_lora_rank: int = 512
    qk_nope_head_dim: int = 128
    qk_rope_head_dim: int = 64
    v_head_dim: int = 128
    attention_bias: bool = False
    index_n_heads: int = 64
    index_head_dim: int = 128
    index_topk: int = 2048
    max_position_embeddings: int = 163840
    rope_parameters: Mapping[str, Any] = field(default_factory=lambda: dict(_DEFAULT_ROPE))
    rms_norm_eps: float = 1e-6
    initializer_range: float = 0.02
    tie_word_embeddings: bool = False
    num_nextn_predict_layers: int = 0
    bos_token_id: int | None = 0
    eos_token_id: int | tuple[int, ...] | None = 1
    pad_token_id: int | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            _check_kind(item.name, getattr(self, item.name), item.type)
        for name in _POSITIVE:
            if getattr(self, name) < 1:
                raise ConfigError(f"config {name} is {getattr(self, name)}; it must be at least 1")
        for name in ("rms_norm_eps", "routed_scaling_factor", "initializer_range"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"config {name} is {getattr(self, name)}; it must be a number of at least 0")
        self._check_relations()
        _check_rope(self.rope_parameters)

    def _check_relations(self) -> None:
        def need(condition: bool, message: str) -> None:
            if not condition:
                raise ConfigError(f"config {message}")

        per_group = self.n_routed_experts // self.n_group
        need(self.q_lora_rank is None or self.q_lora_rank >= 1, f"q_lora_rank is {self.q_lora_rank}; use null or >= 1")
        need(self.qk_rope_head_dim % 2 == 0, f"qk_rope_head_dim is {self.qk_rope_head_dim}; it must be even")
        need(
            self.index_head_dim >= self.qk_rope_head_dim,
            f"index_head_dim {self.index_head_dim} is less than qk_rope_head_dim {self.qk_rope_head_dim}",
        )
        need(
            self.n_routed_experts % self.n_group == 0,
            f"n_routed_experts {self.n_routed_experts} is not a multiple of n_group {self.n_group}",
        )
        need(self.topk_group <= self.n_group, f"topk_group {self.topk_group} exceeds n_group {self.n_group}")
        need(
            self.num_experts_per_tok <= self.topk_group * per_group,
            f"num_experts_per_tok {self.num_experts_per_tok} exceeds the {self.topk_group * per_group} experts "
            f"of the topk_group {self.topk_group} groups",
        )
        need(self.first_k_dense_replace >= 0, f"first_k_dense_replace is {self.first_k_dense_replace}; use 0 or more")
        need(self.n_shared_experts >= 0, f"n_shared_experts is {self.n_shared_experts}; use 0 or more")
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            ids = getattr(self, name)
            for token in ids if isinstance(ids, tuple) else (ids,):
                fits = token is None or (type(token) is int and token < self.vocab_size)
                need(fits, f"{name} is {token!r}; an id of the vocabulary is below vocab_size {self.vocab_size}")
        if self.mlp_layer_types is not None:
            kinds = self.mlp_layer_types
            fits = len(kinds) == self.num_hidden_layers and all(kind in ("dense", "sparse") for kind in kinds)
            need(fits, f"mlp_layer_types must be {self.num_hidden_layers} of 'dense' or 'sparse', got {list(kinds)}")

    @property
    def qk_head_dim(self) -> int:
        """Width of one query or key head of the main attention: nope + rope."""
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    @property
    def latent_dim(self) -> int:
        """Numbers cached per token and layer by MLA: kv latent + shared rotary key."""
        return self.kv_lora_rank + self.qk_rope_head_dim

    @property
    def q_latent_dim(self) -> int:
        """Width of what the queries are projected from: the q latent, or the hidden state without q-LoRA."""
        return self.hidden_size if self.q_lora_rank is None else self.q_lora_rank

    def is_dense(self, layer: int) -> bool:
        """True where ``layer`` has a plain MLP instead of a mixture of experts."""
        if self.mlp_layer_types is not None:
            return self.mlp_layer_types[layer] == "dense"
        return layer < self.first_k_dense_replace

    @property
    def moe_layers(self) -> tuple[int, ...]:
        """Indices of the layers with a mixture of experts, in order."""
        return tuple(n for n in range(self.num_hidden_layers) if not self.is_dense(n))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build from a parsed ``config.json``; keys that say nothing about the model's function are ignored."""
        if data.get("model_type", MODEL_TYPE) != MODEL_TYPE:
            remedy = "import_deepseek_v3 of palestra.policy.export reads it, and adds an indexer to be trained"
            if data["model_type"] != "deepseek_v3":
                remedy = (
                    f"only {MODEL_TYPE!r} is read, and 'deepseek_v3' by import_deepseek_v3 of palestra.policy.export"
                )
            raise ConfigError(f"config model_type is {data['model_type']!r}; {remedy}")
        if data.get("quantization_config") is not None:
            raise ConfigError("config has a quantization_config; convert the checkpoint to bf16 or float32 first")
        if data.get("attention_dropout"):
            raise ConfigError(f"config attention_dropout is {data['attention_dropout']}; only 0 is supported")
        for name, value in _FIXED.items():
            if data.get(name, value) != value:
                raise ConfigError(f"config {name} is {data[name]!r}; only {value!r} is supported")
        known = {item.name for item in fields(cls)}
        values = {name: _frozen(value) for name, value in data.items() if name in known}
        values["rope_parameters"] = _rope_parameters(data)
        return cls(**values)

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read ``config.json`` at ``path``. Raises ConfigError as ``read_config`` and ``from_dict`` do."""
        return cls.from_dict(read_config(path))

    def to_dict(self) -> dict[str, Any]:
        """The ``config.json`` object that transformers, vLLM and SGLang read; ``from_dict`` inverts it."""
        values = {item.name: _thawed(getattr(self, item.name)) for item in fields(self)}
        if self.mlp_layer_types is None:
            del values["mlp_layer_types"]
        derived = {
            "architectures": [ARCHITECTURE],
            "model_type": MODEL_TYPE,
            "num_key_value_heads": self.num_attention_heads,
            "head_dim": self.qk_rope_head_dim,
            "hidden_act": "silu",
            "scoring_func": "sigmoid",
            "topk_method": "noaux_tc",
            "attention_dropout": 0.0,
        }
        return dict(sorted((values | derived).items()))


def read_config(path: str | Path) -> dict[str, Any]:
    """The JSON object in the file ``path``. Raises ConfigError if it is missing or anything else."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"cannot read model config {path}: {reason}; a checkpoint folder holds one") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"model config {path} is not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"model config {path} is a JSON {type(data).__name__}; it must be an object")
    return data


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _thawed(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _check_kind(name: str, value: Any, annotation: Any) -> None:
    """Refuse a value of another kind than the field's annotation; ints pass as floats, bools never as numbers."""
    kinds = tuple(getattr(kind, "__origin__", kind) for kind in (get_args(annotation) or (annotation,)))
    if isinstance(annotation, type) or annotation == Mapping[str, Any]:
        kinds = (getattr(annotation, "__origin__", annotation),)
    if float in kinds:
        kinds = (*kinds, int)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
        raise ConfigError(f"config {name} is {value!r}; it must be {wanted}")


def _rope_parameters(data: Mapping[str, Any]) -> dict[str, Any]:
    """Both spellings, ``rope_parameters`` and ``rope_theta`` + ``rope_scaling``, as the first; of two, transformers
    takes ``rope_scaling``, and top-level numbers where the object has none."""
    given = data.get("rope_scaling") or data.get("rope_parameters") or {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"config rope_parameters is {given!r}; it must be an object")
    rope = dict(given)
    rope.setdefault("rope_type", rope.pop("type", "default"))
    rope.pop("type", None)
    rope.setdefault("rope_theta", data.get("rope_theta", 10000.0))
    if data.get("partial_rotary_factor") is not None:
        rope.setdefault("partial_rotary_factor", data["partial_rotary_factor"])
    if rope["rope_type"] == "yarn":
        rope.setdefault("original_max_position_embeddings", data.get("max_position_embeddings", 163840))
    return rope


def _check_rope(rope: Mapping[str, Any]) -> None:
    kind = rope.get("rope_type")
    if kind not in ("default", "yarn"):
        raise ConfigError(f"config rope_type is {kind!r}; use 'default' or 'yarn'")
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise ConfigError(f"config partial_rotary_factor is {rope['partial_rotary_factor']}; only 1 is supported")
    needed = ["rope_theta"]
    if kind == "yarn":
        needed += ["factor", "original_max_position_embeddings"]
        optional = ("beta_fast", "beta_slow", "mscale", "mscale_all_dim", "attention_factor")
        for name in optional:
            if rope.get(name) is not None and not (_is_number(rope[name]) and rope[name] >= 0):
                raise ConfigError(
                    f"config rope_parameters.{name} is {rope[name]!r}; it must be a number from 0, or null"
                )
    for name in needed:
        if not _is_number(rope.get(name)) or rope[name] <= 0:
            raise ConfigError(f"config rope_parameters.{name} is {rope.get(name)!r}; it must be a positive number")
    if kind == "yarn" and rope["rope_theta"] <= 1:
        raise ConfigError(f"config rope_parameters.rope_theta is {rope['rope_theta']}; with YaRN it must be above 1")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
