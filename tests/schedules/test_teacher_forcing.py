import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vidpred.schedules.teacher_forcing import Constant, Linear, Step, toss

COINS = {"clips": 6, "steps": 5, "seed": 3, "epoch": 2, "step": 17}


@given(st.integers(1, 100), st.integers(0, 99))
def test_linear_is_the_reference(total, start):
    if start >= total:
        return
    schedule = Linear(decay_start=start)
    for epoch in range(total):
        expected = 1.0 if epoch < start else 1 - (epoch - start) / (total - start)
        assert schedule(epoch, total) == pytest.approx(expected)


@given(st.integers(1, 60), st.integers(0, 60), st.floats(0, 0.5))
def test_step_falls_by_a_fixed_amount_from_its_start(total, start, amount):
    schedule = Step(decay_start=start, amount=amount, prob_stop=0.1)
    values = [schedule(epoch, total) for epoch in range(total)]
    assert all(value == 1.0 for value in values[:start])
    for before, after in zip(values[max(0, start - 1) :], values[max(1, start) :], strict=False):
        assert after == pytest.approx(max(0.1, before - amount))


@pytest.mark.filterwarnings("ignore:teacher_forcing")
@given(st.integers(1, 50), st.integers(0, 80), st.integers(0, 60))
def test_probabilities_stay_in_range(total, start, epoch):
    for schedule in (Linear(decay_start=start), Step(decay_start=start)):
        assert 0 <= schedule(epoch, total) <= 1


def test_a_decay_that_never_starts_is_warned_of():
    with pytest.warns(UserWarning, match="decay_start=10"):
        assert Linear(decay_start=10)(9, 10) == 1.0


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
        (lambda: Step(prob_start=0.2, prob_stop=0.5), "prob_stop"),
    ],
)
def test_impossible_options_are_refused(make, word):
    with pytest.raises(ValueError, match=word):
        make()
