"""Takes optimiser steps on a policy: supervised ones on demonstrations, GRPO ones on judged episodes.

The indexer learns from its own loss (the KL to the main attention) with its input detached; the rest learns from the
task's loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .batches import Batch, Sample, collate, microbatches
from .grpo import GrpoConfig, grpo_loss
from .model import DeepseekV32ForCausalLM


@dataclass(frozen=True)
class OptimConfig:
    """AdamW's settings; `indexer_weight` scales the indexer's KL, `microbatch` is in padded tokens."""

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    indexer_weight: float = 1.0
    microbatch: int = 8192
    routing_bias_speed: float = 1e-3


class Learner:
    """A model and its optimiser. `sparse` tells whether attention is top-k (else dense MLA with the indexer in warm-
    up).
    """

    def __init__(self, model: DeepseekV32ForCausalLM, config: OptimConfig, sparse: bool = True) -> None:
        self.model = model
        self.config = config
        self.sparse = sparse
        decayed = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
        plain = [parameter for parameter in model.parameters() if parameter.ndim < 2]
        groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=True)

    def set_lr(self, lr: float) -> None:
        """Use `lr` from the next step on."""
        for group in self.optimiser.param_groups:
            group["lr"] = lr

    def sft_step(self, samples: Sequence[Sample]) -> dict[str, float]:
        """One step of cross entropy on the tokens the demonstrator said. Returns metrics (loss in nats per token)."""
        total = sum(sum(sample.mask) for sample in samples)

        def loss_of(batch: Batch, logprobs_N: Tensor) -> Tensor:
            return -logprobs_N.sum() / total

        return self._step(samples, loss_of)

    def grpo_step(self, samples: Sequence[Sample], config: GrpoConfig) -> dict[str, float]:
        """One GRPO step on samples with advantages. Returns metrics."""
        watched: dict[str, float] = {"clipped": 0.0, "masked": 0.0, "kl": 0.0}

        def loss_of(batch: Batch, logprobs_N: Tensor) -> Tensor:
            part = grpo_loss(
                logprobs_N, batch.old_logprobs_N, batch.rows_N, batch.advantages_B, config, sequences=len(samples)
            )
            watched["clipped"] += part.clipped
            watched["masked"] += part.masked * len(batch.advantages_B) / len(samples)
            watched["kl"] += part.kl
            return part.loss

        return self._step(samples, loss_of) | watched

    def _step(self, samples: Sequence[Sample], loss_of: Callable[[Batch, Tensor], Tensor]) -> dict[str, float]:
        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        loss_sum, index_sum = 0.0, 0.0
        for part in microbatches(samples, self.config.microbatch):
            batch = collate(part, self.model.config.vocab_size)
            share = len(part) / len(samples)
            logprobs_N, indexer_kl = self._forward(batch)
            loss = loss_of(batch, logprobs_N)
            torch.autograd.backward(loss + self.config.indexer_weight * share * indexer_kl)
            loss_sum += float(loss.detach())
            index_sum += share * float(indexer_kl.detach())
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm))
        if math.isfinite(norm) and math.isfinite(loss_sum):
            self.optimiser.step()
        return {"loss": loss_sum, "indexer_kl": index_sum, "grad_norm": norm}

    def _forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the sampled tokens [N] under the distribution they were sampled from, and the
        indexer's loss.
        """
        mode = "sparse" if self.sparse else "dense"
        output = self.model(
            batch.tokens_BT, lengths_B=batch.lengths_B, sparse=self.sparse, indexer_loss=mode, return_logits=False
        )
        hidden_ND = output.hidden_BTD[batch.rows_N, batch.places_N]
        logits_NV = self.model.lm_head(hidden_ND).float()
        if batch.cut_NV is not None:
            logits_NV = logits_NV.masked_fill(batch.cut_NV, float("-inf"))
        logprobs_N = logits_NV.log_softmax(dim=-1).gather(1, batch.targets_N[:, None])[:, 0]
        return logprobs_N, output.indexer_kl
