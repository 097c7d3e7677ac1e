"""The default mutations: never the right answer, of the same shape where that can be."""

import random

from hypothesis import given
from hypothesis import strategies as st

from palestra.envs.mutations import mutate_answer
from palestra.envs.types import canonical

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
ANSWERS = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(ANSWERS, st.integers(), st.lists(st.text(), max_size=3))
def test_a_mutant_differs_from_the_answer(answer: object, seed: int, texts: list[str]) -> None:
    before = canonical(answer)
    mutant = mutate_answer(random.Random(seed), answer, {"texts": texts})
    assert canonical(mutant) != before
    assert canonical(answer) == before


def test_a_name_becomes_another_name_of_the_world() -> None:
    world = {"rooms": {"a": "Kitchen", "b": "Hall"}}
    assert mutate_answer(random.Random(0), "Kitchen", world) == "Hall"
