"""Multi-head latent attention with the lightning indexer of DeepSeek Sparse Attention (DSA).

Letters: B batch, T time, N new tokens, S cached positions, H heads, J index heads, C kv latent, R rotary dims,
W = C + R (the cached latent), Q q latent, D hidden, K = index_topk.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..kernels.dsa import DsaOptions, IndexTensors, dsa_attention, select
from .config import DeepseekV32Config
from .rope import rotate_half_split, rotate_interleaved, softmax_scale

LATENT_NORM_EPS = 1e-6


class LatentCache:
    """What decoding remembers, allocated once for ``slots`` sequences of up to ``max_len`` tokens.

    ``latent`` [L, slots, max_len, W] and ``index_keys`` [L, slots, max_len, index_head_dim], L layers.
    """

    def __init__(
        self,
        config: DeepseekV32Config,
        slots: int,
        max_len: int,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        if slots < 1 or not 1 <= max_len <= config.max_position_embeddings:
            raise ValueError(
                f"cache of {slots} slots x {max_len} tokens: slots must be at least 1 and tokens between 1 and "
                f"max_position_embeddings {config.max_position_embeddings}"
            )
        shape = (config.num_hidden_layers, slots, max_len)
        self.slots, self.max_len = slots, max_len
        self.latent = torch.zeros(*shape, config.latent_dim, dtype=dtype, device=device)
        self.index_keys = torch.zeros(*shape, config.index_head_dim, dtype=dtype, device=device)


@dataclass(frozen=True)
class CacheWindow:
    """Where one call to ``extend`` reads and writes: the first S positions of each row's slot.

    ``rows`` are the slots, a slice where they follow one another (then reading copies nothing); ``write_M`` are the
    flat cache rows of the valid new tokens and ``kept_M`` their places among the B * N given ones (None: all valid).
    ``visible_BNS`` says where a new token may look; ``handicap_BNS`` adds that, and the order of ties, to scores.
    """

    rows: slice | Tensor
    base_B: Tensor
    positions_BN: Tensor
    span: int
    write_M: Tensor
    kept_M: Tensor | None
    visible_BNS: Tensor
    handicap_BNS: Tensor

    def write(self, store: Tensor, new_BNW: Tensor) -> None:
        """Store the valid new vectors in one layer's ``store`` [slots, max_len, W]."""
        flat = new_BNW.flatten(0, 1)
        store.view(-1, store.shape[-1]).index_copy_(0, self.write_M, flat if self.kept_M is None else flat[self.kept_M])

    def read(self, store: Tensor) -> Tensor:
        """The window of one layer's ``store``: [B, S, W]."""
        return store[self.rows, : self.span]


class RMSNorm(nn.Module):
    """Root-mean-square norm, computed in float32 whatever the dtype, as the published model does."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32:
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        return self.weight * F.rms_norm(x.float(), self.weight.shape, None, self.eps).to(x.dtype)


class Indexer(nn.Module):
    """Scores every earlier token for every query: ``I[t,s] = sum_j w[t,j] relu(q[t,j] . k[s])`` (V3.2, equation 1)."""

    def __init__(self, config: DeepseekV32Config) -> None:
        super().__init__()
        self.heads, self.head_dim = config.index_n_heads, config.index_head_dim
        self.rotary_dim = config.qk_rope_head_dim
        self.wq_b = nn.Linear(config.q_latent_dim, self.heads * self.head_dim, bias=False)
        self.wk = nn.Linear(config.hidden_size, self.head_dim, bias=False)
        self.k_norm = nn.LayerNorm(self.head_dim, eps=LATENT_NORM_EPS)
        self.weights_proj = nn.Linear(config.hidden_size, self.heads, bias=False)

    def keys(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """One key per token, shared by all index heads: [..., head_dim] from x [..., D], cos/sin [..., R/2]."""
        normed: Tensor = self.k_norm(self.wk(x))
        return rotate_half_split(normed, cos, sin, self.rotary_dim)

    def queries(self, q_latent: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[..., J, head_dim] from the q latent [..., Q]."""
        q = self.wq_b(q_latent).unflatten(-1, (self.heads, self.head_dim))
        return rotate_half_split(q, cos.unsqueeze(-2), sin.unsqueeze(-2), self.rotary_dim)

    def head_weights(self, x: Tensor) -> Tensor:
        """``w`` of the score with both scales folded in, float32 [..., J]."""
        weights: Tensor = self.weights_proj(x.to(self.weights_proj.weight.dtype))
        scale: float = self.heads**-0.5 * self.head_dim**-0.5
        return weights.float() * scale

    def forward(self, x: Tensor, q_latent: Tensor, cos: Tensor, sin: Tensor) -> IndexTensors:
        """Everything a score is made of, for whole sequences."""
        return IndexTensors(self.queries(q_latent, cos, sin), self.keys(x, cos, sin), self.head_weights(x))


def index_scores(q_BNJd: Tensor, k_BSd: Tensor, w_BNJ: Tensor) -> Tensor:
    """Indexer scores [B, N, S] in float32. No gradient is kept: ``dsa`` has the one for training."""
    batch, new, heads, _ = q_BNJd.shape
    rows = q_BNJd.float().transpose(1, 2).reshape(batch, heads * new, -1)
    relu = torch.bmm(rows, k_BSd.float().transpose(1, 2)).clamp_(min=0).view(batch, heads, new, -1)
    if new == 1:
        return torch.bmm(w_BNJ, relu[:, :, 0])
    total = relu[:, 0] * w_BNJ[:, :, 0, None]
    for head in range(1, heads):
        total.addcmul_(relu[:, head], w_BNJ[:, :, head, None])
    return total


def best_positions(scores_BS: Tensor, handicap_BS: Tensor, topk: int) -> tuple[Tensor, Tensor]:
    """The indexer's choice for one query per row: positions [B, K], and which are visible at all, bool [B, K]."""
    best = (scores_BS + handicap_BS).topk(topk, dim=-1, sorted=False)
    return best.indices, best.values > -math.inf


class LatentAttention(nn.Module):
    """MLA: all heads' keys and values are unfolded from one latent per token; the indexer picks which to see."""

    def __init__(self, config: DeepseekV32Config) -> None:
        super().__init__()
        self.config = config
        hidden, heads, bias = config.hidden_size, config.num_attention_heads, config.attention_bias
        query_dim = heads * config.qk_head_dim
        if config.q_lora_rank is None:
            self.q_proj = nn.Linear(hidden, query_dim, bias=False)
        else:
            self.q_a_proj = nn.Linear(hidden, config.q_lora_rank, bias=bias)
            self.q_a_layernorm = RMSNorm(config.q_lora_rank, LATENT_NORM_EPS)
            self.q_b_proj = nn.Linear(config.q_lora_rank, query_dim, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(hidden, config.latent_dim, bias=bias)
        self.kv_a_layernorm = RMSNorm(config.kv_lora_rank, LATENT_NORM_EPS)
        unfolded = heads * (config.qk_nope_head_dim + config.v_head_dim)
        self.kv_b_proj = nn.Linear(config.kv_lora_rank, unfolded, bias=False)
        self.o_proj = nn.Linear(heads * config.v_head_dim, hidden, bias=bias)
        self.indexer = Indexer(config)
        self.scale = softmax_scale(config)

    def _queries(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(q latent [..., Q], nope part [..., H, nope], rotated part [..., H, R])."""
        config = self.config
        if config.q_lora_rank is None:
            latent, flat = x, self.q_proj(x)
        else:
            latent = self.q_a_layernorm(self.q_a_proj(x))
            flat = self.q_b_proj(latent)
        heads = flat.unflatten(-1, (config.num_attention_heads, config.qk_head_dim))
        nope, rotary = torch.split(heads, [config.qk_nope_head_dim, config.qk_rope_head_dim], dim=-1)
        return latent, nope, rotate_interleaved(rotary, cos.unsqueeze(-2), sin.unsqueeze(-2))

    def _latent(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """What is cached per token: normed kv latent, then the rotated shared key. [..., W]."""
        joint: Tensor = self.kv_a_proj_with_mqa(x)
        latent, rotary = torch.split(joint, [self.config.kv_lora_rank, self.config.qk_rope_head_dim], dim=-1)
        return torch.cat((self.kv_a_layernorm(latent), rotate_interleaved(rotary, cos, sin)), dim=-1)

    def _unfold(self, latent_BSW: Tensor) -> tuple[Tensor, Tensor]:
        """Keys [B, H, S, nope + R] and values [B, H, S, v] of all heads."""
        config = self.config
        latent, rotary = torch.split(latent_BSW, [config.kv_lora_rank, config.qk_rope_head_dim], dim=-1)
        heads = self.kv_b_proj(latent).unflatten(-1, (config.num_attention_heads, -1)).transpose(1, 2)
        nope, values = torch.split(heads, [config.qk_nope_head_dim, config.v_head_dim], dim=-1)
        shared = rotary.unsqueeze(1).expand(-1, config.num_attention_heads, -1, -1)
        return torch.cat((nope, shared), dim=-1), values

    def forward(
        self, x_BTD: Tensor, cos: Tensor, sin: Tensor, row_weight_BT: Tensor, options: DsaOptions
    ) -> tuple[Tensor, Tensor]:
        """Attention of whole sequences [B, T, D], and the indexer's loss [] (zero where none is asked for)."""
        config = self.config
        q_latent, q_nope, q_rotary = self._queries(x_BTD, cos, sin)
        cached = self._latent(x_BTD, cos, sin)
        latent, rotary = torch.split(cached, [config.kv_lora_rank, config.qk_rope_head_dim], dim=-1)
        unfolded = self.kv_b_proj(latent).unflatten(-1, (config.num_attention_heads, -1))
        k_nope, values = torch.split(unfolded, [config.qk_nope_head_dim, config.v_head_dim], dim=-1)
        shared = rotary.unsqueeze(2).expand(-1, -1, config.num_attention_heads, -1)
        index = None
        if options.indexer_loss != "none" or options.selects(x_BTD.shape[1]):
            with torch.set_grad_enabled(torch.is_grad_enabled() and options.indexer_loss != "none"):
                index = self.indexer(x_BTD.detach(), q_latent.detach(), cos, sin)
        query, key = torch.cat((q_nope, q_rotary), dim=-1), torch.cat((k_nope, shared), dim=-1)
        mixed, loss = dsa_attention(query, key, values, index, row_weight_BT, options)
        return self.o_proj(mixed.flatten(2)), loss

    def extend(
        self,
        x_BND: Tensor,
        cos: Tensor,
        sin: Tensor,
        latents: Tensor,
        index_keys: Tensor,
        window: CacheWindow,
        *,
        sparse: bool,
    ) -> Tensor:
        """Write the new tokens into this layer's cache and attend to all that is visible: [B, N, D]. No gradient."""
        batch, new = x_BND.shape[:2]
        q_latent, q_nope, q_rotary = self._queries(x_BND, cos, sin)
        window.write(latents, self._latent(x_BND, cos, sin))
        window.write(index_keys, self.indexer.keys(x_BND, cos, sin))
        visible_BNS = window.visible_BNS
        if sparse and window.span > self.config.index_topk:
            index = self.indexer
            scores = index_scores(index.queries(q_latent, cos, sin), window.read(index_keys), index.head_weights(x_BND))
            if new == 1:
                chosen_BK, open_BK = best_positions(scores[:, 0], window.handicap_BNS[:, 0], self.config.index_topk)
                flat = (window.base_B.unsqueeze(-1) + chosen_BK).flatten()
                picked = latents.view(-1, latents.shape[-1]).index_select(0, flat).view(batch, chosen_BK.shape[1], -1)
                return self._absorbed(q_nope, q_rotary, picked, open_BK.unsqueeze(1))
            visible_BNS = select(scores, visible_BNS, self.config.index_topk, recent_ties=True)
        cached = window.read(latents)
        if new == 1 or self._absorbing_is_cheaper(new, window.span):
            return self._absorbed(q_nope, q_rotary, cached, visible_BNS)
        key, value = self._unfold(cached)
        query = torch.cat((q_nope, q_rotary), dim=-1).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=visible_BNS.unsqueeze(1), scale=self.scale)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return out

    def _absorbing_is_cheaper(self, new: int, span: int) -> bool:
        """Multiplications per head and cached position: attend to latents, or unfold them once and attend to heads."""
        config = self.config
        absorbed = new * (config.latent_dim + config.kv_lora_rank)
        unfolded = (new + config.kv_lora_rank) * (config.qk_nope_head_dim + config.v_head_dim)
        return absorbed < unfolded + new * config.qk_rope_head_dim

    def _absorbed(self, q_nope: Tensor, q_rotary: Tensor, latents_BSW: Tensor, open_BNS: Tensor) -> Tensor:
        """Attention among latents (MQA form): the unfolding of keys moves into the query, of values to the output."""
        config = self.config
        batch, new, heads, _ = q_nope.shape
        weight = self.kv_b_proj.weight.view(heads, -1, config.kv_lora_rank)
        unfold_key, unfold_value = torch.split(weight, [config.qk_nope_head_dim, config.v_head_dim], dim=1)
        rows = q_nope.reshape(batch * new, heads, -1).transpose(0, 1)
        folded = torch.bmm(rows, unfold_key).transpose(0, 1).reshape(batch, new * heads, -1)
        query = torch.cat((folded, q_rotary.reshape(batch, new * heads, -1)), dim=-1)
        logits = torch.bmm(query, latents_BSW.transpose(1, 2)).mul_(self.scale).view(batch, new, heads, -1)
        probs = logits.masked_fill_(~open_BNS.unsqueeze(2), -math.inf).softmax(dim=-1).flatten(1, 2)
        mixed = torch.bmm(probs, latents_BSW[..., : config.kv_lora_rank]).view(batch * new, heads, -1)
        values = torch.bmm(mixed.transpose(0, 1), unfold_value.transpose(1, 2)).transpose(0, 1)
        out: Tensor = self.o_proj(values.reshape(batch, new, -1))
        return out
