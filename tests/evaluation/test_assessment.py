"""Evaluations of models whose scores are known, and what is refused."""

import math

import numpy as np
import pytest
import torch
from fakes import Broken, Cheat, Fake
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vidpred.data.clips import Window, whole_sequence
from vidpred.evaluation.assessment import assess, check_split, choose, compare, spread
from vidpred.evaluation.diagnoses import diagnose
from vidpred.evaluation.sampling import EvaluationError, sample_clips
from vidpred.evaluation.scoring import Scorer, limb_pixels
from vidpred.metrics.protocol import Protocol
from vidpred.networks import CVAE
from vidpred.predictor import Predictor

SETTINGS = {"name": "test", "definition": "of a test"}


def scorer(**options) -> Scorer:
    return Scorer(Protocol(**SETTINGS, **options))


def examine(model, data, split="val", z="sample", seed=0, **options):
    return assess(Predictor(model, 1, {}), data, split, scorer(**options), z=z, seed=seed)


def truth(data, source, clip):
    return whole_sequence(source.open("val"), data.poses, clip)[0].numpy() / 255


def test_a_model_that_copies_has_no_skill_and_loses_to_nobody_it_is(data):
    found = examine(Fake(data.shape), data)
    summary = found.summarize(seed=0)
    assert summary["skill"] == pytest.approx({"mean": 0.0, "low": 0.0, "high": 0.0}, abs=1e-6)
    copied = summary["baselines"]["copy_context"]["psnr"]["mean"]
    assert summary["scores"]["psnr"]["mean"] == pytest.approx(copied)
    assert summary["loses_to"]["copy_context"] is None
    assert summary["loses_to"]["copy_previous"] == 2  # at frame 1 the previous frame is the context
    for metric, clips in found.curves.items():
        for number, curve in enumerate(clips):
            np.testing.assert_allclose(curve, found.baselines["copy_context"][metric][number], atol=1e-6)


def test_every_metric_is_scikit_images_frame_by_frame(data, source):
    found = examine(Fake(data.shape), data)
    for number, window in enumerate(found.windows):
        frames = truth(data, source, window.sequence)
        for step in range(window.length - 1):
            pair = frames[step + 1], frames[0]
            assert found.curves["psnr"][number][step] == pytest.approx(
                peak_signal_noise_ratio(*pair, data_range=1.0), abs=1e-3
            )
            assert found.curves["mse"][number][step] == pytest.approx(((pair[0] - pair[1]) ** 2).mean(), abs=1e-6)
            assert found.curves["mae"][number][step] == pytest.approx(abs(pair[0] - pair[1]).mean(), abs=1e-6)
            similar = structural_similarity(*pair, channel_axis=0, data_range=1.0, gaussian_weights=True, sigma=1.5,
                                            use_sample_covariance=False)  # fmt: skip
            assert found.curves["ssim"][number][step] == pytest.approx(similar, abs=1e-4)
            moving = abs(pair[0] - pair[1]).max(axis=0) > 0.05
            inside = ((pair[0] - pair[1]) ** 2)[:, moving].mean()
            assert found.curves["psnr_inside"][number][step] == pytest.approx(-10 * math.log10(inside), abs=1e-3)


def test_noise_of_a_known_size_has_its_psnr(data):
    """Of the copied frame and noise σ: MSE = MSE of copying + σ², where nothing is clipped."""
    sigma = 0.03
    model = Fake(data.shape, gain=sigma)
    clips = data.clips("val").__getitems__([Window(0, 0, 12)])
    inside = torch.full((1, 12, 3, 16, 24), 0.5)
    noisy = scorer()(inside[:, 1:] + sigma * torch.randn(1, 11, 3, 16, 24, generator=torch.Generator().manual_seed(0)),
                     inside[:, 1:], clips.poses[:, 1:].float() / 255, inside[:, 0])  # fmt: skip
    assert float(noisy["mse"].mean()) == pytest.approx(sigma**2, rel=0.02)
    windows = [Window(0, 0, 12)]
    still = sample_clips(
        Predictor(Fake(data.shape), 1, {}), data, "val", windows, scorer(), context_frames=1, samples=1
    )
    many = sample_clips(Predictor(model, 1, {}), data, "val", windows, scorer(), context_frames=1, samples=200)
    expected = still.scores["mse"][0].mean() + sigma**2
    clipped = np.mean((truth(data, data.source, 0)[0] > 1 - 3 * sigma) | (truth(data, data.source, 0)[0] < 3 * sigma))
    assert 10 * abs(math.log10(many.scores["mse"][0].mean() / expected)) < 0.01 + clipped
    assert many.spread[0].mean() == pytest.approx(sigma**2, rel=0.02 + clipped)


def test_a_model_that_cheats_gets_nothing_for_it_and_is_told(data):
    cheating = examine(Cheat(data.shape), data)
    copying = examine(Fake(data.shape), data)
    for one, two in zip(cheating.curves["psnr"], copying.curves["psnr"], strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)
    told = {entry.question: entry for entry in diagnose(Predictor(Cheat(data.shape), 1, {}), data, "val",
            cheating.windows, cheating.sampled, context_frames=1)}  # fmt: skip
    assert told["Does it use z?"].numbers["posterior_gains_db"] > 20
    assert "(which sees the target) gains" in told["Does it use z?"].sentence
    assert told["Does it use the pose?"].sentence.startswith("It hardly uses the pose")


def test_what_is_not_finite_is_the_worst_and_never_dropped(data, source):
    found = examine(Broken(data.shape), data)
    assert found.sampled.broken == sum(window.length - 1 - 3 for window in found.windows)
    for number, window in enumerate(found.windows):
        frames = truth(data, source, window.sequence)[4:]
        worst = np.where(frames < 0.5, 1.0, 0.0)
        expected = ((worst - frames) ** 2).mean(axis=(1, 2, 3))
        np.testing.assert_allclose(found.curves["mse"][number][3:], expected, atol=1e-6)
    assert found.summarize(seed=0)["broken_frames"] == found.sampled.broken


def test_samples_are_chosen_as_the_protocol_says():
    """Two samples of one clip: the first is better by SSIM, the second by PSNR and MSE."""
    scores = {
        "psnr": [np.array([[20.0, 22.0], [30.0, 26.0]])],
        "ssim": [np.array([[0.9, 0.8], [0.5, 0.7]])],
        "mse": [np.array([[0.02, 0.01], [0.001, 0.002]])],
    }
    mean = choose(scores, "mean")
    assert mean["psnr"][0].tolist() == [25.0, 24.0]
    by_ssim = choose(scores, "best_ssim")
    assert (by_ssim["psnr"][0].tolist(), by_ssim["mse"][0].tolist()) == ([20.0, 22.0], [0.02, 0.01])
    each = choose(scores, "best_each")
    assert (each["psnr"][0].tolist(), each["ssim"][0].tolist()) == ([30.0, 26.0], [0.9, 0.8])
    assert each["mse"][0].tolist() == [0.001, 0.002]
    assert spread(scores["psnr"]) == {"mean": 24.5, "highest": 28.0, "lowest": 21.0}
    with pytest.raises(EvaluationError, match="by SSIM"):
        choose({"psnr": scores["psnr"]}, "best_ssim")


def test_the_labs_scorer_rounds_to_grey_levels(data):
    target = torch.full((1, 1, 3, 16, 24), 100 / 255)
    predicted = target + 0.4 / 255  # rounds to the target itself
    poses = torch.zeros(1, 1, 3, 16, 24)
    assert float(scorer(quantize=True)(predicted, target, poses, target[:, 0])["psnr"]) == 100.0
    rough = target + 2.6 / 255  # rounds to three levels more
    found = scorer(quantize=True)(rough, target, poses, target[:, 0])["psnr"]
    assert float(found) == pytest.approx(10 * math.log10(255**2 / 9), abs=1e-4)


def test_only_the_frames_that_count_are_scored(data):
    found = examine(Fake(data.shape), data, frames=5)
    assert {len(curve) for curve in found.curves["psnr"]} == {5}
    with pytest.raises(EvaluationError, match=r"scores 600 predicted frames, but clip .* has only 11"):
        examine(Fake(data.shape), data, frames=600)


def test_a_sample_does_not_depend_on_what_is_computed_with_it(data, monkeypatch):
    torch.manual_seed(0)
    model = CVAE(data.shape, widths=(8, 8, 8), slots=4, z_channels=2)
    together = examine(model, data, samples=6)
    monkeypatch.setattr("vidpred.evaluation.sampling.ROWS", 4)
    apart = examine(model, data, samples=6)
    for one, two in zip(together.sampled.scores["psnr"], apart.sampled.scores["psnr"], strict=True):
        np.testing.assert_allclose(one, two, atol=1e-3)
    for one, two in zip(together.sampled.spread, apart.sampled.spread, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-9)
    first = examine(model, data, samples=1)
    np.testing.assert_allclose(first.curves["psnr"][0], together.sampled.scores["psnr"][0][0], atol=1e-3)


def test_two_models_are_compared_clip_by_clip(data):
    copying, noisy = examine(Fake(data.shape), data), examine(Fake(data.shape, gain=0.2), data)
    found = compare(copying, noisy, names=("copy", "noise"))
    expected = np.mean(
        [two.mean() - one.mean() for one, two in zip(copying.curves["psnr"], noisy.curves["psnr"], strict=True)]
    )
    assert found["psnr"]["mean"] == pytest.approx(expected)
    assert found["sentence"].startswith("copy is better than noise by")
    assert "cannot be told apart" in compare(copying, copying, names=("a", "b"))["sentence"]


def test_splits_that_flatter_are_refused(data):
    with pytest.raises(EvaluationError, match="allow_selection_split=true"):
        check_split(data, "val", allow_selection_split=False)
    check_split(data, "val", allow_selection_split=True)
    check_split(data, "test", allow_selection_split=False)
    with pytest.raises(EvaluationError, match="trained on"):
        check_split(data, "train", allow_selection_split=True)


def test_data_of_another_shape_is_refused(data):
    with pytest.raises(EvaluationError, match="built for"):
        examine(Fake(data.shape._replace(height=32)), data)


def test_limbs_are_around_the_marks():
    poses = torch.zeros(1, 1, 2, 64, 64)
    poses[0, 0, 1, 10, 20] = 1.0
    near = limb_pixels(poses)[0, 0, 0]
    assert near.sum() == 49
    assert near[7:14, 17:24].all()


def test_diagnoses_of_a_real_network_end_in_sentences(data):
    torch.manual_seed(0)
    model = CVAE(data.shape, widths=(8, 8, 8), slots=4, z_channels=2)
    found = examine(model, data, samples=3)
    told = diagnose(Predictor(model, 1, {}), data, "val", found.windows, found.sampled, context_frames=1)
    assert len(told) == 6
    for diagnosis in told:
        assert diagnosis.question.endswith("?")
        assert diagnosis.sentence.endswith(".")
        assert all(math.isfinite(value) for value in diagnosis.numbers.values())
