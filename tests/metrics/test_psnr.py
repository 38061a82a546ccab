import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from skimage.metrics import peak_signal_noise_ratio

from vidpred.metrics import MAX_PSNR, psnr


@given(st.integers(0, 1000), st.sampled_from([1.0, 255.0]), st.floats(0.01, 0.5))
def test_psnr_is_scikit_images_frame_by_frame(seed, data_range, noise):
    rng = np.random.default_rng(seed)
    target = rng.random((2, 3, 3, 8, 10))
    predicted = np.clip(target + noise * rng.standard_normal(target.shape), 0, 1)
    ours = psnr(torch.tensor(predicted * data_range), torch.tensor(target * data_range), data_range=data_range)
    for clip in range(2):
        for frame in range(3):
            expected = peak_signal_noise_ratio(target[clip, frame], predicted[clip, frame], data_range=1.0)
            assert float(ours[clip, frame]) == pytest.approx(expected, abs=1e-3)


def test_identical_frames_have_a_finite_score():
    frames = torch.rand(1, 2, 3, 4, 4)
    assert (psnr(frames, frames, data_range=1.0) == MAX_PSNR).all()


def test_predictions_are_clipped_as_when_they_are_shown():
    target = torch.ones(1, 1, 3, 4, 4)
    assert float(psnr(target + 0.5, target, data_range=1.0)) == MAX_PSNR


def test_the_mean_of_frames_is_not_the_psnr_of_the_clip():
    target = torch.zeros(1, 2, 1, 4, 4)
    predicted = torch.stack([torch.full((1, 4, 4), 0.1), torch.full((1, 4, 4), 0.01)])[None]
    assert psnr(predicted, target, data_range=1.0)[0].tolist() == pytest.approx([20.0, 40.0], abs=1e-3)


def test_shapes_and_range_are_checked():
    with pytest.raises((ValueError, TypeCheckError)):  # the shapes, by us or by the checker
        psnr(torch.rand(1, 1, 3, 4, 4), torch.rand(1, 2, 3, 4, 4), data_range=1.0)
    with pytest.raises(ValueError, match="data_range"):
        psnr(torch.rand(1, 1, 3, 4, 4), torch.rand(1, 1, 3, 4, 4), data_range=0.0)
