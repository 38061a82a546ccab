import numpy as np
import pytest
import torch
from samples import IMAGES

from vidpred.data.augmentation import UNCHANGED, Augmentation, Change, recolor, relight
from vidpred.data.clips import Clips, Window
from vidpred.data.datamodule import ClipDataModule
from vidpred.data.posing import PoseInput
from vidpred.data.sampler import ClipBatchSampler
from vidpred.pose.maps import Heatmaps


def test_nothing_is_changed_unless_asked_for():
    assert Augmentation().draw(np.random.default_rng(0)) == UNCHANGED


def test_draws_are_uniform_in_their_ranges():
    rng = np.random.default_rng(0)
    changes = [Augmentation(flip=0.3, brightness=0.2, hue=0.1).draw(rng) for _ in range(2000)]
    assert np.mean([change.flip for change in changes]) == pytest.approx(0.3, abs=0.04)
    brightness = np.array([change.brightness for change in changes])
    assert (brightness.min(), brightness.max()) == pytest.approx((0.8, 1.2), abs=0.002)
    assert brightness.mean() == pytest.approx(1, abs=0.01)
    assert {change.contrast for change in changes} == {1.0}
    assert max(abs(change.hue) for change in changes) == pytest.approx(0.1, abs=0.002)


def test_all_frames_of_a_clip_change_alike():
    still = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8).expand(5, -1, -1, -1)
    changed = recolor(still, Change(False, 1.1, 0.9, 1.2, 0.05))
    assert not torch.equal(changed, still)
    assert all(torch.equal(changed[0], frame) for frame in changed)
    assert torch.equal(recolor(still, UNCHANGED), still)
    grey = torch.full((2, 1, 4, 4), 100, dtype=torch.uint8)
    assert recolor(grey, Change(brightness=1.2)).unique().tolist() == [120]
    assert torch.equal(recolor(grey, Change(saturation=0.5, hue=0.2)), grey)


def test_a_relit_frame_has_the_light_of_another_whatever_moves_in_front():
    rng = np.random.default_rng(0)
    scene = torch.from_numpy(rng.integers(20, 120, (3, 16, 16))).float()
    gain = torch.tensor([1.4, 1.0, 0.7])[:, None, None]
    shown, wanted = scene.to(torch.uint8), (scene * gain).round().to(torch.uint8)
    wanted[:, 2:8, 3:9] = 250  # somebody
    relit = relight(torch.stack([shown, shown.flip(-1)]), shown=shown, wanted=wanted)
    assert (relit[0].float() - scene * gain).abs().max() <= 4
    assert torch.equal(relit[1], relit[0].flip(-1))
    black = torch.zeros(3, 16, 16, dtype=torch.uint8)
    assert torch.equal(relight(black[None], shown=black, wanted=wanted), black[None])
    assert relight(wanted[None], shown=wanted, wanted=black).float().sum() >= 0.45 * wanted.float().sum()


@pytest.mark.parametrize("context", [1, 2])
def test_a_context_before_a_gap_has_the_light_of_the_frames_it_stands_for(source, context):
    """The dancers' light changes by chance."""
    store = source.open("train")
    relit, plain = Clips(store, IMAGES), Clips(store, IMAGES, relight=False)
    errors = []
    for sequence in range(len(store.sequences)):
        window = Window(sequence, 14, 5, context=context, gap=13)
        (given,), (before,), (near,) = (
            clips.__getitems__([one]).frames.float() for clips, one in
            ((relit, window), (plain, window), (plain, window._replace(gap=0)))
        )  # fmt: skip
        assert torch.equal(given[context:], near[context:])
        last = context - 1
        errors.append([float((frame[last] - near[last]).abs().median()) for frame in (given, before)])
        assert torch.equal(relit.__getitems__([window._replace(gap=0)]).frames[0].float(), near)
    relit_error, plain_error = np.mean(errors, axis=0)
    assert relit_error < plain_error / 4


def test_frames_and_maps_are_flipped_together(source):
    clips = Clips(source.open("train"), PoseInput(images="never", draw=Heatmaps(sigma=2.0)))
    window = Window(1, 2, 4)
    plain, flipped = (clips.__getitems__([one]) for one in (window, window._replace(change=Change(flip=True))))
    assert torch.equal(flipped.frames, plain.frames.flip(-1))
    torso = plain.poses[:, :, 0].float()  # the pelvis has no other side
    assert torch.allclose(flipped.poses[:, :, 0].float(), torso.flip(-1), atol=1)


def test_pose_images_cannot_be_flipped(source):
    with pytest.raises(ValueError, match="pose_map=limbs or heatmaps"):
        ClipDataModule(source, poses=IMAGES, clip_length=4, batch_size=2, augmentation=Augmentation(flip=0.5))


def test_changes_are_a_function_of_seed_and_position():
    def windows(rank, world_size):
        sampler = ClipBatchSampler([40] * 6, length=4, batch_size=2, seed=3, rank=rank, world_size=world_size,
                                   augmentation=Augmentation(flip=0.5, contrast=0.3))  # fmt: skip
        return [window for batch in sampler for window in batch]

    alone, shared = windows(0, 1), [windows(rank, 2) for rank in (0, 1)]
    assert len({window.change for window in alone}) > 40
    assert sorted(alone[:24]) == sorted(window for rank in shared for window in rank[:12])


@pytest.mark.parametrize("options", [{"flip": 1.5}, {"hue": 0.6}, {"contrast": -0.1}])
def test_impossible_ranges_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Augmentation(**options)
