"""SSIM against scikit-image, frame by frame."""

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from skimage.metrics import structural_similarity

from vidpred.metrics import MS_SSIM_SIZE, ms_ssim, ssim

GENERATOR = torch.Generator().manual_seed(0)
TARGET = torch.rand(2, 3, 3, 20, 28, generator=GENERATOR)
PREDICTED = (TARGET + 0.2 * torch.randn(TARGET.shape, generator=GENERATOR)).clamp(0, 1)
OPTIONS = {
    "gaussian": {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
    "uniform": {"win_size": 7},
}


@pytest.mark.parametrize("window", ["gaussian", "uniform"])
@pytest.mark.parametrize("data_range", [1.0, 2.0])
def test_it_is_scikit_images(window, data_range):
    found = ssim(PREDICTED, TARGET, data_range=data_range, window=window)
    for clip in range(2):
        for frame in range(3):
            expected = structural_similarity(
                TARGET[clip, frame].numpy(), PREDICTED[clip, frame].numpy(), channel_axis=0, data_range=data_range,
                **OPTIONS[window],
            )  # fmt: skip
            assert float(found[clip, frame]) == pytest.approx(expected, abs=2e-5)


def test_twice_the_range_flatters():
    assert (ssim(PREDICTED, TARGET, data_range=2.0) > ssim(PREDICTED, TARGET, data_range=1.0)).all()


def test_identical_frames_are_one_also_where_they_are_flat():
    flat = torch.full((1, 1, 3, 12, 12), 0.5)
    for window in ("gaussian", "uniform"):
        assert float(ssim(flat, flat, data_range=1.0, window=window)) == pytest.approx(1.0)


def test_what_cannot_be_compared_is_refused():
    small = torch.zeros(1, 1, 3, 10, 20)
    with pytest.raises(ValueError, match="11x11"):
        ssim(small, small, data_range=1.0)
    with pytest.raises(ValueError, match="data_range"):
        ssim(TARGET, TARGET, data_range=0.0)
    with pytest.raises((ValueError, TypeCheckError)):
        ssim(TARGET, TARGET[:, :2], data_range=1.0)


def test_several_scales_need_large_frames():
    size = MS_SSIM_SIZE
    frames = torch.rand(1, 2, 1, size, size, generator=torch.Generator().manual_seed(1))
    assert ms_ssim(frames, frames, data_range=1.0)[0].tolist() == pytest.approx([1.0, 1.0])
    assert np.all(ms_ssim(1 - frames, frames, data_range=1.0).numpy() < 0.5)
    with pytest.raises(ValueError, match="height must be larger"):
        ms_ssim(frames[..., 1:, :], frames[..., 1:, :], data_range=1.0)


def test_autocast_does_not_round_it():
    """Validation runs under the trainer's precision: in bfloat16, smooth frames would score anything."""
    size = MS_SSIM_SIZE
    ramp = torch.linspace(0.5, 0.6, size).expand(1, 1, 3, size, size)
    noisy = ramp + 0.01 * torch.randn(ramp.shape, generator=torch.Generator().manual_seed(2))
    scores = {}
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            similar = [ssim(noisy, ramp, data_range=1.0, window=window) for window in ("gaussian", "uniform")]
            scores[enabled] = torch.cat([*similar, ms_ssim(noisy, ramp, data_range=1.0)])
    assert scores[True].tolist() == scores[False].tolist()
