"""Rollouts of models whose scores are known."""

import math

import numpy as np
import pytest
import torch
from fakes import Broken, Fake, GreyData, assess, scorer
from samples import IMAGES
from scipy.special import digamma

from vidpred.data.clips import Window, whole_sequence
from vidpred.evaluation import sampling
from vidpred.evaluation.sampling import Together, sample_clips
from vidpred.networks import CVAE
from vidpred.predictor import Predictor

SIGMA = 0.03


@pytest.fixture
def grey(source):
    return GreyData(source, poses=IMAGES, clip_length=4, batch_size=2)


def sample(model, data, windows, **options):
    return sample_clips(Predictor(model, 1, {}), data, "val", windows, scorer(**options), context_frames=1)


def test_noise_of_a_known_size_has_its_psnr(grey):
    """MSE is sigma² times a chi-square over its n degrees of freedom; its mean logarithm is digamma(n/2) - ln(n/2)."""
    (clip,) = sample(Fake(grey.shape, gain=SIGMA), grey, [Window(0, 0, 12)], samples=400)
    grades = 3 * 16 * 24 / 2
    expected = -10 * math.log10(SIGMA**2) - 10 / math.log(10) * (digamma(grades) - math.log(grades))
    assert clip.scores["psnr"].shape == (400, 11)
    assert clip.scores["psnr"].mean() == pytest.approx(expected, abs=0.01)
    assert clip.spread is not None
    assert clip.spread.variance.mean() == pytest.approx(SIGMA**2, rel=0.01)
    assert clip.spread.error_of_mean.mean() == pytest.approx(SIGMA**2 / 400, rel=0.05)
    assert clip.error_image.mean() == pytest.approx(SIGMA**2, rel=0.01)
    assert clip.spread.reliability[:, 0].sum() == 11 * 3 * 16 * 24
    (pair,) = sample(Fake(grey.shape, gain=SIGMA), grey, [Window(0, 0, 12)], samples=2)
    assert pair.spread.variance.mean() == pytest.approx(SIGMA**2, rel=0.06)  # without bias, also of two samples


def test_what_is_not_finite_is_the_worst_and_never_dropped(data, source):
    found = assess(Broken(data.shape), data)
    for number, one in enumerate(found.sampled):
        assert one.broken == one.window.length - 1 - 3
        frames = whole_sequence(source.open("val"), data.poses, one.window.sequence)[0].numpy()[4:] / 255
        worst = np.where(frames < 0.5, 1.0, 0.0)
        expected = ((worst - frames) ** 2).mean(axis=(1, 2, 3))
        np.testing.assert_allclose(found.curves["mse"][number][3:], expected, atol=1e-6)
    assert found.summarize(seed=0)["broken_frames"] == sum(one.broken for one in found.sampled)


def test_a_sample_does_not_depend_on_what_is_computed_with_it(data, monkeypatch):
    torch.manual_seed(0)
    model = CVAE(data.shape, widths=(8, 8, 8), name_channels=4, z_channels=2)
    windows = data.eval_sampler("val").windows
    together = sample(model, data, windows, samples=6)
    monkeypatch.setitem(sampling.TOGETHER, "cpu", Together(4, 3))
    apart = sample(model, data, windows, samples=6)
    for one, two in zip(together, apart, strict=True):
        assert one.window == two.window
        np.testing.assert_allclose(one.scores["psnr"], two.scores["psnr"], atol=1e-3)
        np.testing.assert_allclose(one.spread.variance, two.spread.variance, rtol=1e-3, atol=1e-9)
        np.testing.assert_allclose(one.spread.error_of_mean, two.spread.error_of_mean, rtol=1e-3, atol=1e-9)
        np.testing.assert_allclose(one.error_image, two.error_image, rtol=1e-4)
    first = sample(model, data, windows[:1], samples=1)
    np.testing.assert_allclose(first[0].scores["psnr"][0], together[0].scores["psnr"][0], atol=1e-3)
    assert first[0].spread is None


def test_memory_does_not_grow_with_frames_or_samples(grey, monkeypatch):
    """The largest number of pixels that is scored at once is that of one block of rollouts and frames."""
    seen = []
    judge = scorer(samples=40)
    windows = [Window(0, 0, 200), Window(1, 0, 200)]
    monkeypatch.setattr(type(judge), "clean", lambda self, predicted, target: seen.append(predicted.shape) or predicted)
    sample_clips(Predictor(Fake(grey.shape), 1, {}), grey, "val", windows, judge, context_frames=1)
    limit = sampling.TOGETHER["cpu"]
    assert max(shape[0] for shape in seen) <= limit.rollouts
    assert max(shape[1] for shape in seen) <= limit.frames
    assert sum(shape[0] * shape[1] for shape in seen) == 2 * 2 * 40 * 199  # twice: for scores and for moments


def test_progress_counts_every_frame(data):
    told = []
    windows = data.eval_sampler("val").windows
    sample_clips(Predictor(Fake(data.shape), 1, {}), data, "val", windows, scorer(samples=3), context_frames=1,
                 advance=told.append)  # fmt: skip
    assert sum(told) == 3 * sum(window.length - 1 for window in windows)
