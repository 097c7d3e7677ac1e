"""DeepSeek-V3.2 as a language model: whole sequences for training, cached steps for sampling.

Letters: B batch, T time, N new tokens, V vocabulary, D hidden, K experts per token, L layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor, nn

from ..kernels.dsa import TIE_STEP, DsaOptions, IndexerLoss
from .attention import CacheWindow, LatentAttention, LatentCache, RMSNorm
from .checkpoint import CONFIG_NAME, load_weights, save_weights
from .config import DeepseekV32Config
from .errors import CheckpointError
from .moe import MixtureOfExperts, SwiGLU, update_routing_bias
from .rope import rotation_table, softmax_scale

__all__ = [
    "CausalLayer",
    "DeepseekV32ForCausalLM",
    "LatentCache",
    "ModelOutput",
    "count_parameters",
    "update_routing_bias",
]
Ties = Literal["reference", "recent"]
# Cache windows grow in steps of this many positions, so that shapes repeat from one token to the next.
_WINDOW_STEP = 16


@dataclass(frozen=True)
class ModelOutput:
    """What ``forward`` gives: ``logits_BTV`` and ``indexer_kl`` where asked for, ``hidden_BTD`` after the last norm,
    and ``routing``: the expert choices [B, T, K] of each mixture-of-experts layer, where asked for."""

    logits_BTV: Tensor | None
    hidden_BTD: Tensor
    indexer_kl: Tensor | None
    routing: tuple[Tensor, ...] | None = None


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
        model.to_empty(device="cpu")
        if config.tie_word_embeddings:
            model.lm_head.weight = model.model.embed_tokens.weight
        load_weights(model, config, folder)
        return model

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors`` as transformers would. Raises CheckpointError."""
        save_weights(self, self.config, folder)

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
        ties: Ties | None = None,
    ) -> ModelOutput:
        """Whole right-padded sequences; ``lengths_B`` says how many tokens of each are real (for the indexer's loss).

        ``sparse=False`` ignores the indexer (plain MLA). ``indexer_loss``: the mean over real positions and layers of
        KL(main attention summed over heads || softmax of the indexer's scores), over all earlier positions
        ("dense") or the selected ones ("sparse"); it reaches the indexer's weights only. ``routing`` forces the
        expert choices [B, T, K] of each mixture-of-experts layer; their weights are still computed.
        ``ties`` between exactly equal indexer scores: "recent" is what ``extend`` does and does not depend on padding;
        "reference" is ``torch.topk`` over the T columns, as transformers has it. Default: "reference" when
        ``lengths_B`` is None, else "recent". Raises ValueError for sequences beyond ``max_position_embeddings``.
        """
        time = tokens_BT.shape[1]
        self._check_call(time, routing)
        cos, sin = (table[:time] for table in self._angles(time))
        options = DsaOptions(
            scale=softmax_scale(self.config),
            topk=self.config.index_topk,
            sparse=sparse,
            indexer_loss=indexer_loss,
            recent_ties=(ties or ("reference" if lengths_B is None else "recent")) == "recent",
        )
        row_weight_BT = _row_weights(tokens_BT, lengths_B) / self.config.num_hidden_layers
        x = self.model.embed_tokens(tokens_BT)
        indexer_kl = torch.zeros((), device=x.device)
        choices: list[Tensor] = []
        for number, layer in enumerate(self._layers()):
            normed = layer.input_layernorm(x)
            attended, loss = layer.self_attn(normed, cos, sin, row_weight_BT, options)
            indexer_kl = indexer_kl + loss
            forced = routing[len(choices)] if routing is not None and not self.config.is_dense(number) else None
            x, choice = layer.feed_forward(x + attended, forced)
            choices += [] if choice is None else [choice]
        hidden = self.model.norm(x)
        return ModelOutput(
            logits_BTV=self.lm_head(hidden) if return_logits else None,
            hidden_BTD=hidden,
            indexer_kl=indexer_kl if indexer_loss != "none" else None,
            routing=tuple(choices) if return_routing else None,
        )

    def _layers(self) -> list[CausalLayer]:
        return [layer for layer in self.model.layers if isinstance(layer, CausalLayer)]

    def _check_call(self, length: int, routing: Sequence[Tensor] | None) -> None:
        limit, moe = self.config.max_position_embeddings, len(self.config.moe_layers)
        if length > limit:
            raise ValueError(f"sequence of {length} tokens exceeds max_position_embeddings {limit}; shorten it")
        if routing is not None and len(routing) != moe:
            raise ValueError(f"routing has {len(routing)} layers, the model has {moe} mixture-of-experts layers")

    @torch.no_grad()
    def extend(
        self,
        tokens_BN: Tensor,
        cache: LatentCache,
        slots_B: Tensor,
        starts_B: Tensor,
        lengths_B: Tensor | None = None,
        *,
        sparse: bool = True,
        last_only: bool = True,
        routing_out: list[Tensor] | None = None,
    ) -> Tensor:
        """Append ``lengths_B[b] <= N`` tokens (default N) at position ``starts_B[b]`` of slot ``slots_B[b]``.

        The slots of one call differ. Returns logits [B, V] after each row's last valid token, or [B, N, V] with
        ``last_only=False`` (beyond a row's length they are meaningless). ``routing_out`` collects the expert choices
        [B, N, K] of each mixture-of-experts layer.
        Raises ValueError if a row would outgrow its slot.
        """
        window = _window(cache, tokens_BN.shape[1], slots_B, starts_B, lengths_B)
        cos_table, sin_table = self._angles(cache.max_len)
        cos, sin = cos_table[window.positions_BN], sin_table[window.positions_BN]
        x = self.model.embed_tokens(tokens_BN)
        for layer, latents, index_keys in zip(self._layers(), cache.latent, cache.index_keys, strict=True):
            normed = layer.input_layernorm(x)
            x = x + layer.self_attn.extend(normed, cos, sin, latents, index_keys, window, sparse=sparse)
            x, choice = layer.feed_forward(x)
            if routing_out is not None and choice is not None:
                routing_out.append(choice)
        if last_only:
            x = (
                x[:, -1]
                if lengths_B is None
                else x[torch.arange(len(x), device=x.device), (lengths_B - 1).clamp(min=0)]
            )
        logits: Tensor = self.lm_head(self.model.norm(x))
        return logits


def _window(cache: LatentCache, new: int, slots_B: Tensor, starts_B: Tensor, lengths_B: Tensor | None) -> CacheWindow:
    """Check and lay out one ``extend``."""
    slots, starts = slots_B.tolist(), starts_B.tolist()
    lengths = [new] * len(slots) if lengths_B is None else lengths_B.tolist()
    end = max(start + length for start, length in zip(starts, lengths, strict=True))
    if end > cache.max_len or min(starts) < 0 or max(lengths) > new:
        raise ValueError(
            f"rows would reach position {end} with up to {max(lengths)} of {new} tokens; slots hold {cache.max_len}"
        )
    consecutive = slots == list(range(slots[0], slots[0] + len(slots)))
    base_B = slots_B * cache.max_len
    positions_BN = (starts_B.unsqueeze(-1) + torch.arange(new, device=starts_B.device)).clamp_(max=cache.max_len - 1)
    write_M = (base_B.unsqueeze(-1) + positions_BN).flatten()
    kept_M = None
    if min(lengths) < new and lengths_B is not None:
        kept_M = (torch.arange(new, device=starts_B.device) < lengths_B.unsqueeze(-1)).flatten().nonzero().squeeze(-1)
        write_M = write_M[kept_M]
    span = min(-(-end // _WINDOW_STEP) * _WINDOW_STEP, cache.max_len)
    columns = torch.arange(span, device=starts_B.device)
    visible_BNS = columns <= positions_BN.unsqueeze(-1)
    handicap_BNS = ((columns + 1) * TIE_STEP).masked_fill(~visible_BNS, float("-inf"))
    return CacheWindow(
        rows=slice(slots[0], slots[0] + len(slots)) if consecutive else slots_B,
        base_B=base_B,
        positions_BN=positions_BN,
        span=span,
        write_M=write_M,
        kept_M=kept_M,
        visible_BNS=visible_BNS,
        handicap_BNS=handicap_BNS,
    )


def _row_weights(tokens_BT: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Weights [B, T] that turn a sum over positions into the mean over the real ones."""
    if lengths_B is None:
        real_BT = torch.ones(tokens_BT.shape, device=tokens_BT.device)
    else:
        real_BT = (torch.arange(tokens_BT.shape[1], device=tokens_BT.device) < lengths_B.unsqueeze(-1)).float()
    return real_BT / real_BT.sum().clamp(min=1)


def count_parameters(model: nn.Module) -> int:
    """Learned numbers of ``model``, shared ones counted once; works on the meta device."""
    return sum(parameter.numel() for parameter in model.parameters())
