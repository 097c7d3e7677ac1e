"""DeepSeek-V3.2 as a language model: whole sequences; for cached steps see ``decode``.

Letters: B batch, T time, N new tokens, V vocabulary, D hidden, K experts per token, L layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..kernels.dsa import DsaOptions, IndexerLoss, Selector
from ..kernels.forest import Forest
from .attention import LatentAttention, RMSNorm
from .checkpoint import check_weights, load_weights, save_weights
from .config import CONFIG_NAME, DeepseekV32Config
from .errors import CheckpointError
from .moe import MixtureOfExperts, SwiGLU, update_routing_bias
from .rope import rotation_table, softmax_scale
from .shards import MAX_SHARD_SIZE

__all__ = [
    "CausalLayer",
    "DeepseekV32ForCausalLM",
    "ModelOutput",
    "count_parameters",
    "update_routing_bias",
]
Ties = Literal["reference", "recent"]


@dataclass(frozen=True)
class ModelOutput:
    """What ``forward`` gives: ``logits_BTV`` and ``indexer_kl`` where asked for, ``hidden_BTD`` after the last norm,
    and, where asked for, ``routing``: the expert choices [B, T, K] of each mixture-of-experts layer, and
    ``selected_mass``: for each layer, how much of dense attention's probability mass the selected positions hold, as a
    mean over the queries that see more than ``index_topk`` (1 where none does)."""

    logits_BTV: Tensor | None
    hidden_BTD: Tensor
    indexer_kl: Tensor | None
    routing: tuple[Tensor, ...] | None = None
    selected_mass: tuple[float, ...] | None = None


@dataclass(frozen=True)
class ForestOutput:
    """What ``forward_forest`` gives: ``hidden_ND`` after the last norm, the indexer's loss [], the expert choices
    [N, K] of each mixture-of-experts layer, and ``selected_mass`` where asked for."""

    hidden_ND: Tensor
    indexer_kl: Tensor
    routing: tuple[Tensor, ...]
    selected_mass: tuple[float, ...] | None


class CausalLayer(nn.Module):
    """Pre-norm residual block: latent attention, then the feed-forward of its layer number."""

    def __init__(self, config: DeepseekV32Config, number: int) -> None:
        super().__init__()
        self.self_attn = LatentAttention(config)
        self.mlp: SwiGLU | MixtureOfExperts
        self.mlp = (
            SwiGLU(config.hidden_size, config.intermediate_size)
            if config.is_dense(number)
            else MixtureOfExperts(config)
        )
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self,
        x_ND: Tensor,
        cos: Tensor,
        sin: Tensor,
        row_weight_N: Tensor,
        forest: Forest,
        options: DsaOptions,
        forced_NK: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """The nodes' new states, the indexer's loss, the selected attention mass, and the expert choices."""
        attended, loss, mass = self.self_attn(self.input_layernorm(x_ND), cos, sin, row_weight_N, forest, options)
        x_ND, choice = self.feed_forward(x_ND + attended, forced_NK)
        return x_ND, loss, mass, choice

    def feed_forward(self, x: Tensor, forced: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Residual sum after the second half, and the expert choices (None in a dense layer)."""
        normed = self.post_attention_layernorm(x)
        if isinstance(self.mlp, SwiGLU):
            return x + self.mlp(normed), None
        out, choice = self.mlp(normed, forced)
        return x + out, choice


class Backbone(nn.Module):
    """Embedding, layers and last norm, under the names checkpoints use."""

    def __init__(self, config: DeepseekV32Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(CausalLayer(config, n) for n in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class DeepseekV32ForCausalLM(nn.Module):
    """The policy model. Fresh weights are drawn from the global torch generator, normal with ``initializer_range``.

    On ``device="meta"`` nothing is allocated. ``dtype`` is the parameters'; the routing bias, and below float32 the
    indexer's ``weights_proj``, stay float32.
    """

    def __init__(
        self, config: DeepseekV32Config, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.config = config
        # Built without memory first: torch's own initialisation would be thrown away.
        with torch.device("meta"):
            self.model = Backbone(config)
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        for name, parameter in self.named_parameters():
            keeps = name.endswith("indexer.weights_proj.weight") and dtype.itemsize < 4
            parameter.data = parameter.data.to(torch.float32 if keeps else dtype)
        if torch.device(device).type != "meta":
            self.to_empty(device=device)
            self.reset_parameters()
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        self._rotation: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Matrices normal(0, initializer_range), norms one, biases and routing biases zero."""
        for name, tensor in self.state_dict().items():
            if tensor.ndim > 1:
                tensor.normal_(0.0, self.config.initializer_range)
            else:
                tensor.fill_(1.0 if name.endswith("norm.weight") else 0.0)

    @classmethod
    def from_pretrained(cls, folder: str | Path, dtype: torch.dtype = torch.float32) -> Self:
        """Read a Hugging Face checkpoint. Raises ConfigError or CheckpointError with one line saying what is off."""
        if not Path(folder).is_dir():
            raise CheckpointError(f"checkpoint {folder} is not a folder; give the one that holds {CONFIG_NAME}")
        config = DeepseekV32Config.from_file(Path(folder) / CONFIG_NAME)
        model = cls(config, device="meta", dtype=dtype)
        check_weights(model, config, folder)  # before memory is asked for: the shape may be a mistake
        model.to_empty(device="cpu")
        if config.tie_word_embeddings:
            model.lm_head.weight = model.model.embed_tokens.weight
        load_weights(model, config, folder)
        return model

    def save_pretrained(self, folder: str | Path, max_shard_size: int | str = MAX_SHARD_SIZE) -> None:
        """Write ``config.json`` and safetensors as transformers would, in shards of at most ``max_shard_size`` (bytes,
        or "5GB"). Raises CheckpointError."""
        save_weights(self, self.config, folder, max_shard_size)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the parameters and of the logits."""
        return self.lm_head.weight.dtype

    def _angles(self, length: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines of at least ``length`` positions in the model's dtype, remembered between calls."""
        known, weight = self._rotation, self.lm_head.weight
        if (
            known is None
            or len(known[0]) < length
            or known[0].dtype != weight.dtype
            or known[0].device != weight.device
        ):
            size = min(max(1 << (length - 1).bit_length(), 64), self.config.max_position_embeddings)
            cos, sin = rotation_table(self.config, size)
            known = self._rotation = (cos.to(weight), sin.to(weight))
        return known

    def forward(
        self,
        tokens_BT: Tensor,
        *,
        lengths_B: Tensor | None = None,
        sparse: bool = True,
        indexer_loss: IndexerLoss = "none",
        return_logits: bool = True,
        routing: Sequence[Tensor] | None = None,
        return_routing: bool = False,
        ties: Ties = "reference",
        selector: Selector = "indexer",
        seed: int = 0,
        measure: bool = False,
    ) -> ModelOutput:
        """Whole right-padded sequences; ``lengths_B`` says how many tokens of each are real (for the indexer's loss).
        ``forward_forest`` has the same without padding, and with shared prefixes.

        ``sparse=False`` ignores the indexer (plain MLA). ``indexer_loss``: the mean over real positions and layers of
        KL(main attention summed over heads || softmax of the indexer's scores), over all earlier positions
        ("dense") or the selected ones ("sparse"); it reaches the indexer's weights only. ``routing`` forces the
        expert choices [B, T, K] of each mixture-of-experts layer; their weights are still computed.
        ``ties`` between exactly equal indexer scores: "recent" is what ``decode`` does and does not depend on padding;
        "reference" is ``torch.topk`` over the T columns, as transformers has it. ``selector`` "window" or "random"
        (with ``seed``) selects as many positions without the indexer, as a control. ``measure`` asks for
        ``selected_mass``.
        Raises ValueError for sequences beyond ``max_position_embeddings``.
        """
        batch, time = tokens_BT.shape
        options = DsaOptions(
            scale=softmax_scale(self.config),
            topk=self.config.index_topk,
            sparse=sparse,
            indexer_loss=indexer_loss,
            recent_ties=ties == "recent",
            selector=selector,
            seed=seed,
            measure=measure,
        )
        forced = None if routing is None else [choice.reshape(batch * time, -1) for choice in routing]
        weights_N = _row_weights(tokens_BT, lengths_B).flatten()
        forest = Forest.separate([time] * batch)
        found = self.forward_forest(tokens_BT.flatten(), forest, weights_N, options, routing=forced)
        hidden_BTD = found.hidden_ND.view(batch, time, -1)
        return ModelOutput(
            logits_BTV=self.lm_head(hidden_BTD) if return_logits else None,
            hidden_BTD=hidden_BTD,
            indexer_kl=found.indexer_kl if indexer_loss != "none" else None,
            routing=tuple(choice.view(batch, time, -1) for choice in found.routing) if return_routing else None,
            selected_mass=found.selected_mass,
        )

    def forward_forest(
        self,
        tokens_N: Tensor,
        forest: Forest,
        row_weight_N: Tensor,
        options: DsaOptions,
        *,
        routing: Sequence[Tensor] | None = None,
        recompute: bool = False,
    ) -> ForestOutput:
        """The nodes of a forest of sequences, each computed once.

        ``row_weight_N`` is what each node counts in the indexer's loss (summed over nodes, averaged over layers).
        ``routing`` forces the expert choices [N, K] of each mixture-of-experts layer where they are not -1.
        ``recompute`` keeps only each layer's input for the backward pass and computes the rest again there.
        Raises ValueError for sequences beyond ``max_position_embeddings``.
        """
        self._check_call(forest.deepest, routing)
        if options.selector != "indexer" and options.indexer_loss != "none":
            raise ValueError(
                f"the {options.selector} selector leaves the indexer nothing to learn: set no indexer_loss"
            )
        depth_N = forest.depth_N.to(tokens_N.device)
        cos, sin = (table[depth_N] for table in self._angles(forest.deepest))
        weight_N = row_weight_N / self.config.num_hidden_layers
        x = self.model.embed_tokens(tokens_N)
        losses, masses, choices = list[Tensor](), list[Tensor](), list[Tensor]()
        for number, layer in enumerate(self._layers()):
            forced = routing[len(choices)] if routing is not None and not self.config.is_dense(number) else None
            how = replace(options, seed=options.seed + number)
            given = (x, cos, sin, weight_N, forest, how, forced)
            if recompute and torch.is_grad_enabled():
                x, loss, mass, choice = checkpoint(layer, *given, use_reentrant=False, preserve_rng_state=False)
            else:
                x, loss, mass, choice = layer(*given)
            losses.append(loss)
            masses.append(mass)
            choices += [] if choice is None else [choice]
        return ForestOutput(
            hidden_ND=self.model.norm(x),
            indexer_kl=torch.stack(losses).sum(),
            routing=tuple(choices),
            selected_mass=tuple(_mean_mass(mass) for mass in masses) if options.measure else None,
        )

    def _layers(self) -> list[CausalLayer]:
        return [layer for layer in self.model.layers if isinstance(layer, CausalLayer)]

    def _check_call(self, length: int, routing: Sequence[Tensor] | None) -> None:
        limit, moe = self.config.max_position_embeddings, len(self.config.moe_layers)
        if length > limit:
            raise ValueError(f"sequence of {length} tokens exceeds max_position_embeddings {limit}; shorten it")
        if routing is not None and len(routing) != moe:
            raise ValueError(f"routing has {len(routing)} layers, the model has {moe} mixture-of-experts layers")


def _row_weights(tokens_BT: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Weights [B, T] that turn a sum over positions into the mean over the real ones."""
    if lengths_B is None:
        real_BT = torch.ones(tokens_BT.shape, device=tokens_BT.device)
    else:
        real_BT = (torch.arange(tokens_BT.shape[1], device=tokens_BT.device) < lengths_B.unsqueeze(-1)).float()
    return real_BT / real_BT.sum().clamp(min=1)


def _mean_mass(mass: Tensor) -> float:
    held, counted = mass.tolist()
    return held / counted if counted else 1.0


def count_parameters(model: nn.Module) -> int:
    """Learned numbers of ``model``, shared ones counted once; works on the meta device."""
    return sum(parameter.numel() for parameter in model.parameters())
