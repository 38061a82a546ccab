import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidpred.data.clips import Window
from vidpred.data.contexts import Contexts
from vidpred.data.sampler import ClipBatchSampler, SequenceBatchSampler

LENGTHS = [20, 9, 33, 16, 3]


def sampler(**options):
    return ClipBatchSampler(LENGTHS, **{"length": 8, "batch_size": 2, "seed": 5, **options})


def test_a_pass_visits_every_window_once_and_windows_do_not_overlap():
    windows = [sampler().window(position) for position in range(2 + 1 + 4 + 2)]
    seen = set()
    for sequence, start, length, *_ in windows:
        frames = {(sequence, frame) for frame in range(start, start + length)}
        assert not frames & seen
        assert start + length <= LENGTHS[sequence]
        seen |= frames
    assert len(windows) == len(set(windows))


def test_order_and_offsets_change_from_pass_to_pass_and_with_the_seed():
    first, second = ([sampler().window(position) for position in range(start, start + 9)] for start in (0, 9))
    assert first != second
    assert {window.start for window in first} != {window.start for window in second}
    assert first != [sampler(seed=6).window(position) for position in range(9)]


def test_without_random_start_windows_lie_on_a_grid():
    assert all(sampler(random_start=False).window(position).start % 8 == 0 for position in range(18))


def test_strides_steps_and_fractions():
    overlapping = [sampler(stride=2, random_start=False).window(position) for position in range(7 + 1 + 13 + 5)]
    assert len(set(overlapping)) == 26
    assert {window.start % 2 for window in overlapping} == {0}
    every_third = sampler(length=5, frame_step=3)
    windows = [every_third.window(position) for position in range(1 + 0 + 2 + 1)]
    assert {window.step for window in windows} == {3}
    assert all(window.start + 4 * 3 < LENGTHS[window.sequence] for window in windows)
    half = {sampler(fraction=0.5).window(position) for position in range(40)}
    assert len(half) == 4
    assert {window.sequence for window in half} == {0, 1, 2}  # from all over, not the first part
    with pytest.raises(ValueError, match=r"a clip of 12 frames, 34 of the video, .* the longest has 33"):
        sampler(length=12, frame_step=3)
    for options in ({"fraction": 0.0}, {"stride": 0}, {"frame_step": 0}):
        with pytest.raises(ValueError, match="must be >= 1"):
            sampler(**options)


def test_contexts_are_drawn_without_a_change_to_the_clips():
    plain = [sampler().window(position) for position in range(9)]
    far = [sampler(contexts=Contexts(gap=None)).window(position) for position in range(9)]
    assert [window._replace(gap=0) for window in far] == plain
    assert any(window.gap for window in far)
    sparse = sampler(contexts=Contexts(gap=None), fraction=0.5)
    assert not any(sparse.window(position).gap for position in range(40))


def epochs(count, **options):
    batches = []
    made = sampler(**options)
    for epoch in range(count):
        made.set_epoch(epoch)
        batches.append(list(made))
    return batches


def test_an_epoch_is_the_next_so_many_clips():
    whole = [window for epoch in epochs(3, clips_per_epoch=6) for batch in epoch for window in batch]
    assert whole == [sampler().window(position) for position in range(18)]


@given(st.integers(0, 3), st.integers(0, 3))
def test_a_resumed_epoch_gives_the_rest(epoch, batch):
    made = sampler()
    made.resume(epoch, batch)
    made.set_epoch(epoch)  # as Lightning does before it iterates
    iter(made)  # and a loader with workers asks twice
    assert list(made) == epochs(epoch + 1)[epoch][batch:]
    made.set_epoch(epoch + 1)
    assert list(made) == epochs(epoch + 2)[epoch + 1]


def test_processes_share_the_batches_of_one():
    together = epochs(2, batch_size=4, clips_per_epoch=8)
    apart = [epochs(2, clips_per_epoch=8, rank=rank, world_size=2) for rank in range(2)]
    for epoch in range(2):
        for batch, (first, second) in zip(
            together[epoch], zip(apart[0][epoch], apart[1][epoch], strict=True), strict=True
        ):
            assert batch == first + second


def test_clips_longer_than_every_sequence_are_refused():
    with pytest.raises(ValueError, match="longest has 33"):
        sampler(length=34)


def test_an_epoch_without_a_batch_is_refused():
    with pytest.raises(ValueError, match="batch_size"):
        sampler(batch_size=20)


@given(st.lists(st.integers(3, 6), min_size=1, max_size=9), st.integers(1, 4), st.integers(1, 3))
def test_evaluation_sees_every_sequence_once_whatever_the_processes(lengths, batch_size, world_size):
    seen = []
    for rank in range(world_size):
        for batch in SequenceBatchSampler(lengths, batch_size=batch_size, rank=rank, world_size=world_size):
            assert len({window.length for window in batch}) == 1
            assert len(batch) <= batch_size
            seen += batch
    assert sorted(seen) == [Window(index, 0, length) for index, length in enumerate(lengths)]


def test_evaluation_can_be_cut():
    made = SequenceBatchSampler([10] * 9, batch_size=2, max_sequences=3, max_length=4)
    assert made.windows == [Window(0, 0, 4), Window(3, 0, 4), Window(6, 0, 4)]
    assert len(made) == 2


def test_clips_are_cut_to_the_length_of_their_batch():
    whole = epochs(2, clips_per_epoch=8)
    cut = epochs(2, clips_per_epoch=8, length_at=lambda epoch, batch: 2 + epoch * 4 + batch % 2)
    for epoch, batches in enumerate(cut):
        for batch, windows in enumerate(batches):
            length = 2 + epoch * 4 + batch % 2
            assert windows == [window._replace(length=length) for window in whole[epoch][batch]]
