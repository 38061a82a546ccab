"""Where the contexts of training clips are drawn from."""

import numpy as np
import pytest

from vidpred.data.clips import Window
from vidpred.data.contexts import NEAR, Contexts

FRAMES = 40
CLIP = Window(0, start=10, length=5, step=2, context=2)  # frames 10, 12, … 18


def drawn(contexts: Contexts, window: Window = CLIP, count: int = 2000) -> list[int]:
    return [clip.gap for clip in contexts.draw([window] * count, [FRAMES], np.random.default_rng(3))]


def test_a_context_before_its_clip_is_any_that_there_is():
    gaps = drawn(Contexts(gap=None))
    assert set(gaps) == set(range(11))
    assert np.bincount(gaps).min() > 2000 / 11 * 0.7  # evenly
    assert set(drawn(Contexts(gap=3))) == {0, 1, 2, 3}
    assert drawn(NEAR, count=3) == drawn(Contexts(gap=0, after=True, draws=4), count=3) == [0, 0, 0]


def test_a_context_after_its_clip_begins_behind_the_last_frame_and_ends_with_the_sequence():
    gaps = drawn(Contexts(gap=None, after=True))
    firsts = {CLIP.start - gap for gap in gaps if gap < 0}
    assert firsts == set(range(19, FRAMES - CLIP.step))  # two frames, two apart: 37 and 39 are the last
    assert {gap for gap in gaps if gap >= 0} == set(range(11))
    assert {CLIP.start - gap for gap in drawn(Contexts(gap=3, after=True))} == {7, 8, 9, 10, 19, 20, 21, 22}
    at_the_end = CLIP._replace(start=FRAMES - 9)
    assert min(drawn(Contexts(gap=None, after=True), at_the_end)) == 0


def test_of_several_draws_the_farthest_is_taken():
    """The largest of n even draws from 0 … 10: E = 10 − Σ (k / 11)ⁿ over k = 1 … 10."""
    for draws in (1, 2, 4):
        expected = 10 - sum((k / 11) ** draws for k in range(1, 11))
        assert np.mean(drawn(Contexts(gap=None, draws=draws))) == pytest.approx(expected, abs=0.2)
    both = drawn(Contexts(gap=None, after=True, draws=3))
    assert min(both) < 0 < max(both)
    assert np.abs(both).mean() > np.abs(drawn(Contexts(gap=None, after=True))).mean() + 2


def test_a_share_of_the_contexts_lies_right_before_the_clips():
    far = drawn(Contexts(gap=None, after=True, draws=4))
    mixed = drawn(Contexts(gap=None, near=0.25, after=True, draws=4))
    assert far.count(0) < 10
    assert mixed.count(0) / 2000 == pytest.approx(0.25, abs=0.03)
    assert {gap for gap in mixed if gap} <= set(far)


@pytest.mark.parametrize("options", [{"gap": -1}, {"near": 1.5}, {"draws": 0}])
def test_impossible_draws_are_refused(options):
    with pytest.raises(
        ValueError, match=r"context_gap must be >= 0 .*context_near in \[0, 1\] .*context_draws >= 1, got"
    ):
        Contexts(**options)
