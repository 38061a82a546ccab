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
    ("make", "word"),
    [(lambda: WarmupCosine(warmup=1.0), "warmup"), (lambda: WarmupCosine(floor=1.5), "floor"),
     (lambda: MultiStep(gamma=0.0), "gamma")],
)  # fmt: skip
def test_impossible_options_are_refused(make, word):
    with pytest.raises(ValueError, match=word):
        make()
