"""Multi-head latent attention with the lightning indexer of DeepSeek Sparse Attention (DSA).

Letters: B batch, T time, N new tokens, S cached positions, H heads, J index heads, C kv latent, R rotary dims,
W = C + R (the cached latent), Q q latent, D hidden, K = index_topk.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..kernels.dsa import DsaOptions, IndexTensors, dsa_attention
from ..kernels.forest import Forest
from .config import DeepseekV32Config
from .rope import rotate_half_split, rotate_interleaved

LATENT_NORM_EPS = 1e-6


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

    def _weights(self, x: Tensor) -> Tensor:
        """``w`` of the score with both scales folded in, [..., J]."""
        weights: Tensor = self.weights_proj(x.to(self.weights_proj.weight.dtype))
        scale: float = self.heads**-0.5 * self.head_dim**-0.5
        return weights * scale

    def head_weights(self, x: Tensor) -> Tensor:
        """``w`` of the score with both scales folded in, float32 [..., J]."""
        return self._weights(x).float()

    def forward(self, x: Tensor, q_latent: Tensor, cos: Tensor, sin: Tensor) -> IndexTensors:
        """Everything a score is made of, for all nodes x [N, D]."""
        return IndexTensors(self.queries(q_latent, cos, sin), self.keys(x, cos, sin), self._weights(x))


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

    def forward(
        self, x_ND: Tensor, cos: Tensor, sin: Tensor, row_weight_N: Tensor, forest: Forest, options: DsaOptions
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attention among the nodes of a forest [N, D], the indexer's loss [] (zero where none is asked for), and the
        selected attention mass (see ``kernels.dsa.Attended``).

        Keys and values are unfolded: for as many queries as keys, absorbing their projections into queries and outputs
        takes as many multiplications, and makes each score longer."""
        config = self.config
        q_latent, q_nope, q_rotary = self._queries(x_ND, cos, sin)
        latent, rotary = torch.split(self._latent(x_ND, cos, sin), [config.kv_lora_rank, cos.shape[-1] * 2], dim=-1)
        unfolded = self.kv_b_proj(latent).unflatten(-1, (config.num_attention_heads, -1))
        k_nope, values = torch.split(unfolded, [config.qk_nope_head_dim, config.v_head_dim], dim=-1)
        shared = rotary.unsqueeze(1).expand(-1, config.num_attention_heads, -1)
        index = None
        if options.scores(forest.deepest):
            with torch.set_grad_enabled(torch.is_grad_enabled() and options.indexer_loss != "none"):
                index = self.indexer(x_ND.detach(), q_latent.detach(), cos, sin)
        query, key = torch.cat((q_nope, q_rotary), dim=-1), torch.cat((k_nope, shared), dim=-1)
        attended = dsa_attention(query, key, values, index, row_weight_N, forest, options)
        return self.o_proj(attended.out_NHv.flatten(1)), attended.loss, attended.mass
