import pytest
import torch
from samples import IMAGES

from vidpred.data.clips import Clips, Window, whole_sequence
from vidpred.data.contexts import Contexts
from vidpred.data.datamodule import ClipDataModule, to_batch


def test_a_batch_holds_the_frames_of_its_windows(data, source):
    store = source.open("train")
    batch = Clips(store, IMAGES).__getitems__([Window(2, 3, 4), Window(0, 1, 4)])
    assert batch.frames.dtype == torch.uint8
    assert torch.equal(batch.frames[0], whole_sequence(store, IMAGES, 2)[0][3:7])
    assert torch.equal(batch.poses[1], whole_sequence(store, IMAGES, 0)[1][1:5])
    assert batch.sequence.tolist() == [2, 0]
    assert batch.start.tolist() == [3, 1]


def test_the_context_of_a_clip_may_lie_before_its_gap(source):
    store, rows = source.open("train"), [1, 2, 6, 7]
    batch = Clips(store, IMAGES).__getitems__([Window(2, 4, 4, context=2, gap=3)])
    frames, poses = whole_sequence(store, IMAGES, 2)
    assert torch.equal(batch.frames[0], frames[rows])
    assert torch.equal(batch.poses[0], poses[rows])
    assert batch.gap.tolist() == [3]
    sparse = Clips(store, IMAGES).__getitems__([Window(2, 4, 2, step=2, gap=3), Window(2, 4, 2, step=2)])
    assert sparse.gap.tolist() == [1.5, 0]


def test_the_context_of_a_clip_may_lie_after_it(source):
    store, rows = source.open("train"), [7, 8, 3, 4]
    batch = Clips(store, IMAGES).__getitems__([Window(2, 1, 4, context=2, gap=-6)])
    frames, poses = whole_sequence(store, IMAGES, 2)
    assert torch.equal(batch.frames[0], frames[rows])
    assert torch.equal(batch.poses[0], poses[rows])
    assert batch.gap.tolist() == [6]


def test_training_clips_have_the_contexts_that_were_asked_for(source):
    asked = {"context_gap": 7, "context_near": 0.5, "context_after": True, "context_draws": 3}
    data = ClipDataModule(source, poses=IMAGES, clip_length=4, batch_size=2, **asked)
    assert data.contexts == Contexts(gap=7, near=0.5, after=True, draws=3)
    gaps = {window.gap for batch in data.train_sampler() for window in batch}
    assert min(gaps) < 0 <= max(gaps) <= 7


def test_frames_are_in_the_unit_range_on_the_device(data):
    batch = to_batch(next(iter(data.train_dataloader())))
    assert batch.frames.dtype == torch.float32
    assert 0 <= float(batch.frames.min()) <= float(batch.frames.max()) <= 1


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_do_not_change_the_order(source, workers):
    data = ClipDataModule(source, poses=IMAGES, clip_length=4, batch_size=2, clips_per_epoch=8, num_workers=workers)
    starts = [(batch.sequence.tolist(), batch.start.tolist()) for batch in data.train_dataloader()]
    expected = [([w.sequence for w in batch], [w.start for w in batch]) for batch in data.train_sampler()]
    assert starts == expected


def test_validation_and_test_serve_whole_clips(data):
    assert [len(batch.frames) for batch in data.val_dataloader()] == [2, 1]
    assert next(iter(data.test_dataloader())).frames.shape[1] == 12


@pytest.mark.parametrize("options", [{"clip_length": 1}, {"batch_size": 0}, {"num_workers": -1}])
def test_impossible_options_are_refused(source, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ClipDataModule(source, poses=IMAGES, **{"clip_length": 4, "batch_size": 2, **options})
