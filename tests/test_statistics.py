import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidpred.statistics import best_of_k, interval, slope


def test_intervals_cover_the_mean_as_often_as_they_say():
    """400 experiments of 20 clips each, skewed as scores are; a binomial share of 0.95 errs by 0.011."""
    rng = np.random.default_rng(0)
    hits = 0
    for number in range(400):
        found = interval(rng.gamma(4.0, 1.0, 20), seed=number)
        assert found.low < found.mean < found.high
        hits += found.low <= 4.0 <= found.high
    assert 0.89 < hits / 400 < 0.985


def test_intervals_are_a_function_of_values_and_seed():
    values = np.random.default_rng(1).normal(size=12)
    assert interval(values, seed=3) == interval(values, seed=3)


def test_one_clip_has_no_interval_and_equal_clips_a_point():
    assert math.isnan(interval(np.array([3.0])).low)
    assert interval(np.full(5, 2.0)) == (2.0, 2.0, 2.0)


@given(st.integers(1, 6), st.integers(1, 3), st.integers(0, 1000))
def test_best_of_k_is_the_mean_over_all_subsets(samples, clips, seed):
    scores = np.random.default_rng(seed).normal(size=(clips, samples))
    expected = [
        np.mean([[max(row[list(chosen)]) for chosen in combinations(range(samples), k)] for row in scores])
        for k in range(1, samples + 1)
    ]
    np.testing.assert_allclose(best_of_k(scores), expected, atol=1e-9)


def test_a_slope_is_per_frame_and_leaves_gaps_out():
    assert slope(np.array([1.0, np.nan, 2.0, 2.5])) == pytest.approx(0.5)
    assert slope(np.array([1.0])) == 0.0
