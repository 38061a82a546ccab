"""The numbers of the sentences are those of the values, found here in another way."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidpred.schedules import clip_length, kl_anneal, teacher_forcing
from vidpred.schedules.course import LISTED

pytestmark = pytest.mark.filterwarnings("ignore:kl_anneal", "ignore:teacher_forcing")
SHAPES = st.sampled_from(["linear", "sigmoid", "cosine"])
RAMPS = st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])
CYCLES = st.builds(
    kl_anneal.Cyclical, shape=SHAPES, ramp=RAMPS, cycles=st.integers(1, 12), delay=st.integers(0, 5),
    beta_stop=st.sampled_from([0.0, 0.3, 1.0])
)  # fmt: skip
RESTARTS = st.builds(kl_anneal.WarmRestarts, shape=SHAPES, ramp=RAMPS, cycles=st.integers(1, 4))
RISES = st.builds(kl_anneal.Rise, shape=SHAPES, delay=st.integers(0, 9), end=st.integers(9, 30))
DECAY = {"decay_start": st.integers(0, 50), "prob_stop": st.sampled_from([0.0, 0.2, 1.0])}
DECAYS = st.one_of(
    *(st.builds(law, **DECAY) for law in (teacher_forcing.Linear, teacher_forcing.Cosine, teacher_forcing.Exponential)),
    st.builds(teacher_forcing.Step, amount=st.sampled_from([0.0, 0.05, 0.1, 0.3]), **DECAY),
    st.builds(teacher_forcing.InverseSigmoid, k=st.floats(1, 20), **DECAY),
)


def number(sentence: str, pattern: str) -> int:
    found = re.search(pattern, sentence)
    assert found, sentence
    return int(found[1])


@given(st.one_of(CYCLES, RESTARTS, RISES), st.integers(20, 80))
def test_what_is_said_of_beta_is_so(law, total):
    sentence = law.describe(total)
    values = [law(position, total) for position in range(total)]
    falls = [position for position in range(1, total) if values[position] < values[position - 1]]
    full = [position for position in range(total) if values[position] == pytest.approx(law.beta_stop, abs=0)]
    if len(set(values)) == 1:
        assert sentence.startswith(f"beta is {values[0]:.4g} throughout")
    elif falls:
        told = [int(word) for word in re.findall(r"\d+", sentence.split(" and ")[0].split("(")[0])]
        begin, *restarts = told
        assert values[begin] == values[0] < values[begin + 1]
        if len(falls) < LISTED:
            assert restarts == falls
        else:
            assert restarts == [*falls[:2], falls[-1]]
            assert f"({len(falls) + 1} in all)" in sentence
        check_share(sentence, values, [begin, *falls, total], full)
    elif values[-1] == law.beta_stop:
        first = number(sentence, r"fully weighted \(beta [\d.]+\) from epoch (\d+)\.")
        assert full == list(range(first, total))
    else:
        assert not full
        assert f"to {values[-1]:.4g} at epoch {total - 1}, the last: KL is never fully weighted" in sentence


def check_share(sentence: str, values: list[float], edges: list[int], full: list[int]) -> None:
    spans = [range(*pair) for pair in pairwise(edges)]
    counts = [(sum(position in full for position in span), len(span)) for span in spans]
    if "half of each cycle" in sentence:
        assert all(2 * count == length for count, length in counts)
    elif "of each cycle" in sentence:
        assert {counts[0]} == set(counts)
        assert f"for {counts[0][0]} of the {counts[0][1]} epochs of each cycle" in sentence
    elif full:
        assert f"for {len(full)} of the {len(values)} epochs" in sentence
    else:
        assert f"never fully weighted: it gets to {max(values):.4g}" in sentence


@given(DECAYS, st.integers(1, 60))
def test_what_is_said_of_teacher_forcing_is_so(law, total):
    sentence = law.describe(total)
    values = [law(epoch, total) for epoch in range(total)]
    if len(set(values)) == 1:
        assert sentence.endswith("on throughout." if values[0] == 1 else f"probability {values[0]:.4g} throughout.")
        return
    begin = number(sentence, rf"from {values[0]:.4g} at epoch (\d+)")
    assert values[begin] == values[0] > values[begin + 1]
    if min(values) == 0:
        assert number(sentence, r"ends at epoch (\d+)\.") == values.index(0.0)
    else:
        arrival = number(sentence, r" to [\d.e-]+ at epoch (\d+),")
        assert values[arrival:] == [values[-1]] * (total - arrival)
        assert values[arrival - 1] > values[-1]
        assert ("the last" in sentence) == (arrival == total - 1)
        assert f"to {values[-1]:.4g} at" in sentence
        assert "never reaches 0" in sentence


@given(st.integers(0, 19), RAMPS, st.integers(2, 16), st.integers(20, 50))
def test_what_is_said_of_clips_is_so(delay, ramp, start, total):
    law = clip_length.Growing(delay=delay, ramp=ramp, length_start=start)
    sentence = law.describe(total, clip_length=16)
    values = [law(position, total, clip_length=16) for position in range(total)]
    if len(set(values)) == 1:
        assert sentence == f"Clips have {values[0]} of 16 frames throughout."
        return
    held = number(sentence, rf"{values[0]} frames to epoch (\d+)")
    assert values[held] == values[0] < values[held + 1]
    if values[-1] == 16:
        assert number(sentence, r"from epoch (\d+) they have all 16") == values.index(16)
    else:
        assert f"to {values[-1]} at epoch {total - 1}, the last; they never have all 16" in sentence


@pytest.mark.parametrize(
    ("law", "total", "sentence"),
    [
        (kl_anneal.Cyclical(ramp=0.25), 70,
         "beta rises from 0 at epoch 0 and KL is fully weighted (beta 1) from epoch 18."),
        (kl_anneal.Cyclical(cycles=4), 24,
         "beta restarts at epochs 0, 6, 12, 18 and is fully weighted for half of each cycle."),
        (kl_anneal.Cyclical(cycles=4, beta_start=1.0, beta_stop=0.1), 24,
         "beta restarts at epochs 0, 6, 12, 18 and is fully weighted for half of each cycle."),
        (kl_anneal.Rise(beta_start=1.0, beta_stop=0.5, end=5, by="step"), 24,
         "beta falls from 1 at step 0 and KL is fully weighted (beta 0.5) from step 5."),
        (kl_anneal.Constant(beta_stop=0.0), 5, "beta is 0 throughout, KL is not weighted."),
        (kl_anneal.Constant(beta_stop=0.25), 5, "beta is 0.25 throughout."),
        (teacher_forcing.Step(), 70, "Teacher forcing falls from 1 at epoch 9 and ends at epoch 19."),
        (teacher_forcing.Step(prob_stop=0.2), 70,
         "Teacher forcing falls from 1 at epoch 9 to 0.2 at epoch 17, where it stays; it never reaches 0."),
        (teacher_forcing.Linear(prob_start=0.0, prob_stop=1.0), 20,
         "Teacher forcing rises from 0 at epoch 10 to 0.9 at epoch 19, the last."),
        (teacher_forcing.Constant(prob=0.0), 5, "Teacher forcing is off throughout."),
        (teacher_forcing.Constant(prob=0.5), 5, "Teacher forcing is on with probability 0.5 throughout."),
    ],
)  # fmt: skip
def test_sentences_in_full(law, total, sentence):
    assert law.describe(total) == sentence


def test_a_run_that_a_law_cannot_work_in_has_no_description():
    with pytest.raises(ValueError, match="do not fit"):
        kl_anneal.Cyclical(cycles=11).describe(10)


def test_whole_clips_are_described():
    assert clip_length.Constant().describe(9, clip_length=16) == "Clips have 16 of 16 frames throughout."
