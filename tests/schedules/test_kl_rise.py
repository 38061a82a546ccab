import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vidpred.schedules.kl_anneal import Rise
from vidpred.schedules.shapes import Shape

SHAPES = get_args(Shape)
STEEPEST = {"linear": 1.0, "cosine": math.pi / 2, "sigmoid": 3 / math.tanh(3)}
SPANS = st.tuples(st.integers(0, 60), st.integers(1, 60))  # delay, epochs of the rise
BETAS = st.floats(0, 2)


def course(law: Rise, total: int) -> list[float]:
    return [law(position, total) for position in range(total)]


@given(SPANS, BETAS, BETAS)
def test_a_linear_rise_interpolates_between_its_two_positions(span, start, stop):
    delay, length = span
    law = Rise(beta_start=start, beta_stop=stop, delay=delay, end=delay + length)
    positions = np.arange(delay + length + 10)
    assert course(law, len(positions)) == pytest.approx(
        list(np.interp(positions, [delay, delay + length], [start, stop])), abs=1e-12
    )


@given(length=st.integers(2, 60))
def test_a_cosine_rise_mirrors_torchs(torch_factors, length):
    factors = torch_factors(lambda opt: torch.optim.lr_scheduler.CosineAnnealingLR(opt, length), length + 1)
    assert course(Rise(shape="cosine", end=length), length + 1) == pytest.approx([1 - factor for factor in factors])


@given(length=st.integers(1, 60))
def test_a_sigmoid_rise_is_the_stretched_logistic(length):
    logistic = [1 / (1 + math.exp(6 - 12 * position / length)) for position in range(length + 1)]
    expected = [(value - logistic[0]) / (logistic[-1] - logistic[0]) for value in logistic]
    assert course(Rise(shape="sigmoid", end=length), length + 1) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@given(SPANS, BETAS, BETAS, st.integers(1, 20))
def test_ends_are_exact_and_the_way_is_monotone_and_continuous(shape, span, start, stop, rest):
    delay, length = span
    end = delay + length
    values = course(Rise(shape=shape, beta_start=start, beta_stop=stop, delay=delay, end=end), end + rest)
    assert set(values[: delay + 1]) == {start}
    assert set(values[end:]) == {stop}
    assert values == sorted(values, reverse=stop < start)
    steepest = STEEPEST[shape] * abs(stop - start) / length
    assert max(abs(np.diff(values)), default=0) <= steepest + 1e-12


@given(st.integers(1, 100), st.integers(0, 99))
def test_without_an_end_the_last_position_is_at_stop(total, delay):
    delay = min(delay, total - 1)
    law = Rise(delay=delay, beta_stop=0.7)
    assert law(total - 1, total) == law(total + 50, total) == 0.7
    assert law(0, total) == (0.7 if total == 1 else 0.0)


def test_after_the_end_of_the_run_the_last_value_stays():
    law = Rise(end=40)
    assert law(25, 20) == law(19, 20) == pytest.approx(19 / 40)


def test_an_end_at_the_delay_is_a_jump():
    assert course(Rise(delay=3, end=3), 6) == [0, 0, 0, 1, 1, 1]


def test_an_end_beyond_the_run_is_warned_of_at_its_start_only(recwarn):
    law = Rise(end=20)
    assert law(1, 20) > 0
    assert not recwarn
    with pytest.warns(UserWarning, match=r"end=20 is after the last epoch \(19\): beta never reaches 1.0, .* 0.95"):
        law(0, 20)


def test_a_last_position_at_the_end_is_not_warned_of(recwarn):
    Rise(end=19)(0, 20)
    assert not recwarn


@pytest.mark.parametrize("options", [{"delay": 20}, {"delay": 30, "end": 30}, {"delay": 19, "end": 25}])
def test_a_rise_that_has_no_room_is_refused(options):
    with pytest.raises(ValueError, match="leaves no epoch to rise in"):
        Rise(**options)(0, 20)


@pytest.mark.parametrize(
    ("options", "word"),
    [({"delay": 5, "end": 4}, "end"), ({"delay": -1}, "delay"), ({"beta_start": -0.1}, "beta_start")],
)
def test_impossible_options_are_refused(options, word):
    with pytest.raises(ValueError, match=word):
        Rise(**options)
