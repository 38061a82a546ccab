"""What holds for every law: it is a pure value, the same number everywhere, and can be fitted to a short run."""

import pickle
import subprocess
import sys
import warnings
from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidpred.schedules import Fittable, kl_anneal, teacher_forcing

LAWS = [
    kl_anneal.Constant(beta_stop=0.3),
    kl_anneal.Rise(shape="sigmoid", delay=3, end=17),
    kl_anneal.Rise(shape="cosine", by="step"),
    kl_anneal.Cyclical(cycles=6, shape="cosine", delay=2),
    kl_anneal.Cyclical(cycles=1, ramp=0.25),
    kl_anneal.WarmRestarts(cycles=4, growth=1.3, beta_start=0.1),
    teacher_forcing.Constant(prob=0.4),
    teacher_forcing.Linear(),
    teacher_forcing.Step(decay_start=3, amount=0.07),
    teacher_forcing.Exponential(prob_stop=0.1),
    teacher_forcing.InverseSigmoid(k=7.0, granularity="frame"),
    teacher_forcing.Cosine(decay_start=5),
]
each_law = pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{type(law).__module__}.{type(law).__name__}")


def course(law: object, total: int) -> list[float]:
    return [law(position, total) for position in range(total)]


@each_law
def test_a_law_is_a_value_that_travels(law):
    copy = pickle.loads(pickle.dumps(law))
    assert copy == law
    assert hash(copy) == hash(law)
    assert course(copy, 37) == course(law, 37)
    with pytest.raises(FrozenInstanceError):
        setattr(law, fields(law)[0].name, 1)


@each_law
def test_the_order_of_the_calls_does_not_matter(law):
    assert [law(position, 37) for position in reversed(range(37))] == course(law, 37)[::-1]


@each_law
def test_after_the_end_the_last_value_stays(law):
    assert law(37, 37) == law(500, 37) == law(36, 37)


def test_a_fresh_process_finds_the_same_numbers(tmp_path):
    (tmp_path / "laws").write_bytes(pickle.dumps(LAWS))
    code = (
        "import pickle, sys; laws = pickle.load(open(sys.argv[1], 'rb'));"
        "print([[law(position, 37) for position in range(37)] for law in laws])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "laws"], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert answer.stdout.strip() == str([course(law, 37) for law in LAWS])


@each_law
@given(total=st.integers(1, 80))
def test_a_fitted_law_works_without_complaint(law, total):
    assert isinstance(law, Fittable)
    fitted = law.fit(total)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if total - getattr(fitted, "delay", 0) == 1 else "error")  # one has no course
        course(fitted, total)
    assert fitted.fit(total) == fitted


@each_law
def test_a_law_that_fits_is_left_alone(law):
    assert law.fit(37) == law


def test_fitting_shrinks_what_does_not_fit():
    assert kl_anneal.Cyclical(cycles=10, delay=7).fit(2) == kl_anneal.Cyclical(cycles=1, delay=1, ramp=1.0)
    assert kl_anneal.Cyclical(cycles=4, ramp=0.25).fit(6) == kl_anneal.Cyclical(cycles=3, ramp=0.5)
    assert kl_anneal.Cyclical(cycles=4, ramp=0.0).fit(6).ramp == 0.0
    assert kl_anneal.Rise(delay=9, end=12).fit(8) == kl_anneal.Rise(delay=6, end=7)
    assert kl_anneal.Rise(delay=9, end=12).fit(1) == kl_anneal.Rise(delay=0, end=0)
    assert kl_anneal.WarmRestarts(cycles=3).fit(13) == kl_anneal.WarmRestarts(cycles=2)
    assert teacher_forcing.Cosine(decay_start=9).fit(4) == teacher_forcing.Cosine(decay_start=2)
