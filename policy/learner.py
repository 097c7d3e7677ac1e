"""Takes optimiser steps on a policy: supervised ones on demonstrations, GRPO ones on judged episodes.

The indexer learns from its own loss (the KL to the main attention) with its input detached; the rest learns from the
task's loss.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .batches import Batch, Sample, collate, microbatches
from .grpo import GrpoConfig, grpo_loss
from .model import DeepseekV32ForCausalLM, ModelOutput
from .moe import Router, update_routing_bias


@dataclass(frozen=True)
class OptimConfig:
    """AdamW's settings; `indexer_weight` scales the indexer's KL, `microbatch` is in padded tokens.

    `routing_bias_speed` is how far each supervised step moves the routing biases towards even expert load
    (DeepSeek-V3, section 2.1.2). Reinforcement only watches the load, as sampling and training are to choose
    the same experts.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    indexer_weight: float = 1.0
    microbatch: int = 8192
    routing_bias_speed: float = 1e-3


class Learner:
    """A model and its optimiser. `sparse` tells whether attention is top-k (else dense MLA with the indexer in warm-
    up); `reference` is what GRPO's KL term is measured against.

    A step whose loss or gradient is not finite changes nothing and reports `skipped` 1.
    """

    def __init__(self, model: DeepseekV32ForCausalLM, config: OptimConfig, sparse: bool = True) -> None:
        self.model = model
        self.config = config
        self.sparse = sparse
        self.reference: DeepseekV32ForCausalLM | None = None
        self._routers = [module for module in model.modules() if isinstance(module, Router)]
        decayed = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
        plain = [parameter for parameter in model.parameters() if parameter.ndim < 2]
        groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=True)

    def set_lr(self, lr: float) -> None:
        """Use `lr` from the next step on."""
        for group in self.optimiser.param_groups:
            group["lr"] = lr

    def keep_reference(self) -> None:
        """Make a copy of the model as it is now the reference policy."""
        self.reference = copy.deepcopy(self.model).requires_grad_(False)

    def sft_step(self, samples: Sequence[Sample]) -> dict[str, float]:
        """One step of cross entropy on the tokens the demonstrator said. Returns metrics (loss in nats per token).
        ValueError where no token was said.
        """
        total = sum(sample.sampled for sample in samples)
        if not total:
            raise ValueError(f"{len(samples)} training sequences hold no token to learn: their masks are all 0")

        def loss_of(batch: Batch, logprobs_N: Tensor) -> Tensor:
            return -logprobs_N.sum() / total

        return self._step(samples, loss_of, self.config.routing_bias_speed)

    def grpo_step(self, samples: Sequence[Sample], config: GrpoConfig) -> dict[str, float]:
        """One GRPO step on samples with advantages. Returns metrics. ValueError where `config.kl` lacks a reference."""
        watched: dict[str, float] = {"clipped": 0.0, "masked": 0.0, "kl": 0.0}

        def loss_of(batch: Batch, logprobs_N: Tensor) -> Tensor:
            part = grpo_loss(
                logprobs_N,
                batch.old_logprobs_N,
                batch.rows_N,
                batch.advantages_B,
                config,
                reference_N=self._reference_logprobs(batch) if config.kl else None,
                sequences=len(samples),
            )
            watched["clipped"] += part.clipped
            watched["masked"] += part.masked * len(batch.advantages_B) / len(samples)
            watched["kl"] += part.kl
            return part.loss

        return self._step(samples, loss_of) | watched

    def _step(
        self, samples: Sequence[Sample], loss_of: Callable[[Batch, Tensor], Tensor], bias_speed: float = 0.0
    ) -> dict[str, float]:
        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        loss_sum, index_sum = 0.0, 0.0
        positions = sum(len(sample.tokens) for sample in samples)
        loads_LE = [torch.zeros_like(router.e_score_correction_bias) for router in self._routers]
        for part in microbatches(samples, self.config.microbatch):
            batch = collate(part, self.model.config.vocab_size)
            # The indexer's loss is a mean over positions, so that is how its parts weigh.
            share = int(batch.lengths_B.sum()) / positions
            output = self._forward(batch)
            logprobs_N, indexer_kl = _logprobs(self.model, batch, output), output.indexer_kl
            assert indexer_kl is not None
            _count_load(loads_LE, batch, output)
            loss = loss_of(batch, logprobs_N)
            torch.autograd.backward(loss + self.config.indexer_weight * share * indexer_kl)
            loss_sum += float(loss.detach())
            index_sum += share * float(indexer_kl.detach())
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm))
        finite = math.isfinite(norm) and math.isfinite(loss_sum)
        if finite:
            self.optimiser.step()
            for router, load_E in zip(self._routers, loads_LE, strict=True):
                update_routing_bias(router, load_E, bias_speed)
        metrics = {"loss": loss_sum, "indexer_kl": index_sum, "grad_norm": norm, "skipped": float(not finite)}
        return metrics | _imbalance(loads_LE)

    def _forward(self, batch: Batch) -> ModelOutput:
        output: ModelOutput = self.model(
            batch.tokens_BT,
            lengths_B=batch.lengths_B,
            sparse=self.sparse,
            indexer_loss="sparse" if self.sparse else "dense",
            return_logits=False,
            return_routing=True,
        )
        return output

    @torch.no_grad()
    def _reference_logprobs(self, batch: Batch) -> Tensor | None:
        if self.reference is None:
            return None
        output = self.reference(batch.tokens_BT, lengths_B=batch.lengths_B, sparse=self.sparse, return_logits=False)
        return _logprobs(self.reference, batch, output)


def _logprobs(model: DeepseekV32ForCausalLM, batch: Batch, output: ModelOutput) -> Tensor:
    """Log-probabilities of the sampled tokens [N] under the distribution they were sampled from: tempered, and among
    the tokens that sampling had kept.
    """
    hidden_ND = output.hidden_BTD[batch.rows_N, batch.places_N]
    logits_NV = model.lm_head(hidden_ND).float() / batch.temperatures_B[batch.rows_N, None]
    if batch.cut_NV is not None:
        logits_NV = logits_NV.masked_fill(batch.cut_NV, float("-inf"))
    logprobs_NV: Tensor = logits_NV.log_softmax(dim=-1)
    return logprobs_NV.gather(1, batch.targets_N[:, None])[:, 0]


def _count_load(loads_LE: list[Tensor], batch: Batch, output: ModelOutput) -> None:
    """Add how many real tokens each expert of each mixture-of-experts layer got."""
    real_BT = torch.arange(batch.tokens_BT.shape[1]) < batch.lengths_B[:, None]
    for load_E, choice_BTK in zip(loads_LE, output.routing or (), strict=True):
        load_E += torch.bincount(choice_BTK[real_BT].flatten(), minlength=len(load_E))


def _imbalance(loads_LE: list[Tensor]) -> dict[str, float]:
    """`expert_load`: the busiest expert's load over the mean load, 1 where even; mean over layers (none: no metric)."""
    if not loads_LE:
        return {}
    return {"expert_load": sum(float(load_E.max() / load_E.mean()) for load_E in loads_LE) / len(loads_LE)}
