import pickle
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidpred.schedules.kl_anneal import Constant, Cyclical

RUNS = st.tuples(st.integers(1, 200), st.integers(1, 200)).map(lambda pair: (max(pair), min(pair)))
RAMPS = st.floats(0, 1)


def exact_beta(position: int, total: int, cycles: int, ramp: float, start: float, stop: float) -> float:
    """The law of the paper in exact fractions."""
    phase = Fraction(position * cycles % total, total)
    rise = Fraction(1) if ramp == 0 else min(Fraction(1), phase / Fraction(ramp))
    return float(start + (stop - start) * rise)


@given(RUNS, RAMPS, st.floats(0, 2), st.floats(0, 2))
def test_beta_is_the_papers_closed_form(run, ramp, start, stop):
    total, cycles = run
    anneal = Cyclical(beta_start=start, beta_stop=stop, cycles=cycles, ramp=ramp)
    for position in range(total):
        expected = exact_beta(position, total, cycles, ramp, start, stop)
        assert anneal(position, total) == pytest.approx(expected, abs=1e-9)


@given(RUNS, RAMPS, st.integers(0, 20))
def test_beta_stays_between_start_and_stop(run, ramp, delay):
    total, cycles = run
    anneal = Cyclical(beta_start=0.2, beta_stop=0.7, cycles=cycles, ramp=ramp, delay=delay)
    values = [anneal(position, total + delay) for position in range(total + delay)]
    assert min(values) >= 0.2
    assert max(values) <= 0.7 + 1e-12
    assert all(value == 0.2 for value in values[:delay])


@given(st.integers(2, 300), st.floats(0, 1))
def test_one_cycle_never_falls(total, ramp):
    anneal = Cyclical(cycles=1, ramp=ramp)
    values = [anneal(position, total) for position in range(total)]
    assert values == sorted(values)


@given(st.integers(1, 12), st.integers(1, 12))
def test_whole_periods_repeat(cycles, period):
    anneal = Cyclical(cycles=cycles, ramp=0.5)
    values = [anneal(position, cycles * period) for position in range(cycles * period)]
    assert values == values[:period] * cycles


def test_every_cycle_starts_at_beta_start_though_the_period_is_not_whole():
    # the float form e mod (E / M) gives a phase near 1 here
    assert Cyclical(cycles=6, ramp=0.5)(5, 10) == 0.0


def test_a_full_ramp_does_not_reach_stop():
    anneal = Cyclical(cycles=10, ramp=1.0)
    assert max(anneal(position, 70) for position in range(70)) == pytest.approx(6 / 7)


def test_no_ramp_is_stop_throughout():
    assert {Cyclical(cycles=3, ramp=0.0)(position, 10) for position in range(10)} == {1.0}


def test_one_position_is_the_start():
    assert Cyclical()(0, 1) == 0.0


def test_after_the_end_the_last_value_stays():
    anneal = Cyclical(cycles=2, ramp=0.5)
    assert anneal(25, 20) == anneal(19, 20) == 1.0


def test_none_is_constant():
    assert {Constant()(position, 7) for position in range(7)} == {1.0}


@pytest.mark.parametrize(
    ("options", "word"),
    [({"cycles": 0}, "cycles"), ({"ramp": 1.5}, "ramp"), ({"beta_stop": -1.0}, "beta"), ({"delay": -1}, "delay"),
     ({"ramp": -0.1}, "ramp")],
)  # fmt: skip
def test_impossible_options_are_refused(options, word):
    with pytest.raises(ValueError, match=word):
        Cyclical(**options)


def test_a_constant_refuses_what_it_cannot_mean():
    with pytest.raises(ValueError, match="beta_stop"):
        Constant(beta_stop=-0.1)


def test_more_cycles_than_epochs_are_refused():
    with pytest.raises(ValueError, match="11 cycles do not fit in 10"):
        Cyclical(cycles=11)(0, 10)


def test_schedules_are_values():
    anneal = Cyclical(cycles=3)
    assert pickle.loads(pickle.dumps(anneal)) == anneal
    assert [anneal(4, 10), anneal(4, 10)] == [anneal(4, 10)] * 2
