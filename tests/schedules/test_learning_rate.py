import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vidpred.schedules.learning_rate import MultiStep, WarmupCosine


def test_cosine_is_torchs(torch_factors):
    expected = torch_factors(lambda opt: torch.optim.lr_scheduler.CosineAnnealingLR(opt, 50, eta_min=0.1), 50)
    law = WarmupCosine(warmup=0.0, floor=0.1)
    assert [law(position, 50) for position in range(50)] == pytest.approx(expected)


def test_multistep_is_torchs(torch_factors):
    expected = torch_factors(lambda opt: torch.optim.lr_scheduler.MultiStepLR(opt, [2, 5], gamma=0.1), 9)
    assert [MultiStep()(position, 9) for position in range(9)] == pytest.approx(expected)


@given(st.integers(1, 500), st.floats(0, 0.9), st.floats(0, 1))
def test_warmup_rises_and_cosine_falls(total, warmup, floor):
    law = WarmupCosine(warmup=warmup, floor=floor)
    values = [law(position, total) for position in range(total)]
    top = values.index(max(values))
    assert values[: top + 1] == sorted(values[: top + 1])
    assert values[top:] == sorted(values[top:], reverse=True)
    assert 0 <= min(values) <= max(values) <= 1 + 1e-12


@pytest.mark.parametrize(
    ("law", "total", "sentence"),
    [
        (WarmupCosine(warmup=0.1, floor=0.01), 100, "The learning rate warms up to 1 of optimizer.lr at step 9, "
         "then falls to 0.0103 of optimizer.lr at step 99, the last."),
        (MultiStep(), 9, "The learning rate falls at epochs 2, 5 to 0.01 of optimizer.lr."),
        (MultiStep(milestones=[]), 9, "The learning rate is 1 of optimizer.lr throughout."),
        (WarmupCosine(warmup=0.9), 10, "The learning rate warms up to 1 of optimizer.lr at step 8."),
    ],
)  # fmt: skip
def test_it_says_what_it_will_do(law, total, sentence):
    assert law.describe(total) == sentence


def test_milestones_after_the_end_are_warned_of_and_left_out_of_short_runs():
    with pytest.warns(UserWarning, match=r"milestones=\[5\] are not before the end of the run \(4 epochs\)"):
        MultiStep()(0, 4)
    assert MultiStep().fit(4) == MultiStep(milestones=[2])
    assert MultiStep().fit(9) == MultiStep(milestones=[2, 5])


@pytest.mark.parametrize(
    ("make", "word"),
    [(lambda: WarmupCosine(warmup=1.0), "warmup"), (lambda: WarmupCosine(floor=1.5), "floor"),
     (lambda: MultiStep(gamma=0.0), "gamma")],
)  # fmt: skip
def test_impossible_options_are_refused(make, word):
    with pytest.raises(ValueError, match=word):
        make()
