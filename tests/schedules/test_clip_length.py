import pickle
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vidpred.schedules.clip_length import Constant, Growing

TENTHS = st.integers(0, 10)


def course(law: Growing, total: int, clip_length: int) -> list[int]:
    return [law(position, total, clip_length=clip_length) for position in range(total)]


@given(st.integers(1, 100), st.integers(0, 30), TENTHS, st.integers(2, 12), st.integers(0, 20))
def test_lengths_are_the_closed_form(length, delay, tenths, start, more):
    clip_length, ramp = start + more, Fraction(tenths, 10)
    law = Growing(length_start=start, delay=delay, ramp=tenths / 10)
    expected = [start] * delay
    for elapsed in range(length):
        share = min(Fraction(1), Fraction(elapsed, length) / ramp) if ramp else Fraction(1)
        expected.append((start * (1 - share) + clip_length * share).__floor__())
    assert course(law, length + delay, clip_length) == expected


@given(st.integers(1, 100), st.integers(0, 99), st.floats(0, 1), st.integers(2, 16))
def test_clips_never_get_shorter_nor_longer_than_whole(total, delay, ramp, start):
    assume(delay < total)
    law = Growing(length_start=start, delay=delay, ramp=ramp)
    values = course(law, total, 16)
    assert values == sorted(values)
    assert start <= values[0] <= values[-1] <= 16
    assert law(total + 9, total, clip_length=16) == values[-1]


def test_clips_are_whole_when_the_ramp_ends():
    assert course(Growing(ramp=0.1), 10, 16) == [4] + [16] * 9
    assert course(Growing(ramp=0.5), 24, 16) == [*range(4, 16), *[16] * 12]
    assert course(Growing(delay=2, ramp=0.0), 4, 16) == [4, 4, 16, 16]


def test_no_curriculum_is_whole_clips():
    assert Constant()(0, 7, clip_length=16) == 16


@given(st.integers(1, 60), st.integers(0, 80), st.floats(0, 1))
def test_a_fitted_law_runs_and_one_that_fits_is_left_alone(total, delay, ramp):
    law = Growing(delay=delay, ramp=ramp)
    fitted = law.fit(total)
    course(fitted, total, 16)
    assert fitted.fit(total) == fitted
    assert (fitted == law) == (delay <= max(0, total - 2))
    assert Constant().fit(total) == Constant()


def test_schedules_are_values():
    law = Growing(delay=3)
    assert course(pickle.loads(pickle.dumps(law)), 20, 16) == course(law, 20, 16)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"length_start": 1}, "length_start"),
        ({"delay": -1}, "delay"),
        ({"ramp": 1.1}, "ramp"),
        ({"ramp": -0.1}, "ramp"),
    ],
)
def test_impossible_options_are_refused(options, word):
    with pytest.raises(ValueError, match=word):
        Growing(**options)


def test_what_cannot_work_in_a_run_is_refused():
    with pytest.raises(ValueError, match="delay=10"):
        Growing(delay=10)(0, 10, clip_length=16)
    with pytest.raises(ValueError, match="length_start=20"):
        Growing(length_start=20)(0, 10, clip_length=16)
