"""How a dense model becomes a sparse one: the indexer's warm-up, the sparse stage (DeepSeek-V3.2, section 2.1), and
probes of what was kept.

In the warm-up attention stays dense, everything but the indexer is frozen, and the indexer learns from
KL(attention summed over heads || softmax of its scores) over all positions. In the sparse stage each query attends to
what its indexer selects; the indexer learns from that KL over the selected positions alone, with its input detached,
and all else from the language-model loss alone.

Letters: F nodes of a forest, M distributions, N sampled tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby, islice

import torch
from torch import Tensor

from ..kernels.dsa import DsaOptions, Selector
from .batches import Batch, Sample, collate
from .learner import OptimConfig, TakesSteps
from .model import DeepseekV32ForCausalLM
from .rope import softmax_scale

Batches = Iterable[Sequence[Sample]]


@dataclass(frozen=True)
class StageConfig:
    """One stage of `steps` batches. The learning rate rises over the first `warmup` steps and falls linearly from `lr`
    to `final_lr`. The defaults suit the warm-up of a model a few hundred wide.
    """

    steps: int = 250
    lr: float = 3e-3
    final_lr: float = 3e-4
    warmup: int = 10

    def lr_at(self, step: int) -> float:
        """The learning rate of step `step` (from 0)."""
        falling = self.lr + (self.final_lr - self.lr) * step / self.steps
        return falling * min(1.0, (step + 1) / max(1, self.warmup))


def dense_stage(
    learner: TakesSteps, batches: Batches, config: StageConfig, start: int = 0
) -> Iterator[dict[str, float]]:
    """Train plain latent attention; the indexer is neither asked nor taught. Yields the metrics of each step from
    `start` on; ends early where the batches do.
    """
    with _as_stage(learner, replace(learner.config, indexer_weight=0.0), sparse=False):
        yield from _steps(learner, batches, config, start)


def warm_up(learner: TakesSteps, batches: Batches, config: StageConfig, start: int = 0) -> Iterator[dict[str, float]]:
    """Teach the indexer dense attention, and nothing else anything: other weights and the routing biases stay as they
    are. Yields metrics as `dense_stage` does (`indexer_kl` is what it learns from, `loss` only tells).
    """
    still = replace(learner.config, routing_bias_speed=0.0)
    with _as_stage(learner, still, sparse=False), _frozen_but_indexer(learner.model):
        yield from _steps(learner, batches, config, start)


def sparse_stage(
    learner: TakesSteps, batches: Batches, config: StageConfig, start: int = 0
) -> Iterator[dict[str, float]]:
    """Train with top-k attention, the indexer on its own loss and the rest on the language-model loss. A learner whose
    `selector` is a control trains the rest in the same way. Yields metrics as `dense_stage` does.
    """
    with _as_stage(learner, learner.config, sparse=True):
        yield from _steps(learner, batches, config, start)


def _steps(learner: TakesSteps, batches: Batches, config: StageConfig, start: int) -> Iterator[dict[str, float]]:
    for step, samples in enumerate(islice(batches, config.steps - start), start):
        learner.set_lr(config.lr_at(step))
        learner.seed = step
        yield learner.sft_step(samples)


@contextmanager
def _as_stage(learner: TakesSteps, config: OptimConfig, *, sparse: bool) -> Iterator[None]:
    """Settings that hold for one stage; afterwards the learner's are what they were."""
    before = learner.sparse, learner.config
    learner.sparse, learner.config = sparse, config
    try:
        yield
    finally:
        learner.sparse, learner.config = before


@contextmanager
def _frozen_but_indexer(model: DeepseekV32ForCausalLM) -> Iterator[None]:
    learnt = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    try:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(".indexer." in name)
        yield
    finally:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(learnt[name])


@dataclass(frozen=True)
class Probe:
    """What a model makes of samples: `loss` in nats per sampled token; `exact`, how many of their `answers` (unbroken
    runs of sampled tokens) greedy decoding would give word for word; `recall`, for each layer the share of dense
    attention's probability mass that the selected positions hold, over the queries that see more than `index_topk`.
    """

    loss: float
    exact: float
    answers: int
    recall: tuple[float, ...]


@torch.no_grad()
def probe(
    model: DeepseekV32ForCausalLM,
    samples: Sequence[Sample],
    *,
    sparse: bool = True,
    selector: Selector = "indexer",
    at_once: int = 4,
) -> Probe:
    """Run a model over samples, `at_once` at a time, at temperature 1. `recall` is that of the selector also where
    attention is dense. ValueError where no token was sampled.
    """
    said = sum(sample.sampled for sample in samples)
    if not said:
        raise ValueError(f"{len(samples)} samples hold no answer to probe: their masks are all 0")
    options = DsaOptions(
        softmax_scale(model.config), model.config.index_topk, sparse=sparse, selector=selector, measure=True
    )
    loss, right = 0.0, list[bool]()
    masses, weights = list[Tensor](), list[int]()
    for start in range(0, len(samples), at_once):
        part = samples[start : start + at_once]
        batch = collate(part, model.config.vocab_size)
        visits_F = batch.forest.visits_N.float()
        found = model.forward_forest(batch.tokens_F, batch.forest, visits_F, replace(options, seed=start))
        logprobs_N, best_N = _said(model, batch, found.hidden_ND)
        loss -= float(logprobs_N.sum())
        right += _answers(part, best_N.tolist())
        assert found.selected_mass is not None
        masses.append(torch.tensor(found.selected_mass))
        weights.append(sum(max(0, sample.positions - model.config.index_topk) for sample in part))
    weight_G = torch.tensor(weights if any(weights) else [1] * len(weights), dtype=torch.float32)
    recall = (torch.stack(masses) * weight_G.unsqueeze(-1)).sum(dim=0) / weight_G.sum()
    return Probe(loss / said, sum(right) / len(right), len(right), tuple(recall.tolist()))


def _said(model: DeepseekV32ForCausalLM, batch: Batch, hidden_FD: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability of each sampled token [N], and whether it was the likeliest."""
    logits_MV = model.lm_head(hidden_FD[batch.nodes_M]).float()
    logprobs_P = logits_MV.log_softmax(dim=-1)[batch.rows_P, batch.targets_P]
    best_P = logits_MV.argmax(dim=-1)[batch.rows_P] == batch.targets_P
    return logprobs_P[batch.prediction_N], best_P[batch.prediction_N]


def _answers(samples: Sequence[Sample], best: Sequence[bool]) -> list[bool]:
    """Whether all tokens of each answer were the likeliest: then, and only then, greedy decoding gives it."""
    at = iter(best)
    runs = [len(list(run)) for sample in samples for said, run in groupby(sample.mask) if said]
    return [all(list(islice(at, length))) for length in runs]
