"""Scores of frames against independent implementations."""

import math

import numpy as np
import pytest
import torch
from fakes import Fake, assess, scorer
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vidpred.data.clips import whole_sequence
from vidpred.evaluation.scoring import METRICS, REGIONS, Scorer, limb_pixels
from vidpred.metrics.protocol import Protocol


def test_every_metric_is_scikit_images_frame_by_frame(data, source):
    """Of the copied frame, in whole frames and in the pixels that have moved and those that have not."""
    found = assess(Fake(data.shape), data)
    for number, window in enumerate(found.windows):
        frames = whole_sequence(source.open("val"), data.poses, window.sequence)[0].numpy() / 255
        for step in range(window.length - 1):
            true, copied = frames[step + 1], frames[0]
            scores = {metric: curves[number][step] for metric, curves in found.curves.items()}
            error = true - copied
            similar, values = structural_similarity(
                true, copied, channel_axis=0, data_range=1.0, gaussian_weights=True, sigma=1.5,
                use_sample_covariance=False, full=True,
            )  # fmt: skip
            assert scores["psnr"] == pytest.approx(peak_signal_noise_ratio(true, copied, data_range=1.0), abs=1e-3)
            assert scores["ssim"] == pytest.approx(similar, abs=1e-4)
            inside = abs(error).max(axis=0) > 0.05
            for region, pixels in (("", np.full_like(inside, True)), ("_inside", inside), ("_outside", ~inside)):
                assert scores[f"mse{region}"] == pytest.approx((error[:, pixels] ** 2).mean(), abs=1e-6)
                assert scores[f"mae{region}"] == pytest.approx(abs(error[:, pixels]).mean(), abs=1e-6)
                middle = pixels[5:-5, 5:-5]
                expected = values[:, 5:-5, 5:-5][:, middle].mean() if middle.any() else math.nan
                assert scores[f"ssim{region}"] == pytest.approx(expected, abs=1e-4, nan_ok=True)
                if region:
                    psnr = -10 * math.log10((error[:, pixels] ** 2).mean())
                    assert scores[f"psnr{region}"] == pytest.approx(psnr, abs=1e-3)


def test_the_labs_scorer_rounds_to_grey_levels():
    target = torch.full((1, 1, 3, 16, 24), 100 / 255)
    predicted = target + 0.4 / 255  # rounds to the target itself
    poses = torch.zeros(1, 1, 3, 16, 24)
    assert float(scorer(quantize=True)(predicted, target, poses, target[:, 0])["psnr"]) == 100.0
    rough = target + 2.6 / 255  # rounds to three levels more
    found = scorer(quantize=True)(rough, target, poses, target[:, 0])["psnr"]
    assert float(found) == pytest.approx(10 * math.log10(255**2 / 9), abs=1e-4)


def test_channels_are_averaged_after_the_logarithm_where_the_protocol_says_so():
    target = torch.full((1, 1, 3, 16, 24), 0.5)
    predicted = target + torch.tensor([0.1, 0.01, 0.001])[:, None, None]
    score = scorer(per_channel=True)(predicted, target, target, target[:, 0])["psnr"]
    assert float(score) == pytest.approx((20 + 40 + 60) / 3, abs=1e-3)


def test_true_frames_outside_the_range_are_refused():
    target = torch.full((1, 1, 3, 16, 24), 0.5)
    bytes_ = target * 255
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got 127.5 to 127.5: divide bytes by 255"):
        scorer()(bytes_, bytes_, target, bytes_[:, 0])


def test_limbs_are_around_the_marks():
    poses = torch.zeros(1, 1, 2, 64, 64)
    poses[0, 0, 1, 10, 20] = 1.0
    near = limb_pixels(poses)[0, 0, 0]
    assert near.sum() == 49
    assert near[7:14, 17:24].all()


def test_the_mask_of_the_protocol_decides_what_inside_is():
    target = torch.full((1, 1, 3, 64, 64), 0.5)
    predicted, poses = target.clone(), torch.zeros(1, 1, 1, 64, 64)
    poses[..., 10, 20] = 1.0
    predicted[..., 10, 20] += 0.49
    found = scorer(mask="limbs")(predicted, target, poses, target[:, 0])
    assert float(found["mse_inside"]) == pytest.approx(0.49**2 / 49)
    assert float(found["mse_outside"]) == 0
    assert float(found["psnr_outside"]) == 100.0  # no error has a value
    still = scorer(mask="moving")(predicted, target, poses, target[:, 0])
    assert math.isnan(float(still["mse_inside"]))  # nothing moved


def test_only_the_metrics_asked_for_are_computed():
    target = torch.full((1, 1, 3, 16, 24), 0.5)
    found = Scorer(Protocol(name="t"), metrics=("psnr",))(target, target, target, target[:, 0])
    assert set(found) == {"psnr", *(f"psnr_{region}" for region in REGIONS)}


def test_frames_that_are_too_small_for_a_metric_are_told():
    missing = scorer().missing(10, 200)
    assert set(missing) == {"ssim", "ms_ssim"} < set(METRICS)
    assert missing["ms_ssim"] == "MS-SSIM is left out: it needs frames of 176x176 pixels, these have 10x200."
    assert set(scorer(ssim_window="uniform").missing(10, 200)) == {"ms_ssim"}
    assert scorer().missing(176, 176) == {}
    frames = torch.rand(1, 1, 3, 176, 176, generator=torch.Generator().manual_seed(0))
    assert float(scorer()(frames, frames, frames, frames[:, 0])["ms_ssim"]) == pytest.approx(1.0)
