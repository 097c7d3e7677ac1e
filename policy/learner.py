"""Takes optimiser steps on a policy: supervised ones on demonstrations, GRPO ones on judged episodes.

What the samples of a step share is computed once, forward and backward (see `batches`). The indexer learns from its own
loss (the KL to the main attention) with its input detached; the rest learns from the task's loss.

Several processes that hold the same model can take a step together (see `ranks`): each computes some of its
microbatches, all weighed by the totals of the whole step, and then all make the same update.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from ..kernels.dsa import DsaOptions, Selector
from .batches import Batch, Sample, collate, microbatches
from .grpo import GrpoConfig, combine, grpo_loss
from .loss import token_logprobs
from .model import DeepseekV32ForCausalLM, ForestOutput
from .moe import Router, update_routing_bias
from .ranks import ALONE, Ranks
from .rope import softmax_scale


@dataclass(frozen=True)
class OptimConfig:
    """AdamW's settings; `indexer_weight` scales the indexer's KL (0: it is not even computed), `microbatch` counts
    distinct positions.

    `routing_bias_speed` is how far each supervised step moves the routing biases towards even expert load
    (DeepSeek-V3, section 2.1.2). Reinforcement only watches the load, as sampling and training are to choose
    the same experts. `recompute` keeps only each layer's input between the forward and the backward pass.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    indexer_weight: float = 1.0
    microbatch: int = 8192
    routing_bias_speed: float = 1e-3
    recompute: bool = False


class TakesSteps(Protocol):
    """What learns: a `Learner`, or several processes that act like one (`distributed.LearnerGroup`)."""

    config: OptimConfig
    sparse: bool
    seed: int
    version: int | None

    @property
    def model(self) -> DeepseekV32ForCausalLM:
        """The policy as it is now; which of its weights require a gradient holds for later steps."""
        ...

    @property
    def reference(self) -> DeepseekV32ForCausalLM | None:
        """What the KL term is measured against."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """See `Learner`, as for the rest."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...

    def set_lr(self, lr: float) -> None: ...

    def keep_reference(self) -> None: ...

    def sft_step(self, samples: Sequence[Sample]) -> dict[str, float]: ...

    def grpo_step(self, samples: Sequence[Sample], config: GrpoConfig) -> dict[str, float]: ...

    def recomputed(self, samples: Sequence[Sample]) -> list[Sample]: ...


LossOf = Callable[[Batch, Tensor], tuple[Tensor, Mapping[str, float]]]
"""The loss of a microbatch from the log-probabilities of its sampled tokens, and what to watch (see `grpo.combine`)."""


@dataclass(frozen=True)
class _Found:
    """What one process's microbatches add up to: numbers, each expert's load by layer, and which of the model's
    parameters have a gradient.
    """

    sums: dict[str, float]
    loads_LE: list[Tensor]
    learnt: list[bool]


class Learner:
    """A model and its optimiser. `sparse` tells whether attention is top-k (else dense MLA with the indexer in warm-
    up) and `selector` who selects (a control leaves the indexer as it is; `seed` is the random one's); `reference` is
    what GRPO's KL term is measured against, `version` that of the policy as it is now, for the age of sampled tokens.

    A step whose loss or gradient is not finite changes nothing and reports `skipped` 1. With `ranks`, every process
    is given the same samples in every call, and gets the same results.
    """

    def __init__(
        self,
        model: DeepseekV32ForCausalLM,
        config: OptimConfig,
        sparse: bool = True,
        *,
        selector: Selector = "indexer",
        share: bool = True,
        ranks: Ranks = ALONE,
    ) -> None:
        self.model = model
        self.ranks = ranks
        self.config = config
        self.sparse = sparse
        self.selector: Selector = selector
        self.seed = 0
        self.share = share
        self.version: int | None = None
        self.reference: DeepseekV32ForCausalLM | None = None
        self._routers = [module for module in model.modules() if isinstance(module, Router)]
        decayed = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
        plain = [parameter for parameter in model.parameters() if parameter.ndim < 2]
        groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=True)

    def state_dict(self) -> dict[str, Any]:
        """All that later steps depend on: weights, the optimiser's state, and the reference policy where there is one.
        The tensors are the learner's own, not copies.
        """
        reference = None if self.reference is None else self.reference.state_dict()
        return {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict(), "reference": reference}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken; without its `reference`, the reference policy stays as it is.
        RuntimeError (torch's) where the shapes are another model's.
        """
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if "reference" not in state:
            return
        self.reference = None
        if state["reference"] is not None:
            self.keep_reference()
            assert self.reference is not None
            self.reference.load_state_dict(state["reference"])

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

        def loss_of(batch: Batch, logprobs_N: Tensor) -> tuple[Tensor, Mapping[str, float]]:
            return -logprobs_N.sum() / total, {}

        return self._step(samples, loss_of, self.config.routing_bias_speed)

    def grpo_step(self, samples: Sequence[Sample], config: GrpoConfig) -> dict[str, float]:
        """One GRPO step on samples with advantages. Returns metrics. ValueError where `config` asks for what is
        missing: a reference policy, or `versions` of all tokens and of the learner.

        Where `config.importance_cap` is set, samples without `recomputed` log-probabilities count as drawn by the
        policy as it is now.
        """
        tokens = sum(sample.sampled for sample in samples)

        def loss_of(batch: Batch, logprobs_N: Tensor) -> tuple[Tensor, Mapping[str, float]]:
            kl_B, recomputed_N, staleness_N = batch.kl_B(config.kl), batch.recomputed_N, None
            if self.version is not None and batch.versions_N is not None:
                staleness_N = self.version - batch.versions_N
            if config.importance_cap is not None and recomputed_N is None:
                recomputed_N = logprobs_N.detach()
            part = grpo_loss(
                logprobs_N,
                batch.old_logprobs_N.to(logprobs_N.dtype),
                batch.rows_N,
                batch.advantages_B.to(logprobs_N.dtype),
                config,
                reference_N=self._reference_logprobs(batch) if config.forward_kl or bool(kl_B.any()) else None,
                sequences=len(samples),
                tokens=tokens,
                recomputed_N=recomputed_N,
                kl_B=kl_B,
                staleness_N=staleness_N,
            )
            return part.loss, part.metrics

        return self._step(samples, loss_of)

    @torch.no_grad()
    def recomputed(self, samples: Sequence[Sample]) -> list[Sample]:
        """The same samples with the log-probabilities the model gives their sampled tokens now."""
        numbers = {id(sample): number for number, sample in enumerate(samples)}

        def work() -> dict[int, tuple[float, ...]]:
            found: dict[int, tuple[float, ...]] = {}
            for part, batch in self._own_batches(samples):
                logprobs_N = _logprobs(self.model, batch, self._forward(self.model, batch, learns=False))
                counts = [sample.sampled for sample in part]
                for sample, own_N in zip(part, torch.split(logprobs_N, counts), strict=True):
                    found[numbers[id(sample)]] = tuple(own_N.tolist())
            return found

        found = {number: logprobs for part in self.ranks.gather(work) for number, logprobs in part.items()}
        return [replace(sample, recomputed=found[numbers[id(sample)]]) for sample in samples]

    def _step(self, samples: Sequence[Sample], loss_of: LossOf, bias_speed: float = 0.0) -> dict[str, float]:
        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        found = self.ranks.gather(lambda: self._add_up(samples, loss_of))
        # What no process has a gradient of keeps none: the optimiser is to leave it alone.
        has_gradient = zip(self.model.parameters(), *(one.learnt for one in found), strict=True)
        self.ranks.add_gradients([parameter for parameter, *own in has_gradient if any(own)])
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm))
        metrics = combine(one.sums for one in found)
        finite = math.isfinite(norm) and math.isfinite(metrics["loss"])
        loads_LE = [torch.stack(parts).sum(dim=0) for parts in zip(*(one.loads_LE for one in found), strict=True)]
        if finite:
            self.optimiser.step()
            for router, load_E in zip(self._routers, loads_LE, strict=True):
                update_routing_bias(router, load_E.to(router.weight.device), bias_speed)
        shared = sum(sample.positions for sample in samples) / max(1.0, metrics.pop("nodes"))
        metrics |= {"grad_norm": norm, "skipped": float(not finite), "shared": shared}
        return metrics | _imbalance(loads_LE)

    def _add_up(self, samples: Sequence[Sample], loss_of: LossOf) -> _Found:
        """Forward and backward over this process's microbatches, weighed by the totals of all."""
        positions = sum(sample.positions for sample in samples)
        sums = {"loss": 0.0, "indexer_kl": 0.0, "nodes": 0.0}
        loads_LE = [torch.zeros_like(router.e_score_correction_bias) for router in self._routers]
        for _, batch in self._own_batches(samples):
            # The indexer's loss is a mean over positions, so that is how its parts weigh.
            share = batch.positions / positions
            output = self._forward(self.model, batch, learns=self.config.indexer_weight > 0)
            _count_load(loads_LE, batch, output)
            loss, watched = loss_of(batch, _logprobs(self.model, batch, output))
            torch.autograd.backward(loss + self.config.indexer_weight * share * output.indexer_kl)
            index_kl = share * float(output.indexer_kl.detach())
            own = {"loss": float(loss.detach()), "indexer_kl": index_kl, "nodes": float(len(batch.forest))}
            sums = combine((sums, own, watched))
        learnt = [parameter.grad is not None for parameter in self.model.parameters()]
        return _Found(sums, [load_E.cpu() for load_E in loads_LE], learnt)

    def _own_batches(self, samples: Sequence[Sample]) -> Iterator[tuple[list[Sample], Batch]]:
        """This process's microbatches, on the model's device."""
        for part in self.ranks.share(list(microbatches(samples, self.config.microbatch, share=self.share))):
            batch = collate(part, self.model.config.vocab_size, share=self.share)
            yield part, batch.to(self.model.lm_head.weight.device)

    def _forward(self, model: DeepseekV32ForCausalLM, batch: Batch, *, learns: bool) -> ForestOutput:
        learns = learns and self.selector == "indexer"
        options = DsaOptions(
            scale=softmax_scale(model.config),
            topk=model.config.index_topk,
            sparse=self.sparse,
            indexer_loss="none" if not learns else "sparse" if self.sparse else "dense",
            selector=self.selector,
            seed=self.seed,
        )
        weight_F = (batch.forest.visits_N.double() / max(1, batch.positions)).to(batch.tokens_F.device)
        return model.forward_forest(
            batch.tokens_F, batch.forest, weight_F, options, routing=batch.forced, recompute=self.config.recompute
        )

    @torch.no_grad()
    def _reference_logprobs(self, batch: Batch) -> Tensor | None:
        if self.reference is None:
            return None
        return _logprobs(self.reference, batch, self._forward(self.reference, batch, learns=False))


def _logprobs(model: DeepseekV32ForCausalLM, batch: Batch, output: ForestOutput) -> Tensor:
    """Log-probabilities of the sampled tokens [N] under the distribution they were sampled from: tempered, and among
    the tokens that sampling had kept.
    """
    hidden_MD = output.hidden_ND.index_select(0, batch.nodes_M)
    weight_VD = model.lm_head.weight
    found_P = token_logprobs(
        hidden_MD, weight_VD, batch.rows_P, batch.targets_P, batch.temperatures_M, batch.truncation
    )
    return found_P.index_select(0, batch.prediction_N)


def _count_load(loads_LE: list[Tensor], batch: Batch, output: ForestOutput) -> None:
    """Add how many tokens each expert of each mixture-of-experts layer got, shared ones counted for each sample."""
    for load_E, choice_FK in zip(loads_LE, output.routing, strict=True):
        visits = batch.forest.visits_N.repeat_interleave(choice_FK.shape[1]).to(choice_FK.device)
        load_E += torch.bincount(choice_FK.flatten(), visits.double(), minlength=len(load_E))


def _imbalance(loads_LE: list[Tensor]) -> dict[str, float]:
    """For each mixture-of-experts layer the busiest expert's load over the mean load, 1 where even; and as
    `expert_load` the mean over layers (none: no metric).
    """
    found = {f"expert_load/{layer}": float(load_E.max() / load_E.mean()) for layer, load_E in enumerate(loads_LE)}
    return found | ({"expert_load": sum(found.values()) / len(found)} if found else {})
