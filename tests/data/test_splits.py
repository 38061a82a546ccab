import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidpred.data.splits import SplitError, Splitting, check_apart
from vidpred.data.store import SequenceInfo

LENGTHS = st.lists(st.integers(40, 400), min_size=1, max_size=9)


@given(LENGTHS, st.floats(0.1, 0.4), st.sampled_from([0.0, 0.1, 0.3]), st.floats(0.01, 0.1))
def test_splits_by_time_leave_a_gap_and_keep_their_shares(lengths, val, test, gap):
    stretches = Splitting(by="time", val=val, test=test, gap=gap).divide(lengths)
    for number, length in enumerate(lengths):
        own = sorted((stretch.begin, stretch.end, stretch.split) for stretch in stretches if stretch.sequence == number)
        assert own[0][0] == 0
        assert own[-1][1] == length
        for (_, end, split), (begin, _, second) in itertools.pairwise(own):
            assert split != second
            assert begin - end >= max(1, round(gap * length))
        for begin, end, split in own:
            share = {"val": val, "test": test}.get(split)
            assert share is None or end - begin == round(share * length)


@given(st.integers(3, 60), st.floats(0.05, 0.4), st.floats(0.0, 0.3))
def test_splits_by_video_give_every_video_to_one_split(count, val, test):
    try:
        stretches = Splitting(by="video", val=val, test=test).divide([10] * count)
    except SplitError:
        assert count < 4
        return
    assert sorted(stretch.sequence for stretch in stretches) == list(range(count))
    held = [stretch.sequence for stretch in stretches if stretch.split == "val"]
    assert len(held) == max(1, round(val * count))
    if len(held) > 3:  # spread over all, not the last ones
        assert min(held) < count / 2


def test_auto_is_by_video_from_three_on():
    assert {stretch.end for stretch in Splitting().divide([50] * 3)} == {50}
    assert len(Splitting().divide([50] * 2)) == 4


def test_a_split_that_would_stay_empty_is_refused():
    with pytest.raises(SplitError, match=r"leave nothing for val: use split\.by=video"):
        Splitting(by="time").divide([2])
    with pytest.raises(SplitError, match="leave nothing for train"):
        Splitting(by="video").divide([50])


@pytest.mark.parametrize("options", [{"by": "frame"}, {"val": 0.0}, {"val": 0.9, "test": 0.2}, {"gap": -0.1}])
def test_impossible_shares_are_refused(options):
    with pytest.raises((ValueError, TypeError), match=next(iter(options))):  # a type checker, if any, is quicker
        Splitting(**options)


def info(begin, length, source="film", step=1):
    return SequenceInfo(f"{source}-{begin}", 0, length, length, source, begin, step)


@pytest.mark.parametrize(
    ("train", "val", "apart"),
    [
        (info(0, 10), info(11, 5), True),
        (info(0, 10), info(10, 5), False),  # touch
        (info(0, 10), info(5, 2), False),
        (info(20, 10), info(0, 19), True),
        (info(0, 10), info(0, 10, "other"), True),
        (info(0, 10, step=2), info(15, 5), False),
        (info(0, 10, ""), info(0, 10, ""), True),  # nothing is known
    ],
)
def test_splits_that_overlap_or_touch_are_refused(train, val, apart):
    if apart:
        check_apart({"train": [train], "val": [val]})
    else:
        with pytest.raises(SplitError, match="overlap or touch"):
            check_apart({"train": [train], "val": [val]})
    check_apart({"train": [train, val]})


def test_a_long_sequence_is_compared_with_all_that_it_covers():
    with pytest.raises(SplitError):
        check_apart({"train": [info(0, 100), info(20, 5)], "val": [info(40, 5)]})
