"""Forests: every shared prefix once, and stripes of blocks that show each node exactly what it grows from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palestra.kernels import forest as module
from palestra.kernels.forest import Forest, common_prefix

SEQUENCES = st.lists(st.lists(st.integers(0, 2), max_size=12), min_size=1, max_size=9).filter(any)


def grown(sequences: list[list[int]]) -> Forest:
    return Forest.grow([np.array(sequence, np.int64) for sequence in sequences])


def seen_by_blocks(forest: Forest) -> list[dict[int, int]]:
    """For each node the rows its stripe's blocks show it, by column, without those behind it."""
    seen: list[dict[int, int]] = [{} for _ in range(len(forest))]
    depths = forest.depth_N.tolist()
    for stripe in forest.stripes:
        for block in stripe.blocks:
            columns = range(block.columns.start, block.columns.stop)
            for row in range(block.rows.start, block.rows.stop):
                node = stripe.rows.start + row
                for key, column in zip(range(block.keys.start, block.keys.stop), columns, strict=True):
                    assert column < stripe.width
                    if column <= depths[node]:
                        assert column not in seen[node]
                        seen[node][column] = key
    return seen


@given(SEQUENCES)
def test_each_distinct_prefix_is_one_node(sequences: list[list[int]]) -> None:
    forest = grown(sequences)
    prefixes = {tuple(sequence[: end + 1]) for sequence in sequences for end in range(len(sequence))}
    assert len(forest) == len(prefixes)
    node_of: dict[tuple[int, ...], int] = {}
    for sequence, path in zip(sequences, forest.paths, strict=True):
        assert len(path) == len(sequence)
        for end, node in enumerate(path.tolist()):
            assert node_of.setdefault(tuple(sequence[: end + 1]), node) == node
            assert forest.depth_N[node] == end
    assert len(set(node_of.values())) == len(node_of)
    assert int(forest.visits_N.sum()) == sum(map(len, sequences))
    assert forest.deepest == max(map(len, sequences))


@given(SEQUENCES, st.integers(1, 5))
def test_blocks_show_each_node_its_own_path(sequences: list[list[int]], height: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_STRIPE_ROWS", (height, 2 * height))
        patch.setattr(module, "_STRIPE_SCORES", 16)
        seen = seen_by_blocks(forest := grown(sequences))
    for path in forest.paths:
        for end, node in enumerate(path.tolist()):
            assert seen[node] == dict(enumerate(path[: end + 1].tolist()))


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6).filter(any))
def test_separate_sequences_share_nothing(lengths: list[int]) -> None:
    forest = Forest.separate(lengths)
    assert len(forest) == sum(lengths)
    assert [len(path) for path in forest.paths] == lengths
    assert set(forest.visits_N.tolist()) == {1}
    seen = seen_by_blocks(forest)
    for path in forest.paths:
        for end, node in enumerate(path.tolist()):
            assert list(seen[node].values()) == path[: end + 1].tolist()


def test_segments_are_cut_only_where_branches_are() -> None:
    forest = grown([[1, 2, 3, 4], [1, 2, 5], [1, 2, 5, 6], [7]])
    found = [(one.first, one.last, one.end, one.depth, one.parent) for one in forest.segments]
    assert found == [(0, 2, 6, 0, -1), (2, 4, 4, 2, 0), (4, 6, 6, 2, 0), (6, 7, 7, 0, -1)]


def test_nothing_to_lay_out_is_said() -> None:
    with pytest.raises(ValueError, match="2 sequences hold no position"):
        grown([[], []])


def test_common_prefix() -> None:
    assert common_prefix(np.array([1, 2, 3]), np.array([1, 2, 4, 5])) == 2
    assert common_prefix(np.array([1, 2]), np.array([1, 2, 4])) == 2
    assert common_prefix(np.array([], np.int64), np.array([1])) == 0
