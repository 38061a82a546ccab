"""What a rollout is given."""

import numpy as np
import pytest
import torch
from PIL import Image
from samples import SHAPE, TINY, lively

from vidpred.animation.film import write_film
from vidpred.animation.stage import DrawnPoses, Stage, frame_picture
from vidpred.pose.maps import Limbs
from vidpred.pose.skeletons import DANCER
from vidpred.predictor import Predictor

SIZE = (SHAPE.height, SHAPE.width)


@pytest.fixture
def predictor():
    return Predictor(lively(TINY["cvae"]()), context_frames=1, config={})


@pytest.fixture
def drawn():
    keypoints = np.random.default_rng(0).uniform(0, 20, (40, 17, 3)).astype(np.float32)
    return DrawnPoses(keypoints, DANCER, Limbs(), 3, SIZE, torch.device("cpu"))


def stage_of(poses, truth=None):
    picture = torch.randint(256, (1, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Stage(picture, poses, truth, 12.0)


def test_poses_drawn_on_the_way_give_the_film_of_poses_drawn_before(predictor, drawn):
    whole = drawn[slice(None), slice(0, 40)]
    picture = stage_of(whole).context
    lazy = torch.cat(list(predictor.stream(picture, drawn, seed=2, chunk=7)), dim=1)
    torch.testing.assert_close(lazy[0], predictor.rollout(picture, whole[0], seed=2))
    assert tuple(drawn.shape) == tuple(whole.shape)


def test_samples_are_drawn_apart_and_the_first_is_the_rollouts(predictor, drawn):
    picture = stage_of(drawn).context
    films = torch.cat(list(predictor.stream(picture, drawn, samples=3)), dim=1)
    assert films.shape == (3, 39, 3, *SIZE)
    torch.testing.assert_close(films[0], predictor.rollout(picture, drawn[slice(None), slice(None)][0]))
    assert not torch.equal(films[0], films[1])


def test_temperature_0_is_the_priors_mean(predictor, drawn):
    picture, poses = stage_of(drawn).context, drawn[slice(None), slice(0, 9)][0]
    cold = predictor.rollout(picture, poses, temperature=0.0)
    torch.testing.assert_close(cold, predictor.rollout(picture, poses, z="mean"))
    half = predictor.rollout(picture, poses, temperature=0.5)
    assert not torch.equal(half, cold)
    with pytest.raises(ValueError, match="temperature must be >= 0"):
        predictor.rollout(picture, poses, temperature=-1.0)
    with pytest.raises(ValueError, match="of what is drawn"):
        predictor.rollout(picture, poses, z="mean", temperature=0.5)


def test_a_long_film_is_written_as_it_comes(predictor, drawn, tmp_path, monkeypatch):
    """What is held at a time are the frames of one chunk, whatever the length."""
    seen, told = [], []
    draw = type(drawn).__getitem__
    monkeypatch.setattr(type(drawn), "__getitem__", lambda self, place: seen.append(place[1]) or draw(self, place))
    frames = write_film(predictor, stage_of(drawn), tmp_path / "film.npz", show=["prediction"], advance=told.append)
    assert frames == 39 == sum(told)
    assert max(place.stop - (place.start or 0) for place in seen) <= 16
    with np.load(tmp_path / "film.npz") as arrays:
        assert arrays["frames"].shape == (39, 1, 3, *SIZE)


def test_what_is_shown_stands_side_by_side(predictor, drawn, tmp_path):
    poses = drawn[slice(None), slice(0, 5)]
    truth = torch.randint(256, (4, 3, *SIZE), dtype=torch.uint8)
    for show, known, samples, width in (
        (["prediction"], None, 1, 24), (["pose", "prediction", "truth"], truth, 1, 3 * 26 - 2),
        (["picture", "pose", "prediction", "truth"], None, 2, 4 * 26 - 2), (["prediction"], None, 6, 3 * 26 - 2),
    ):  # fmt: skip
        out = tmp_path / f"{len(show)}-{samples}.npz"
        write_film(predictor, stage_of(poses, known), out.with_suffix(""), show=show, samples=samples)
        with Image.open(out.with_suffix("") / "000003.png") as frame:
            assert frame.width == width
    with pytest.raises(ValueError, match="nothing to show"):
        write_film(predictor, stage_of(poses), tmp_path / "x", show=["truth"])


@pytest.mark.parametrize(("crop", "place"), [("center", (20, 0, 40, 40)), ("30,5,20,20", (30, 5, 20, 20))])
def test_a_picture_of_another_shape_is_cut_not_squeezed(crop, place):
    picture = np.random.default_rng(0).integers(0, 255, (40, 80, 3), dtype=np.uint8)
    frame, moved = frame_picture(picture, (20, 20), crop=crop, keypoints=None, margin=0.1)
    left, top, width, height = place
    assert moved is None
    expected = picture[top : top + height, left : left + width].mean(axis=(0, 1))
    np.testing.assert_allclose(frame.mean(axis=(1, 2)), expected, atol=3)


def test_the_person_and_all_poses_are_in_the_frame_and_stay_on_their_pixels():
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[60, 130] = 255  # where the joint is
    poses = np.array([[[130, 60, 1], [120, 40, 1]], [[150, 80, 1], [140, 45, 1]]], np.float32)
    frame, moved = frame_picture(picture, (50, 50), crop="person", keypoints=poses, margin=0.2)
    assert moved[..., 0].min() > 0 < moved[..., 1].min()
    assert moved[..., :2].max() < 49
    bright = np.unravel_index(frame.sum(axis=0).argmax(), (50, 50))
    np.testing.assert_allclose(moved[0, 0, :2][::-1], bright, atol=0.6)
