"""Trajectories as batches without padding: a forest in which every shared prefix stands once.

Letters: B samples, T tokens of a sample, N sampled tokens of the whole batch, F nodes of the forest, M distributions
that tokens were sampled from, P distinct tokens of these, K experts per token, L mixture-of-experts layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..kernels.forest import Forest, common_prefix
from ..rollout.types import Experts, Kept, Trajectory
from .loss import Truncation

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """One training sequence: ids, 1 where the policy sampled the id, and the engine's log-probabilities.

    For the sampled ids in order: what truncation had `kept` (None: everything), the policy `versions` that drew them
    (None: not known), and their log-probabilities `recomputed` by the training model at those versions (None: not
    done). `experts` are the choices [T - 1, L, K] made for all positions but the last (None: not recorded). `kl` is the
    strength of the KL term (None: the configuration's).
    """

    tokens: tuple[int, ...]
    mask: tuple[int, ...]
    logprobs: tuple[float, ...]
    kept: Kept | None = None
    advantage: float = 0.0
    temperature: float = 1.0
    versions: tuple[int, ...] | None = None
    experts: Experts | None = None
    kl: float | None = None
    recomputed: tuple[float, ...] | None = None

    @classmethod
    def of(
        cls, trajectory: Trajectory, advantage: float = 0.0, temperature: float = 1.0, kl: float | None = None
    ) -> Sample:
        """A sample of a trajectory."""
        return cls(
            trajectory.tokens,
            trajectory.mask,
            trajectory.logprobs,
            trajectory.kept,
            advantage,
            temperature,
            trajectory.versions,
            trajectory.experts,
            kl,
        )

    @property
    def sampled(self) -> int:
        """How many of the tokens the policy sampled."""
        return sum(self.mask)

    @property
    def positions(self) -> int:
        """How many tokens have to be computed: nothing is predicted from the last."""
        return len(self.tokens) - 1


@dataclass(frozen=True)
class Batch:
    """A forest of samples. `rows_N` says which sample each sampled token belongs to, in the samples' order.

    What several samples share is predicted once: `nodes_M` are the nodes that predictions are made from, with
    their temperature and what truncation had kept; `rows_P` (ascending) and `targets_P` are the distinct tokens sampled
    from them, and `prediction_N` tells which of these a sampled token is. `forced` are the recorded expert choices
    [F, K] of each mixture-of-experts layer, -1 for nodes without (None: there are none at all).
    """

    tokens_F: Tensor
    forest: Forest
    forced: tuple[Tensor, ...] | None
    nodes_M: Tensor
    temperatures_M: Tensor
    truncation: Truncation | None
    rows_P: Tensor
    targets_P: Tensor
    prediction_N: Tensor
    rows_N: Tensor
    old_logprobs_N: Tensor
    recomputed_N: Tensor | None
    versions_N: Tensor | None
    advantages_B: Tensor
    kl: tuple[float | None, ...]

    @property
    def positions(self) -> int:
        """Computed tokens of all samples, shared ones counted for each."""
        return int(self.forest.visits_N.sum())

    @property
    def targets_N(self) -> Tensor:
        """The sampled tokens."""
        return self.targets_P[self.prediction_N]

    def kl_B(self, default: float) -> Tensor:
        """The strength of each sample's KL term."""
        strengths = [default if kl is None else kl for kl in self.kl]
        return torch.tensor(strengths, device=self.advantages_B.device)

    def to(self, device: torch.device) -> Batch:
        """The same with its tensors on `device`; the forest and what truncation had kept stay in main memory."""
        named = [(one.name, getattr(self, one.name)) for one in fields(self)]
        moved: dict[str, Any] = {name: value.to(device) for name, value in named if isinstance(value, Tensor)}
        forced = None if self.forced is None else tuple(choice.to(device) for choice in self.forced)
        return replace(self, forced=forced, **moved)


def collate(samples: Sequence[Sample], vocab_size: int, *, share: bool = True) -> Batch:
    """Merge samples where their tokens, and the expert choices recorded for them, agree; without `share` every sample
    stands alone. ValueError for a sample that cannot be trained on.
    """
    for sample in samples:
        _check(sample, vocab_size)
    keys = _keys(samples)
    forest = Forest.grow(keys) if share else Forest.separate([len(row) for row in keys])
    said = [np.flatnonzero(sample.mask) for sample in samples]
    found = _predictions(samples, [path.numpy()[places - 1] for path, places in zip(forest.paths, said, strict=True)])
    old = [np.array(sample.logprobs)[places] for sample, places in zip(samples, said, strict=True)]
    recomputed = [sample.recomputed for sample in samples if sample.recomputed is not None]
    versions = [sample.versions for sample in samples if sample.versions is not None]
    return Batch(
        tokens_F=_by_node(forest, [np.array(sample.tokens[:-1], np.int64) for sample in samples]),
        forest=forest,
        forced=_forced(forest, samples),
        nodes_M=torch.tensor(found.nodes, dtype=torch.long),
        temperatures_M=torch.tensor(found.temperatures),
        truncation=Truncation.of(found.kept),
        rows_P=torch.from_numpy(found.rows),
        targets_P=torch.from_numpy(found.targets),
        prediction_N=torch.from_numpy(found.prediction),
        rows_N=torch.from_numpy(np.repeat(np.arange(len(samples)), [len(places) for places in said])),
        old_logprobs_N=torch.from_numpy(np.concatenate(old)).float(),
        recomputed_N=torch.tensor(list(chain(*recomputed))) if len(recomputed) == len(samples) else None,
        versions_N=torch.tensor(list(chain(*versions))) if len(versions) == len(samples) else None,
        advantages_B=torch.tensor([sample.advantage for sample in samples]),
        kl=tuple(sample.kl for sample in samples),
    )


@dataclass(frozen=True)
class _Predictions:
    """See `Batch`: what distinct distributions and tokens there are."""

    nodes: list[int]
    temperatures: list[float]
    kept: list[tuple[int, ...] | None]
    rows: Ids
    targets: Ids
    prediction: Ids


def _predictions(samples: Sequence[Sample], nodes: Sequence[Ids]) -> _Predictions:
    """`nodes` are those that each sample's sampled tokens were predicted from."""
    rows: dict[tuple[int, float, tuple[int, ...] | None], int] = {}
    pairs: dict[tuple[int, int], int] = {}
    prediction: list[int] = []
    for sample, origins in zip(samples, nodes, strict=True):
        said = [token for token, mask in zip(sample.tokens, sample.mask, strict=True) if mask]
        for node, token, ids in zip(origins.tolist(), said, sample.kept or (None,) * len(said), strict=True):
            row = rows.setdefault((node, sample.temperature, ids), len(rows))
            prediction.append(pairs.setdefault((row, token), len(pairs)))
    both = np.array(list(pairs), np.int64).reshape(-1, 2)
    order = np.argsort(both[:, 0], kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return _Predictions(
        nodes=[node for node, _, _ in rows],
        temperatures=[temperature for _, temperature, _ in rows],
        kept=[ids for _, _, ids in rows],
        rows=both[order, 0],
        targets=both[order, 1],
        prediction=place[np.array(prediction, np.int64)],
    )


def _check(sample: Sample, vocab_size: int) -> None:
    if len(sample.tokens) < 2 or sample.mask[0]:
        raise ValueError("a training sequence needs at least two tokens and a first token that was not sampled")
    if not sample.temperature > 0:
        raise ValueError(f"a training sequence was sampled at temperature {sample.temperature}: it must be above 0")
    if not len(sample.tokens) == len(sample.mask) == len(sample.logprobs):
        sizes = f"{len(sample.tokens)} tokens, {len(sample.mask)} masks and {len(sample.logprobs)} log-probabilities"
        raise ValueError(f"a training sequence has {sizes}: there must be one of each per token")
    per_token = ((sample.kept, "truncation masks"), (sample.versions, "versions"))
    for found, name in (*per_token, (sample.recomputed, "recomputed log-probabilities")):
        if found is not None and len(found) != sample.sampled:
            raise ValueError(f"a training sequence has {len(found)} {name} for {sample.sampled} tokens")
    if sample.experts is not None and len(sample.experts) != sample.positions:
        raise ValueError(
            f"a training sequence of {len(sample.tokens)} tokens has the expert choices of {len(sample.experts)} "
            "positions: there must be one for each but the last"
        )
    if min(sample.tokens) < 0 or max(sample.tokens) >= vocab_size:
        wrong = next(token for token in sample.tokens if not 0 <= token < vocab_size)
        raise ValueError(f"token id {wrong} of a training sequence is not in the vocabulary of {vocab_size}")


def _keys(samples: Sequence[Sample]) -> list[Ids]:
    """What has to agree for two positions to be one node: the token and, where recorded, its expert choices."""
    known: dict[bytes, int] = {}
    rows = []
    for sample in samples:
        tokens = np.array(sample.tokens[:-1], np.int64)
        if sample.experts is not None:
            choices = np.asarray(sample.experts, np.int64).reshape(len(tokens), -1)
            both = np.concatenate((tokens[:, None], choices), axis=1)
            # Below zero, so that they never meet a token without choices.
            tokens = np.array([~known.setdefault(row.tobytes(), len(known)) for row in both], np.int64)
        rows.append(tokens)
    return rows


def _by_node(forest: Forest, rows: Sequence[Ids]) -> Tensor:
    found = np.empty((len(forest), *rows[0].shape[1:]), np.int64)
    for path, row in zip(forest.paths, rows, strict=True):
        found[path.numpy()] = row
    return torch.from_numpy(found)


def _forced(forest: Forest, samples: Sequence[Sample]) -> tuple[Tensor, ...] | None:
    """The recorded expert choices of each layer, [F, K]."""
    shapes = {sample.experts.shape[1:] for sample in samples if sample.experts is not None}
    if not shapes:
        return None
    if len(shapes) > 1:
        raise ValueError(f"training sequences have expert choices of different shapes [L, K]: {sorted(shapes)}")
    shape = shapes.pop()
    rows = [
        np.full((sample.positions, *shape), -1) if sample.experts is None else np.asarray(sample.experts, np.int64)
        for sample in samples
    ]
    return tuple(choice.contiguous() for choice in _by_node(forest, rows).unbind(1))


def microbatches(samples: Sequence[Sample], max_tokens: int, *, share: bool = True) -> Iterator[list[Sample]]:
    """Cut into batches of at most `max_tokens` distinct positions, or without `share` of as many in all (at least one
    sample each).

    Samples are sorted, so that those with a common prefix are neighbours, and a batch that would grow too large ends
    where the least is shared in its second half.
    """
    ordered = sorted(samples, key=lambda sample: sample.tokens)
    arrays = [np.array(sample.tokens[:-1], np.int64) for sample in ordered]
    shared = [0, *(common_prefix(one, other) if share else 0 for one, other in pairwise(arrays))]
    start = 0
    while start < len(ordered):
        stop, size = start + 1, len(arrays[start])
        sizes = [size]
        while stop < len(ordered) and size + len(arrays[stop]) - shared[stop] <= max_tokens:
            size += len(arrays[stop]) - shared[stop]
            sizes.append(size)
            stop += 1
        if stop < len(ordered):
            late = [cut for cut in range(start + 1, stop + 1) if 2 * sizes[cut - start - 1] >= size]
            stop = min(reversed(late), key=lambda cut: shared[cut])
        yield ordered[start:stop]
        start = stop
