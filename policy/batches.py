"""Trajectories as padded batches.

Letters: B sequences, T positions, N sampled tokens of the whole batch, V vocabulary. Position t of `targets_BT` is
the token that position t's logits predict, i.e. the sequence's token t + 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..rollout.types import Trajectory

Kept = Sequence[tuple[int, ...] | None]


@dataclass(frozen=True)
class Sample:
    """One training sequence: ids, 1 where the policy sampled the id, the engine's log-probabilities, truncation masks
    of the sampled ids (in order; None: nothing was cut off), the advantage, and the temperature it was sampled at.
    """

    tokens: tuple[int, ...]
    mask: tuple[int, ...]
    logprobs: tuple[float, ...]
    kept: Kept | None = None
    advantage: float = 0.0
    temperature: float = 1.0

    @classmethod
    def of(
        cls, trajectory: Trajectory, advantage: float = 0.0, kept: Kept | None = None, temperature: float = 1.0
    ) -> Sample:
        """A sample of a trajectory."""
        return cls(trajectory.tokens, trajectory.mask, trajectory.logprobs, kept, advantage, temperature)

    @property
    def sampled(self) -> int:
        """How many of the tokens the policy sampled."""
        return sum(self.mask)


@dataclass(frozen=True)
class Batch:
    """Right-padded sequences; `rows_N`, `places_N` say where the predictions of sampled tokens are. `cut_NV` is True
    for tokens that sampling had cut off (None: nothing was).
    """

    tokens_BT: Tensor
    lengths_B: Tensor
    rows_N: Tensor
    places_N: Tensor
    targets_N: Tensor
    old_logprobs_N: Tensor
    advantages_B: Tensor
    temperatures_B: Tensor
    cut_NV: Tensor | None

    @property
    def counts_B(self) -> Tensor:
        """Sampled tokens per sequence."""
        return torch.bincount(self.rows_N, minlength=self.tokens_BT.shape[0])


def collate(samples: Sequence[Sample], vocab_size: int) -> Batch:
    """Pad to the longest sequence. ValueError for a sequence that cannot be trained on."""
    for sample in samples:
        _check(sample, vocab_size)
    lengths_B = torch.tensor([len(sample.tokens) for sample in samples])
    longest = max(len(sample.tokens) for sample in samples)
    tokens_BT = torch.zeros(len(samples), longest, dtype=torch.long)
    sampled_BT = torch.zeros(len(samples), longest, dtype=torch.bool)
    old_BT = torch.zeros(len(samples), longest)
    for row, sample in enumerate(samples):
        tokens_BT[row, : len(sample.tokens)] = torch.tensor(sample.tokens)
        sampled_BT[row, : len(sample.tokens)] = torch.tensor(sample.mask, dtype=torch.bool)
        old_BT[row, : len(sample.tokens)] = torch.tensor(sample.logprobs)
    rows_N, after_N = sampled_BT.nonzero(as_tuple=True)
    return Batch(
        tokens_BT=tokens_BT,
        lengths_B=lengths_B,
        rows_N=rows_N,
        places_N=after_N - 1,
        targets_N=tokens_BT[rows_N, after_N],
        old_logprobs_N=old_BT[rows_N, after_N],
        advantages_B=torch.tensor([sample.advantage for sample in samples]),
        temperatures_B=torch.tensor([sample.temperature for sample in samples]),
        cut_NV=_cut(samples, vocab_size),
    )


def _check(sample: Sample, vocab_size: int) -> None:
    if len(sample.tokens) < 2 or sample.mask[0]:
        raise ValueError("a training sequence needs at least two tokens and a first token that was not sampled")
    if not sample.temperature > 0:
        raise ValueError(f"a training sequence was sampled at temperature {sample.temperature}: it must be above 0")
    if not len(sample.tokens) == len(sample.mask) == len(sample.logprobs):
        sizes = f"{len(sample.tokens)} tokens, {len(sample.mask)} masks and {len(sample.logprobs)} log-probabilities"
        raise ValueError(f"a training sequence has {sizes}: there must be one of each per token")
    if sample.kept is not None and len(sample.kept) != sample.sampled:
        raise ValueError(f"a training sequence has {len(sample.kept)} truncation masks for {sample.sampled} tokens")
    if min(sample.tokens) < 0 or max(sample.tokens) >= vocab_size:
        wrong = next(token for token in sample.tokens if not 0 <= token < vocab_size)
        raise ValueError(f"token id {wrong} of a training sequence is not in the vocabulary of {vocab_size}")


def _cut(samples: Sequence[Sample], vocab_size: int) -> Tensor | None:
    """Keep Sampling Mask: bool [N, V], rows in the order of the batch's sampled tokens."""
    if all(sample.kept is None for sample in samples):
        return None
    rows: list[tuple[int, ...] | None] = []
    for sample in samples:
        rows += sample.kept if sample.kept is not None else [None] * sample.sampled
    cut_NV = torch.zeros(len(rows), vocab_size, dtype=torch.bool)
    for row, ids in enumerate(rows):
        if ids is not None:
            cut_NV[row] = True
            cut_NV[row, list(ids)] = False
    return cut_NV


def microbatches(samples: Sequence[Sample], max_tokens: int) -> Iterator[list[Sample]]:
    """Cut into batches of similar length whose padded size is at most `max_tokens` (at least one sequence each)."""
    batch: list[Sample] = []
    for sample in sorted(samples, key=lambda sample: len(sample.tokens)):
        if batch and (len(batch) + 1) * len(sample.tokens) > max_tokens:
            yield batch
            batch = []
        batch.append(sample)
    if batch:
        yield batch
