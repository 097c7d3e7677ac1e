"""What the policy's benchmark runs on: one model with random weights, a group, an episode tree.

One shape for all rows: the published one scaled down, with its latent (512 + 64 numbers a token, which vLLM's CPU
kernels want), a first dense layer, and a mixture of 16 experts, 4 and a shared one per token.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from palestra.policy.batches import Sample
from palestra.policy.config import DeepseekV32Config
from palestra.policy.export import export_deepseek_v3
from palestra.policy.learner import Learner, OptimConfig
from palestra.policy.model import DeepseekV32ForCausalLM, count_parameters

SHAPE = DeepseekV32Config(
    vocab_size=16384,
    hidden_size=512,
    intermediate_size=2048,
    moe_intermediate_size=512,
    num_hidden_layers=4,
    num_attention_heads=8,
    n_routed_experts=16,
    num_experts_per_tok=4,
    n_group=1,
    topk_group=1,
    first_k_dense_replace=1,
    q_lora_rank=256,
    kv_lora_rank=512,
    qk_nope_head_dim=64,
    qk_rope_head_dim=64,
    v_head_dim=64,
    index_n_heads=4,
    index_head_dim=64,
    index_topk=4096,
    max_position_embeddings=33 * 1024,
)


@dataclass(frozen=True)
class World:
    """The checkpoint as `deepseek_v32` and as `deepseek_v3`, and its size."""

    v32: Path
    v3: Path
    parameters: int

    @classmethod
    def make(cls, work: Path) -> World:
        """Write both. The weights are random, and the same every time."""
        torch.manual_seed(0)
        model = DeepseekV32ForCausalLM(SHAPE)
        world = cls(work / "deepseek_v32", work / "deepseek_v3", count_parameters(model))
        model.save_pretrained(world.v32)
        export_deepseek_v3(model, world.v3)
        return world

    def model(self, dtype: str = "float32") -> DeepseekV32ForCausalLM:
        """A fresh copy of the model."""
        return DeepseekV32ForCausalLM.from_pretrained(self.v32, dtype=getattr(torch, dtype))


def ids(rng: random.Random, count: int) -> tuple[int, ...]:
    """Random tokens, without the special ones."""
    return tuple(rng.randrange(2, SHAPE.vocab_size) for _ in range(count))


def group(model: DeepseekV32ForCausalLM, size: int, prompt: int, response: int, seed: int = 0) -> list[Sample]:
    """`size` responses to one prompt, with advantages, and the model's own log-probabilities as the engine's."""
    rng = random.Random(f"group {seed}")
    opening = ids(rng, prompt)
    samples = [_sample(opening, ids(rng, response), rng) for _ in range(size)]
    return told(model, samples)


@dataclass(frozen=True)
class Tree:
    """An episode of `turns` turns on its longest way; every turn samples `sampled` tokens and then reads `rendered`
    ones (tool results). After each turn of `forks`, `extra` further attempts go another way for `length` turns.
    """

    turns: int = 40
    forks: tuple[int, ...] = (10, 20, 30)
    extra: int = 2
    length: int = 3
    opening: int = 256
    sampled: int = 24
    rendered: int = 40

    def samples(self, model: DeepseekV32ForCausalLM) -> list[Sample]:
        """One sample per turn: its whole history as the prompt, what it said as the response."""
        rng = random.Random(repr(self))
        found: list[Sample] = []

        def play(history: tuple[int, ...], turns: int, forks: Sequence[int]) -> None:
            for turn in range(1, turns + 1):
                said = ids(rng, self.sampled)
                found.append(_sample(history, said, rng))
                history += said + ids(rng, self.rendered)
                if turn in forks:
                    for _ in range(self.extra):
                        play(history, self.length, ())

        play(ids(rng, self.opening), self.turns, self.forks)
        return told(model, found)


def _sample(prompt: tuple[int, ...], response: tuple[int, ...], rng: random.Random) -> Sample:
    zeros = (0.0,) * (len(prompt) + len(response))
    mask = (0,) * len(prompt) + (1,) * len(response)
    return Sample(prompt + response, mask, zeros, advantage=rng.uniform(-1.0, 1.0))


def told(model: DeepseekV32ForCausalLM, samples: Sequence[Sample]) -> list[Sample]:
    """The samples with the model's log-probabilities of what was sampled, as if an engine had returned them."""
    found = []
    for sample in Learner(model, OptimConfig(indexer_weight=0.0)).recomputed(samples):
        assert sample.recomputed is not None
        given = iter(sample.recomputed)
        logprobs = tuple(next(given) if sampled else 0.0 for sampled in sample.mask)
        found.append(replace(sample, logprobs=logprobs, recomputed=None))
    return found


def distinct(samples: Sequence[Sample]) -> int:
    """Tokens of the samples with every common prefix counted once."""
    seen: set[int] = set()
    for sample in samples:
        way = 0
        for token in sample.tokens:
            way = hash((way, token))
            seen.add(way)
    return len(seen)


def projection_share() -> float:
    """The output projection's part of a sampled token's products: no sharing of prefixes saves any of it."""
    model = DeepseekV32ForCausalLM(SHAPE, device="meta")
    idle = 1 - SHAPE.num_experts_per_tok / SHAPE.n_routed_experts
    layers = sum(
        parameter.numel() * (1 - idle * (".experts." in name))
        for name, parameter in model.model.layers.named_parameters()
    )
    head = model.lm_head.weight.numel()
    return head / (layers + head)
