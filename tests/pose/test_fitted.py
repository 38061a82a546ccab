"""An estimator that learns: on discs whose places are known."""

import numpy as np
import pytest
import torch

from vidpred.pose.estimator import PoseError, PoseEstimator
from vidpred.pose.fitted import FittedEstimator, HeatmapNetwork, locate

SIZE = (24, 32)


def discs(count: int, seed: int, *, missing: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Frames with a red and a green disc, and their centres; every eighth frame lacks the green one if some do."""
    rng = np.random.default_rng(seed)
    places = rng.uniform([4, 4], [SIZE[1] - 5, SIZE[0] - 5], (count, 2, 2)).astype(np.float32)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    frames = rng.integers(0, 60, (count, 3, *SIZE)).astype(np.uint8)
    for frame, pair in zip(frames, places, strict=True):
        for channel, (left, top) in enumerate(pair):
            frame[channel][(x - left) ** 2 + (y - top) ** 2 <= 6] = 255
    places = np.concatenate([places, np.ones((count, 2, 1), np.float32)], axis=2)
    if missing:
        frames[::8, 1], places[::8, 1, 2] = 30, 0
    return frames, places


@pytest.fixture
def fitted(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDPRED_CACHE", str(tmp_path))
    return FittedEstimator(steps=120)


def fit(estimator, frames, places, fingerprint="x"):
    estimator.fit(frames, places, ("red", "green"), fingerprint=fingerprint, device=torch.device("cpu"))


def test_it_finds_what_it_was_shown_and_knows_it_from_the_cache(fitted, tmp_path, monkeypatch):
    fit(fitted, *discs(256, 0))
    assert isinstance(fitted, PoseEstimator)
    frames, places = discs(40, 1)
    found = fitted.estimate(list(frames.transpose(0, 2, 3, 1)))
    assert found.shape == (40, 2, 3)
    there = places[..., 2] > 0
    distance = np.hypot(*(found[..., :2] - places[..., :2]).transpose(2, 0, 1))
    assert np.nanmedian(distance[there]) < 1
    assert np.isfinite(distance[there]).mean() > 0.9
    assert np.isfinite(distance[~there]).mean() < 0.5  # what is not there is missing
    assert len(list(tmp_path.rglob("*.pt"))) == 1
    monkeypatch.setattr("vidpred.pose.fitted._learn", None)
    again = FittedEstimator(steps=120)
    fit(again, *discs(256, 0))
    np.testing.assert_array_equal(again.estimate(list(frames.transpose(0, 2, 3, 1))), found)
    with pytest.raises(TypeError):
        fit(FittedEstimator(steps=120), *discs(256, 0), fingerprint="of other frames")


def test_it_knows_what_is_blurred_away_although_it_was_never_shown_a_frame_without(fitted):
    fit(fitted, *discs(256, 0, missing=False))
    frames, _ = discs(40, 1, missing=False)
    whole = fitted.estimate(list(frames.transpose(0, 2, 3, 1)))
    frames[:, 1] = 30
    without = fitted.estimate(list(frames.transpose(0, 2, 3, 1)))
    assert np.isfinite(whole[:, 1, 0]).mean() > 0.8
    assert np.isfinite(without[:, 1, 0]).mean() < 0.3
    assert np.isfinite(without[:, 0, 0]).mean() > 0.8  # the red one is still there


def test_it_refuses_to_guess(fitted):
    with pytest.raises(PoseError, match=r"learned nothing yet.*pose_estimator=blazepose"):
        fitted.estimate([np.zeros((24, 32, 3), np.uint8)])
    frames, places = discs(8, 0)
    with pytest.raises(PoseError, match="nothing to learn poses from"):
        fit(fitted, frames, np.full_like(places, np.nan))


@pytest.mark.parametrize("options", [{"steps": 0}, {"lr": 0.0}, {"min_confidence": 1.5}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(PoseError, match="steps >= 1"):
        FittedEstimator(**options)


def test_a_joint_is_where_most_of_its_distribution_lies():
    mass = torch.full((1, 2, 12, 16), 1e-9)
    mass[0, 0, 5, 7], mass[0, 0, 5, 8], mass[0, 0, 0, 0] = 0.3, 0.3, 0.4
    mass[0, 1, 11, 15] = 1.0
    found = locate(mass.log())[0]  # nowhere has logit 0, as much as all of this together
    np.testing.assert_allclose(found[0], [7.5, 5.0, 0.3], atol=1e-4)
    np.testing.assert_allclose(found[1], [15.0, 11.0, 0.5], atol=1e-4)


@pytest.mark.parametrize("size", [(16, 24), (17, 31), (64, 64)])
def test_every_size_has_a_logit_at_every_pixel(size):
    assert HeatmapNetwork(5)(torch.rand(2, 3, *size)).shape == (2, 5, *size)
