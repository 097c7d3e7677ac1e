"""Batches: what stands where, and that cutting into microbatches loses nothing."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palestra.policy.batches import Sample, collate, microbatches
from palestra.rollout.types import Trajectory

LONG = Sample((5, 6, 7, 8, 9), (0, 0, 1, 1, 1), (0.0, 0.0, -0.1, -0.2, -0.3), ((7, 1), None, (9,)), 0.5, 0.7)
SHORT = Sample((1, 2, 3), (0, 1, 0), (0.0, -0.9, 0.0), None, -0.25)


def test_targets_are_the_sampled_tokens_and_places_the_ones_before() -> None:
    batch = collate([LONG, SHORT], 11)
    assert batch.tokens_BT.tolist() == [[5, 6, 7, 8, 9], [1, 2, 3, 0, 0]]
    assert batch.lengths_B.tolist() == [5, 3]
    assert batch.rows_N.tolist() == [0, 0, 0, 1]
    assert batch.places_N.tolist() == [1, 2, 3, 0]
    assert batch.targets_N.tolist() == [7, 8, 9, 2]
    assert batch.old_logprobs_N.tolist() == pytest.approx([-0.1, -0.2, -0.3, -0.9])
    assert batch.advantages_B.tolist() == [0.5, -0.25]
    assert batch.temperatures_B.tolist() == pytest.approx([0.7, 1.0])


def test_cut_holds_what_truncation_had_removed() -> None:
    cut_NV = collate([SHORT, LONG], 11).cut_NV
    assert cut_NV is not None
    open_ids = [torch.nonzero(~row)[:, 0].tolist() for row in cut_NV]
    assert open_ids == [list(range(11)), [1, 7], list(range(11)), [9]]
    assert collate([SHORT, replace(LONG, kept=None)], 11).cut_NV is None


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (Sample((1,), (0,), (0.0,)), "at least two tokens"),
        (Sample((1, 2), (1, 1), (0.0, 0.0)), "a first token that was not sampled"),
        (Sample((1, 2, 3), (0, 1), (0.0, 0.0, 0.0)), "3 tokens, 2 masks and 3 log-probabilities"),
        (Sample((1, 2, 3), (0, 1, 1), (0.0, -1.0, -1.0), ((2,),)), "1 truncation masks for 2 tokens"),
        (Sample((1, 2, 11), (0, 1, 1), (0.0, -1.0, -1.0)), "token id 11 of a training sequence is not in the vocab"),
        (Sample((1, 2), (0, 1), (0.0, -1.0), temperature=0.0), "sampled at temperature 0.0"),
    ],
)
def test_impossible_sequences_are_refused(sample: Sample, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        collate([SHORT, sample], 11)


def test_a_sample_of_a_trajectory() -> None:
    trajectory = Trajectory((1, 2, 3), (0, 1, 0), (0.0, -0.9, 0.0))
    assert Sample.of(trajectory, -0.25) == SHORT
    assert SHORT.sampled == 1


@given(st.lists(st.integers(2, 30), max_size=20), st.integers(1, 100))
def test_microbatches_hold_every_sample_once_within_the_bound(lengths: list[int], bound: int) -> None:
    samples = [
        Sample((number,) * length, (0,) + (1,) * (length - 1), (0.0,) * length) for number, length in enumerate(lengths)
    ]
    parts = list(microbatches(samples, bound))
    assert sorted(sample.tokens for part in parts for sample in part) == sorted(sample.tokens for sample in samples)
    for part in parts:
        assert len(part) == 1 or len(part) * max(len(sample.tokens) for sample in part) <= bound
