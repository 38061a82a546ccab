import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vidpred.schedules.teacher_forcing import (
    Constant,
    Cosine,
    Exponential,
    InverseSigmoid,
    Linear,
    Schedule,
    Step,
    mix,
    toss,
)

DECAYS = [Linear, Step, Exponential, InverseSigmoid, Cosine]
COINS = {"clips": 6, "steps": 5, "seed": 3, "epoch": 2, "step": 17}


@given(st.integers(1, 100), st.integers(0, 99))
def test_linear_is_the_reference(total, start):
    if start >= total:
        return
    schedule = Linear(decay_start=start)
    for epoch in range(total):
        expected = 1.0 if epoch < start else 1 - (epoch - start) / (total - start)
        assert schedule(epoch, total) == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:teacher_forcing")
@given(st.integers(1, 60), st.integers(0, 60), st.floats(0, 0.5))
def test_step_falls_by_a_fixed_amount_from_its_start(total, start, amount):
    schedule = Step(decay_start=start, amount=amount, prob_stop=0.1)
    values = [schedule(epoch, total) for epoch in range(total)]
    assert all(value == 1.0 for value in values[:start])
    for before, after in zip(values[max(0, start - 1) :], values[max(1, start) :], strict=False):
        assert after == pytest.approx(max(0.1, before - amount))


@pytest.mark.filterwarnings("ignore:teacher_forcing")
@pytest.mark.parametrize("law", DECAYS)
@given(st.integers(1, 50), st.integers(0, 80), st.floats(0, 1), st.floats(0, 1))
def test_probabilities_hold_then_fall_in_range(law, total, start, one, other):
    stop, top = sorted((one, other))
    schedule = law(decay_start=start, prob_start=top, prob_stop=stop)
    values = [schedule(epoch, total) for epoch in range(total)]
    assert set(values[:start]) <= {top}
    assert values == sorted(values, reverse=True)
    assert stop <= values[-1] + 1e-15
    assert values[0] <= top


@pytest.mark.parametrize("law", [Linear, Exponential, InverseSigmoid, Cosine])
@given(st.integers(1, 50), st.integers(0, 49), st.floats(0, 1))
def test_a_decay_begins_where_it_was(law, total, start, top):
    start = min(start, total - 1)
    assert law(decay_start=start, prob_start=top, prob_stop=0.1)(start, total) == top


@pytest.mark.parametrize("law", DECAYS)
def test_a_decay_that_never_starts_is_warned_of(law):
    with pytest.warns(UserWarning, match="decay_start=10"):
        assert law(decay_start=10)(9, 10) == 1.0


@given(k=st.floats(0.01, 0.99), start=st.integers(0, 20))
def test_exponential_is_torchs_after_its_start(torch_factors, k, start):
    factors = torch_factors(lambda opt: torch.optim.lr_scheduler.ExponentialLR(opt, k), 30)
    schedule = Exponential(k=k, decay_start=start, prob_stop=0.25)
    expected = [0.25 + 0.75 * factor for factor in factors]
    assert [schedule(start + epoch, 60) for epoch in range(30)] == pytest.approx(expected)


@given(length=st.integers(1, 60), start=st.integers(0, 20))
def test_cosine_is_torchs_after_its_start(torch_factors, length, start):
    factors = torch_factors(lambda opt: torch.optim.lr_scheduler.CosineAnnealingLR(opt, length), length)
    values = [Cosine(decay_start=start)(start + epoch, start + length) for epoch in range(length)]
    assert values == pytest.approx(factors, abs=1e-9)


@given(st.floats(1, 16), st.integers(0, 20))
def test_inverse_sigmoid_is_the_papers_up_to_its_first_value(k, start):
    paper = [k / (k + math.exp(epoch / k)) for epoch in range(60)]
    schedule = InverseSigmoid(k=k, decay_start=start)
    values = [schedule(start + epoch, 100) for epoch in range(60)]
    assert values == pytest.approx([value / paper[0] for value in paper], abs=1e-12)
    half = k * math.log(k + 2)
    assert values[math.floor(half)] >= 0.5 - 1e-9
    assert values[math.ceil(half)] <= 0.5 + 1e-9


def test_inverse_sigmoid_does_not_overflow_in_long_runs():
    assert InverseSigmoid(k=1.0, decay_start=0)(100_000, 200_000) == 0.0


@given(st.integers(2, 80), st.integers(0, 40))
def test_the_smooth_decays_are_continuous(length, start):
    total = length + start
    for schedule, steepest in (
        (Linear(decay_start=start), 1 / length),
        (Cosine(decay_start=start), math.pi / 2 / length),
        (Exponential(decay_start=start, k=0.8), 0.2),
        (InverseSigmoid(decay_start=start, k=5.0), 6 / 5 / 4),
    ):
        values = [schedule(epoch, total) for epoch in range(total)]
        assert max(before - after for before, after in pairwise(values)) <= steepest + 1e-9


@pytest.mark.parametrize("law", DECAYS)
def test_one_epoch_is_the_start(law):
    assert law(decay_start=0)(0, 1) == (0.9 if law is Step else 1.0)


@pytest.mark.parametrize("law", DECAYS)
def test_every_law_is_a_schedule(law):
    assert isinstance(law(), Schedule)
    assert isinstance(Constant(prob=1.0), Schedule)


@pytest.mark.parametrize(
    ("granularity", "constant_along"),
    [("epoch", ("clip", "frame")), ("batch", ("clip", "frame")), ("clip", ("frame",)), ("frame", ())],
)
def test_one_coin_decides_for_its_granularity(granularity, constant_along):
    schedule = Constant(prob=0.5, granularity=granularity)
    coins = torch.stack([toss(schedule, 0.5, **{**COINS, "step": step}) for step in range(60)])
    assert coins.shape == (60, 6, 5)
    assert (coins == coins[:, :1]).all() == ("clip" in constant_along)
    assert (coins == coins[:, :, :1]).all() == ("frame" in constant_along)
    assert (coins == coins[:1]).all() == (granularity == "epoch")


def test_coins_are_a_function_of_seed_and_moment():
    schedule = Constant(prob=0.5, granularity="frame")
    assert torch.equal(toss(schedule, 0.5, **COINS), toss(schedule, 0.5, **COINS))
    assert not torch.equal(toss(schedule, 0.5, **COINS), toss(schedule, 0.5, **{**COINS, "seed": 4}))


@given(st.floats(0, 1))
def test_coins_fall_as_often_as_the_probability_says(prob):
    schedule = Constant(prob=prob, granularity="frame")
    share = toss(schedule, prob, clips=100, steps=100, seed=0, epoch=0, step=0).double().mean()
    assert abs(float(share) - prob) < 0.025
    if prob in (0.0, 1.0):
        assert share == prob


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Constant(prob=1.2), "prob"),
        (lambda: Linear(decay_start=-1), "decay_start"),
        (lambda: Linear(prob_stop=-0.1), "prob_stop"),
        (lambda: Step(amount=-1.0), "amount"),
        (lambda: Exponential(k=1.0), "k must"),
        (lambda: Exponential(k=0.0), "k must"),
        (lambda: InverseSigmoid(k=0.5), "k must"),
        (lambda: Cosine(prob_start=1.5), "prob_start"),
        (lambda: Step(prob_start=0.2, prob_stop=0.5), "prob_stop"),
    ],
)
def test_impossible_options_are_refused(make, word):
    with pytest.raises(ValueError, match=word):
        make()


def test_pixels_are_mixed_by_the_probability_itself():
    shares = mix(Constant(prob=0.3, mixing="pixels"), 0.3, **COINS)
    assert shares.shape == (6, 5)
    assert (shares == torch.tensor(0.3)).all()


def test_a_granularity_of_coins_that_are_not_tossed_is_refused():
    with pytest.raises(ValueError, match="granularity=frame would be ignored"):
        Linear(mixing="pixels", granularity="frame")
