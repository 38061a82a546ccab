from fractions import Fraction
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from vidpred.schedules.kl_anneal import Cyclical, WarmRestarts
from vidpred.schedules.shapes import Shape

pytestmark = pytest.mark.filterwarnings("ignore:kl_anneal")
GROWTHS = st.sampled_from([1.0, 1.1, 1.3, 1.5, 2.0, 3.0])


def course(law: WarmRestarts | Cyclical, total: int) -> list[float]:
    return [law(position, total) for position in range(total)]


def exact_starts(length: int, cycles: int, growth: str) -> list[int]:
    """Geometric sums in closed form."""
    g = Fraction(growth)
    sums = [Fraction(i) if g == 1 else (g**i - 1) / (g - 1) for i in range(cycles + 1)]
    return [length * part // sums[-1] for part in sums]


@given(first=st.integers(1, 9), growth=st.integers(1, 3), cycles=st.integers(1, 4))
def test_a_full_cosine_ramp_mirrors_torchs_warm_restarts(torch_factors, first, growth, cycles):
    total = first * sum(growth**cycle for cycle in range(cycles))
    factors = torch_factors(
        lambda opt: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, first, T_mult=growth), total
    )
    law = WarmRestarts(shape="cosine", cycles=cycles, growth=float(growth), ramp=1.0)
    assert course(law, total) == pytest.approx([1 - factor for factor in factors], abs=1e-12)


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 1), st.sampled_from(get_args(Shape)))
def test_without_growth_whole_cycles_are_cyclical(period, cycles, ramp, shape):
    options = {"cycles": cycles, "ramp": ramp, "shape": shape}
    total = period * cycles
    assert course(WarmRestarts(growth=1.0, **options), total) == course(Cyclical(**options), total)


@given(st.integers(1, 200), st.integers(1, 6), GROWTHS, st.integers(0, 20), st.floats(0.01, 1))
def test_no_start_of_a_cycle_is_lost(length, cycles, growth, delay, ramp):
    starts = exact_starts(length, cycles, str(growth))
    assume(starts[1] >= 1)
    values = course(WarmRestarts(cycles=cycles, growth=growth, delay=delay, ramp=ramp), length + delay)
    assert values[:delay] == [0.0] * delay
    assert [position for position, value in enumerate(values[delay:]) if value == 0.0] == starts[:-1]
    lengths = np.diff(starts)
    assert all(after >= before * growth - growth - 1 for before, after in pairwise(lengths))


@given(st.integers(2, 200), st.integers(1, 6), GROWTHS, st.floats(0, 1), st.sampled_from(get_args(Shape)))
def test_beta_stays_in_range_and_rises_within_a_cycle(length, cycles, growth, ramp, shape):
    starts = exact_starts(length, cycles, str(growth))
    assume(starts[1] >= 1)
    law = WarmRestarts(beta_start=0.1, beta_stop=0.7, cycles=cycles, growth=growth, ramp=ramp, shape=shape)
    values = course(law, length)
    assert min(values) >= 0.1
    assert max(values) <= 0.7
    for start, stop in pairwise(starts):
        assert values[start:stop] == sorted(values[start:stop])
        held = values[start + int(np.ceil(ramp * (stop - start))) : stop]
        assert held == pytest.approx([0.7] * len(held))


def test_no_ramp_is_stop_throughout():
    assert set(course(WarmRestarts(cycles=3, ramp=0.0), 10)) == {1.0}


def test_after_the_end_the_last_value_stays():
    assert WarmRestarts(cycles=2, ramp=1.0)(99, 30) == WarmRestarts(cycles=2, ramp=1.0)(29, 30) == 0.95


@given(st.integers(1, 40), st.integers(1, 40), GROWTHS)
def test_cycles_that_do_not_fit_are_refused_and_others_are_not(total, cycles, growth):
    law = WarmRestarts(cycles=cycles, growth=growth)
    if sum(Fraction(str(growth)) ** cycle for cycle in range(cycles)) > total:
        with pytest.raises(ValueError, match=f"{cycles} cycles that grow by {growth} do not fit in {total} epochs"):
            law(0, total)
    else:
        assert law(0, total) == 0.0


@pytest.mark.parametrize(("options", "word"), [({"growth": 0.5}, "growth"), ({"cycles": 0}, "cycles")])
def test_impossible_options_are_refused(options, word):
    with pytest.raises(ValueError, match=word):
        WarmRestarts(**options)


def test_short_cycles_are_warned_of():
    with pytest.warns(UserWarning, match="a cycle of 1 epochs"):
        WarmRestarts(cycles=3)(0, 7)
    with pytest.warns(UserWarning, match=r"stays at 0\.0"):
        WarmRestarts(cycles=7, growth=1.0)(0, 7)
