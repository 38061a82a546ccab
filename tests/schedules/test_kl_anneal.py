import math
import pickle
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from vidpred.schedules.kl_anneal import Constant, Cyclical

pytestmark = pytest.mark.filterwarnings("ignore:kl_anneal")

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


def test_a_refactor_has_not_changed_a_bit():
    anneal = Cyclical(beta_start=0.2, beta_stop=0.9, cycles=4, ramp=0.7)  # 0.2 + (0.9 - 0.2) is not 0.9
    for position in range(23):
        share = min(1.0, (position * 4 % 23 / 23) / 0.7)
        assert anneal(position, 23) == 0.2 + (0.9 - 0.2) * share


@pytest.mark.parametrize("shape", ["sigmoid", "cosine"])
@given(RUNS, st.floats(0.01, 1), st.floats(0, 2), st.floats(0, 2))
def test_a_shaped_ramp_is_the_linear_one_bent(shape, run, ramp, start, stop):
    total, cycles = run
    options = {"cycles": cycles, "ramp": ramp}
    bent = Cyclical(shape=shape, beta_start=start, beta_stop=stop, **options)
    for position in range(total):
        share = Cyclical(**options)(position, total)
        sigmoid = (math.tanh(6 * share - 3) / math.tanh(3) + 1) / 2
        expected = sigmoid if shape == "sigmoid" else math.sin(math.pi * share / 2) ** 2
        value = bent(position, total)
        assert value == pytest.approx(start + (stop - start) * expected, abs=1e-9)
        if share in (0.0, 1.0):
            assert value == (stop if share else start)


@given(st.integers(1, 12), st.integers(3, 40), st.floats(0.1, 1))
def test_within_a_ramp_beta_is_continuous(cycles, period, ramp):
    for shape, steepest in {"linear": 1.0, "cosine": math.pi / 2, "sigmoid": 3 / math.tanh(3)}.items():
        anneal = Cyclical(shape=shape, cycles=cycles, ramp=ramp)
        values = [anneal(position, cycles * period) for position in range(period)]
        assert values == sorted(values)
        assert max(after - before for before, after in pairwise(values)) <= steepest / (ramp * period) + 1e-9


@given(st.integers(1, 100))
def test_as_many_cycles_as_epochs_never_leave_the_start(total):
    assert {Cyclical(cycles=total)(position, total) for position in range(total)} == {0.0}


@pytest.mark.parametrize(
    ("options", "total", "words"),
    [
        ({"cycles": 10}, 10, r"every cycle is one epoch long: beta stays at 0\.0"),
        ({"cycles": 8}, 10, r"a cycle of 1\.25 epochs"),
        ({"cycles": 5, "ramp": 0.4}, 10, r"a cycle of 2 epochs, in which beta rises for 0\.8"),
    ],
)
def test_what_hardly_works_is_warned_of_at_the_start(options, total, words, recwarn):
    Cyclical(**options)(1, total)
    assert not recwarn
    with pytest.warns(UserWarning, match=words):
        Cyclical(**options)(0, total)


@pytest.mark.parametrize("options", [{"cycles": 5}, {"cycles": 10, "ramp": 0.0}, {"cycles": 2, "ramp": 0.2}])
def test_a_ramp_of_one_epoch_or_none_is_not_warned_of(options, recwarn):
    Cyclical(**options)(0, 10)
    assert not recwarn


def test_an_unknown_shape_is_refused():
    with pytest.raises((ValueError, TypeCheckError), match="square"):
        Cyclical(shape="square")
