"""Evaluations of models whose scores are known."""

import math

import numpy as np
import pytest
from fakes import Cheat, Fake, assess

from vidpred.evaluation.assessment import choose, spread
from vidpred.evaluation.comparison import compare
from vidpred.evaluation.guards import EvaluationError, check_split


def test_a_model_that_copies_has_no_skill_and_loses_to_nobody_it_is(data):
    found = assess(Fake(data.shape), data)
    summary = found.summarize(seed=0)
    assert summary["skill"] == pytest.approx({"mean": 0.0, "low": 0.0, "high": 0.0}, abs=1e-6)
    copied = summary["baselines"]["copy_context"]["psnr"]["mean"]
    assert summary["scores"]["psnr"]["mean"] == pytest.approx(copied)
    assert summary["loses_to"]["copy_context"] is None
    assert summary["loses_to"]["copy_previous"] == 2  # at frame 1 the previous frame is the context
    for metric, clips in found.curves.items():
        for number, curve in enumerate(clips):
            np.testing.assert_allclose(curve, found.baselines["copy_context"][metric][number], atol=1e-6)


def test_a_model_that_cheats_gets_nothing_for_it(data):
    cheating, copying = assess(Cheat(data.shape), data), assess(Fake(data.shape), data)
    for one, two in zip(cheating.curves["psnr"], copying.curves["psnr"], strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)


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


def test_a_metric_without_a_value_in_a_sample_leaves_the_others_to_choose_from():
    nothing = math.nan
    scores = {"psnr_inside": [np.array([[nothing, nothing], [30.0, nothing], [20.0, 21.0]])]}
    assert choose(scores, "best_each")["psnr_inside"][0][0] == 30.0


def test_the_best_of_k_rises_with_k_in_every_metric(data):
    found = assess(Fake(data.shape, gain=0.1), data, samples=5).summarize(seed=0)
    assert set(found["best_of_k"]) == {"psnr", "mse", "mae", "ssim"}
    for name, curve in found["best_of_k"].items():
        assert len(curve) == 5
        assert np.all(np.diff(curve) * (1 if name in ("psnr", "ssim") else -1) > 0), name
        assert curve[0] == pytest.approx(found["samples"][name]["mean"], rel=1e-5)
        best = found["samples"][name]["highest" if name in ("psnr", "ssim") else "lowest"]
        assert curve[-1] == pytest.approx(best, rel=1e-5)


def test_only_the_frames_that_count_are_scored(data):
    found = assess(Fake(data.shape), data, frames=5)
    assert {len(curve) for curve in found.curves["psnr"]} == {5}
    with pytest.raises(EvaluationError, match=r"scores 600 predicted frames, but clip .* has only 11"):
        assess(Fake(data.shape), data, frames=600)


def test_two_models_are_compared_clip_by_clip(data):
    copying, noisy = assess(Fake(data.shape), data), assess(Fake(data.shape, gain=0.2), data)
    found = compare(copying, noisy, names=("copy", "noise"))
    expected = np.mean(
        [two.mean() - one.mean() for one, two in zip(copying.curves["psnr"], noisy.curves["psnr"], strict=True)]
    )
    assert found["differences"]["psnr"]["mean"] == pytest.approx(expected)
    assert found["differences"]["mse"]["mean"] > 0
    assert found["sentence"].startswith(f"copy is better than noise by {-expected:.2f} dB (95 % interval")
    assert compare(noisy, copying, names=("noise", "copy"))["sentence"].startswith("copy is better than noise")
    assert compare(copying, copying, names=("a", "b"))["sentence"] == "a and b score alike on these 3 clips."


def test_models_that_differ_by_accident_are_not_told_apart(data):
    one, two = (assess(Fake(data.shape, gain=0.1), data, seed=seed) for seed in (0, 1))
    assert "cannot be told apart on these 3 clips" in compare(one, two, names=("a", "b"))["sentence"]


def test_what_was_scored_otherwise_is_not_compared(data):
    one, longer = assess(Fake(data.shape), data, frames=5), assess(Fake(data.shape), data)
    with pytest.raises(EvaluationError, match="a and b cannot be compared: they were scored with other clips"):
        compare(one, longer, names=("a", "b"))
    with pytest.raises(EvaluationError, match="other data"):
        compare(one, one, names=("a", "b"), data=("1", "2"))
    rounded = assess(Fake(data.shape), data, frames=5, quantize=True)
    with pytest.raises(EvaluationError, match="other protocol"):
        compare(one, rounded, names=("a", "b"))


def test_splits_that_flatter_are_refused(data):
    with pytest.raises(EvaluationError, match="allow_selection_split=true"):
        check_split(data, "val", allow_selection_split=False)
    check_split(data, "val", allow_selection_split=True)
    check_split(data, "test", allow_selection_split=False)
    with pytest.raises(EvaluationError, match="trained on"):
        check_split(data, "train", allow_selection_split=True)


def test_data_of_another_shape_is_refused(data):
    with pytest.raises(EvaluationError, match="built for"):
        assess(Fake(data.shape._replace(height=32)), data)
