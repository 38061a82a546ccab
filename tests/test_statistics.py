import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidpred.statistics import best_of_k, interval, paired_interval, slope


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


def test_paired_intervals_do_not_see_what_both_have_in_common():
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 10, 30)  # how hard a clip is
    first, second = hard + rng.normal(0.5, 0.2, (1, 30)), hard + rng.normal(0, 0.2, (1, 30))
    found = paired_interval(first, second)
    assert found.low > 0.3
    assert found.high < 0.7
    alone = interval((first - second)[0])
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high), abs=0.02)


def test_paired_intervals_know_how_far_seeds_lie_apart():
    clips = np.zeros(20)
    seeds = np.array([0.0, 1.0, 2.0, 3.0])[:, None]
    same = paired_interval(seeds * 0 + 1.5 + clips, clips[None])
    spread = paired_interval(seeds + clips, clips[None])
    assert same == pytest.approx((1.5, 1.5, 1.5))
    assert spread.mean == 1.5
    assert spread.high - spread.low > 1.5  # four seeds of standard deviation 1.1: the mean's is 0.56


def test_paired_intervals_cover_the_difference_of_settings():
    """Both clips and seeds are random; the bootstrap of few seeds is known to be too narrow, but not by much."""
    rng = np.random.default_rng(0)
    hits = 0
    for number in range(200):
        hard = rng.normal(0, 3, 15)
        scores = [hard + rng.normal(0, 0.3, (8, 1)) + rng.normal(0, 0.3, (8, 15)) for _ in range(2)]
        found = paired_interval(scores[0] + 1.0, scores[1], seed=number)
        hits += found.low <= 1.0 <= found.high
    assert 0.85 < hits / 200 < 0.99


def test_one_pair_of_clips_has_no_interval():
    found = paired_interval(np.ones((2, 1)), np.zeros((1, 1)))
    assert found.mean == 1
    assert math.isnan(found.low)
