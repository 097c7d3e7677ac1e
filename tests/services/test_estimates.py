"""The estimators against enumeration and known values."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palestra.services.estimates import bootstrap, mean_of, pass_at_k, wilson


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_with_a_pass(case: tuple[int, int, int]) -> None:
    n, c, k = case
    draws = list(itertools.combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws))


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 0), (4, 2, 5)])
def test_pass_at_k_refuses_what_cannot_be(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="cannot be estimated"):
        pass_at_k(n, c, k)


def test_wilson_matches_published_values_and_stays_inside() -> None:
    low, high = wilson(15, 50)
    assert (round(low, 3), round(high, 3)) == (0.191, 0.438)
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0
    with pytest.raises(ValueError, match="no interval"):
        wilson(1, 0)


def test_the_mean_uses_wilson_for_zeros_and_ones_and_the_bootstrap_otherwise() -> None:
    assert (mean_of([1.0] * 8).low, mean_of([1.0] * 8).high) == wilson(8, 8)
    values = [0.25, 0.5, 1.0, 0.0, 0.75]
    estimate = mean_of(values)
    assert (estimate.low, estimate.high) == bootstrap(values)
    assert estimate.low < estimate.value == 0.5 < estimate.high
    assert math.isnan(mean_of([]).value)
    assert str(mean_of([])) == "n/a"
