"""Words that a user may misspell are refused also where no type checker stands in front."""

import pytest
from jaxtyping import TypeCheckError

from vidpred.schedules.kl_anneal import Constant, Cyclical
from vidpred.schedules.learning_rate import MultiStep, WarmupCosine
from vidpred.schedules.teacher_forcing import Linear


@pytest.mark.parametrize("make", [Constant, Cyclical, MultiStep, WarmupCosine])
def test_unknown_units_are_refused(make):
    with pytest.raises((ValueError, TypeCheckError), match="week"):
        make(by="week")


def test_unknown_granularity_is_refused():
    with pytest.raises((ValueError, TypeCheckError), match="day"):
        Linear(granularity="day")
