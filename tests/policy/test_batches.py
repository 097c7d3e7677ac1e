"""Batches: what stands where, and that cutting into microbatches loses nothing."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palestra.kernels.forest import common_prefix
from palestra.policy.batches import Sample, collate, microbatches
from palestra.rollout.types import Trajectory

LONG = Sample((5, 6, 7, 8, 9), (0, 0, 1, 1, 1), (0.0, 0.0, -0.1, -0.2, -0.3), ((7, 1), None, (9,)), 0.5, 0.7)
SHORT = Sample((1, 2, 3), (0, 1, 0), (0.0, -0.9, 0.0), None, -0.25)


def test_predictions_stand_where_the_token_before_is() -> None:
    batch = collate([LONG, SHORT], 11)
    paths = [path.tolist() for path in batch.forest.paths]
    assert [batch.tokens_F[path].tolist() for path in paths] == [[5, 6, 7, 8], [1, 2]]
    assert batch.rows_N.tolist() == [0, 0, 0, 1]
    assert batch.targets_N.tolist() == [7, 8, 9, 2]
    nodes_N = batch.nodes_M[batch.rows_P[batch.prediction_N]].tolist()
    assert nodes_N == [*paths[0][1:4], paths[1][0]]
    assert batch.temperatures_M[batch.rows_P[batch.prediction_N]].tolist() == pytest.approx([0.7, 0.7, 0.7, 1.0])
    assert batch.old_logprobs_N.tolist() == pytest.approx([-0.1, -0.2, -0.3, -0.9])
    assert batch.advantages_B.tolist() == [0.5, -0.25]
    assert batch.positions == 6
    assert batch.forced is None
    assert batch.versions_N is None
    assert batch.recomputed_N is None


def test_the_shared_is_predicted_once_for_all_who_sampled_it() -> None:
    one = Sample((5, 6, 7, 8), (0, 0, 1, 1), (0.0, 0.0, -1.0, -2.0), advantage=1.0)
    # Like `one` up to the last token; another temperature; another truncation.
    others = [replace(one, tokens=(5, 6, 7, 9)), replace(one, temperature=0.5), replace(one, kept=((7, 2), None))]
    batch = collate([one, *others], 11)
    assert len(batch.forest) == 3
    assert batch.rows_N.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    first, second = batch.prediction_N[::2].tolist(), batch.prediction_N[1::2].tolist()
    assert first[0] == first[1]
    assert len(set(first)) == 3
    assert second[0] == second[3]
    assert len(set(second)) == 3
    # Two tokens after the same prefix are asked of one distribution.
    assert batch.rows_P[second[0]] == batch.rows_P[second[1]]
    assert len(batch.nodes_M) == 5
    assert batch.rows_P.tolist() == sorted(batch.rows_P.tolist())
    alone = collate([one, *others], 11, share=False)
    assert len(alone.forest) == 12
    assert len(alone.nodes_M) == 8
    assert alone.targets_N.tolist() == batch.targets_N.tolist()


def test_truncation_is_what_sampling_had_cut_off() -> None:
    batch = collate([SHORT, LONG], 11)
    assert batch.truncation is not None
    cut_MV = batch.truncation.cut(slice(0, len(batch.nodes_M)), 11)[batch.rows_P[batch.prediction_N]]
    open_ids = [(~row).nonzero()[:, 0].tolist() for row in cut_MV]
    assert open_ids == [list(range(11)), [1, 7], list(range(11)), [9]]
    assert collate([SHORT, replace(LONG, kept=None)], 11).truncation is None


def test_what_only_some_samples_have() -> None:
    aged, known = replace(SHORT, versions=(4,)), replace(LONG, versions=(1, 1, 2), kl=0.3)
    assert collate([aged, LONG], 11).versions_N is None
    versions = collate([aged, known], 11).versions_N
    assert versions is not None
    assert versions.tolist() == [4, 1, 1, 2]
    assert collate([aged, known], 11).kl_B(0.1).tolist() == pytest.approx([0.1, 0.3])


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (Sample((1,), (0,), (0.0,)), "at least two tokens"),
        (Sample((1, 2), (1, 1), (0.0, 0.0)), "a first token that was not sampled"),
        (Sample((1, 2, 3), (0, 1), (0.0, 0.0, 0.0)), "3 tokens, 2 masks and 3 log-probabilities"),
        (Sample((1, 2, 3), (0, 1, 1), (0.0, -1.0, -1.0), ((2,),)), "1 truncation masks for 2 tokens"),
        (Sample((1, 2), (0, 1), (0.0, -1.0), versions=(1, 2)), "2 versions for 1 tokens"),
        (Sample((1, 2, 3), (0, 1, 0), (0.0,) * 3, experts=np.zeros((3, 1, 2), int)), "expert choices of 3 positions"),
        (Sample((1, 2, 11), (0, 1, 1), (0.0, -1.0, -1.0)), "token id 11 of a training sequence is not in the vocab"),
        (Sample((1, 2), (0, 1), (0.0, -1.0), temperature=0.0), "sampled at temperature 0.0"),
    ],
)
def test_impossible_sequences_are_refused(sample: Sample, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        collate([SHORT, sample], 11)


def test_expert_choices_of_different_models_are_refused() -> None:
    samples = [replace(SHORT, experts=np.zeros((2, layers, 2), int)) for layers in (1, 2)]
    with pytest.raises(ValueError, match=r"different shapes \[L, K\]: \[\(1, 2\), \(2, 2\)\]"):
        collate(samples, 11)


def test_a_sample_of_a_trajectory() -> None:
    trajectory = Trajectory((1, 2, 3), (0, 1, 0), (0.0, -0.9, 0.0))
    assert Sample.of(trajectory, -0.25) == SHORT
    assert SHORT.sampled == 1
    full = Trajectory((1, 2), (0, 1), (0.0, -0.9), ((2, 3),), (7,), np.zeros((1, 1, 2), int))
    sample = Sample.of(full, advantage=0.5, temperature=0.8, kl=0.2)
    assert (sample.kept, sample.versions, sample.experts) == (full.kept, full.versions, full.experts)
    assert (sample.advantage, sample.temperature, sample.kl) == (0.5, 0.8, 0.2)


@given(st.lists(st.lists(st.integers(0, 1), min_size=2, max_size=12), max_size=20), st.integers(1, 60))
def test_microbatches_hold_every_sample_once_within_the_bound(sequences: list[list[int]], bound: int) -> None:
    samples = [Sample(tuple(row), (0,) + (1,) * (len(row) - 1), (0.0,) * len(row)) for row in sequences]
    parts = list(microbatches(samples, bound))
    assert sorted(sample.tokens for part in parts for sample in part) == sorted(sample.tokens for sample in samples)
    for part in parts:
        assert len(part) == 1 or len(collate(part, 2).forest) <= bound


def test_microbatches_part_groups_rather_than_members() -> None:
    groups = [
        [Sample((group,) * 10 + (member,), (0,) * 10 + (1,), (0.0,) * 11) for member in range(4)] for group in range(5)
    ]
    samples = [sample for group in groups for sample in group]
    parts = list(microbatches(samples[::-1], 25))
    assert [len(part) for part in parts] == [8, 8, 4]
    for one, other in pairwise(parts):
        assert common_prefix(np.array(one[-1].tokens), np.array(other[0].tokens)) == 0


def test_without_sharing_every_position_counts() -> None:
    samples = [Sample((1, 2, 3, number), (0, 0, 1, 1), (0.0,) * 4) for number in range(8)]
    assert [len(part) for part in microbatches(samples, 100)] == [8]
    assert [len(part) for part in microbatches(samples, 7, share=False)] == [2, 2, 2, 2]
