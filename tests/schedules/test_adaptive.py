"""Forcing that follows the training: what moves it, what does not, and what it remembers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vidpred.schedules.teacher_forcing import Adaptive, mix

FORCED = torch.tensor([[True, True, True], [True, False, False]])


def errors(forced: float, free: float) -> torch.Tensor:
    return torch.where(FORCED, forced, free)


def live_through(law: Adaptive, *epochs: tuple[float, float]) -> list[float]:
    values = []
    for forced, free in epochs:
        law.observe(errors(forced, free), FORCED)
        law.advance()
        values.append(law(0, 1))
    return values


def test_it_falls_where_running_free_costs_little_and_stays_where_it_costs_more():
    law = Adaptive(prob_start=0.9, fall=0.2, tolerance=0.1)
    assert live_through(law, (1.0, 2.0), (1.0, 1.2), (1.0, 1.05), (1.0, 3.0), (2.0, 2.0)) == pytest.approx(
        [0.9, 0.9, 0.7, 0.7, 0.5]
    )


@given(st.lists(st.tuples(st.floats(0.01, 10), st.floats(0.01, 10)), max_size=30), st.floats(0, 0.8))
def test_it_never_rises_nor_falls_below_its_floor(epochs, floor):
    law = Adaptive(prob_start=0.9, prob_stop=floor, fall=0.25)
    values = [0.9, *live_through(law, *epochs)]
    assert values == sorted(values, reverse=True)
    assert min(values) >= floor


def test_it_does_not_move_before_both_kinds_were_seen():
    law = Adaptive()
    for _ in range(3):
        law.observe(torch.ones(2, 4), torch.ones(2, 4, dtype=torch.bool))
        law.advance()
    assert law(0, 1) == 0.9
    law.observe(torch.ones(2, 4), torch.zeros(2, 4, dtype=torch.bool))
    law.advance()
    assert law(0, 1) == pytest.approx(0.8)


def test_a_clips_first_step_does_not_count():
    law = Adaptive()
    law.observe(torch.tensor([[100.0, 1.0], [0.0, 1.0]]), torch.tensor([[False, True], [True, False]]))
    law.advance()
    assert law(0, 1) == pytest.approx(0.8)


def test_steps_that_are_not_finite_are_left_out():
    law = Adaptive()
    observed = errors(1.0, 1.0)
    observed[1, 2] = float("nan")
    law.observe(observed, FORCED)
    law.advance()
    assert law(0, 1) == pytest.approx(0.8)


def test_its_state_travels_in_the_middle_of_an_epoch():
    first, second = Adaptive(), Adaptive()
    live_through(first, (1.0, 1.0))
    first.observe(errors(1.0, 5.0), FORCED)
    second.load_state_dict(first.state_dict())
    for law in (first, second):
        law.advance()
    assert first(0, 1) == second(0, 1) == pytest.approx(0.8)
    assert first.get_extra_state() == second.get_extra_state()


@pytest.mark.parametrize(
    "options",
    [{"prob_start": 1.0}, {"prob_start": 0.0}, {"prob_stop": 0.95}, {"fall": 0.0}, {"tolerance": -0.1},
     {"prob_stop": -0.1}],
)  # fmt: skip
def test_what_cannot_work_is_refused(options):
    with pytest.raises(ValueError, match="teacher_forcing"):
        Adaptive(**options)


def test_it_tosses_coins():
    assert mix(Adaptive(), 0.5, clips=2, steps=3, seed=0, epoch=0, step=0).dtype == torch.bool
