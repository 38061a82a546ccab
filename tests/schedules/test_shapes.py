import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidpred.schedules.shapes import Shape, between, rise

SHAPES = get_args(Shape)
STEEPEST = {"linear": 1.0, "cosine": math.pi / 2, "sigmoid": 3 / math.tanh(3)}


def logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_rise_goes_from_0_to_1_to_the_bit_and_is_half_way_in_the_middle(shape):
    assert (rise(shape, 0.0), rise(shape, 1.0)) == (0.0, 1.0)
    assert rise(shape, 0.5) == pytest.approx(0.5)


@pytest.mark.parametrize("shape", SHAPES)
@given(st.floats(0, 1), st.floats(0, 1))
def test_a_rise_never_falls_and_is_no_steeper_than_its_slope(shape, one, other):
    first, second = sorted((one, other))
    climb = rise(shape, second) - rise(shape, first)
    assert -1e-15 <= climb <= STEEPEST[shape] * (second - first) + 1e-12


@given(st.floats(0, 1))
def test_the_sigmoid_is_the_authors_stretched_to_its_ends(progress):
    """Fu et al.'s code: 1 / (1 + exp(−(12 u − 6)))."""
    low, high = logistic(-6), logistic(6)
    assert rise("sigmoid", progress) == pytest.approx((logistic(12 * progress - 6) - low) / (high - low), abs=1e-12)


@given(st.floats(0, 1))
def test_the_cosine_is_the_authors(progress):
    assert rise("cosine", progress) == pytest.approx(0.5 - 0.5 * math.cos(math.pi * progress))


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0, 1), st.floats(0, 1))
def test_between_is_monotone_and_exact_at_its_ends(start, stop, one, other):
    assert (between(start, stop, 0.0), between(start, stop, 1.0)) == (start, stop)
    first, second = (between(start, stop, share) for share in sorted((one, other)))
    ordered = (start, first, second, stop) if start <= stop else (stop, second, first, start)
    assert list(ordered) == sorted(ordered)
