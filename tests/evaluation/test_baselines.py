import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from vidpred import assembly
from vidpred.data.clips import Window, whole_sequence
from vidpred.evaluation.baselines import psnr_of_baselines
from vidpred.evaluation.outcome import (
    as_matrix,
    mean_scores,
    psnr_of_rollouts,
    record_outcome,
    way_to_oracle,
)
from vidpred.runfolder import RunFolder


def scikit(predicted, target):
    return [peak_signal_noise_ratio(true, made, data_range=1.0) for true, made in zip(target, predicted, strict=True)]


def test_baselines_are_what_their_names_say(data, source):
    windows = [Window(0, 0, 12), Window(2, 0, 10)]
    scores = psnr_of_baselines(data, "val", windows, context_frames=2)
    store = source.open("val")
    assert [len(row) for row in scores["copy_context"]] == [10, 8]
    for number, window in enumerate(windows):
        frames = whole_sequence(store, data.poses, window.sequence)[0][: window.length].numpy() / 255
        target = frames[2:]
        oracle = source.dancers.oracle("val", window.sequence, window.length, futures=4)[2:]
        train = source.open("train").frames
        expected = {
            "copy_context": np.broadcast_to(frames[1], target.shape),
            "copy_previous": frames[1:-1],
            "oracle": oracle,
            "mean_frame": np.broadcast_to(train.mean(axis=0) / 255, target.shape),
        }
        for name, predicted in expected.items():
            assert scores[name][number].tolist() == pytest.approx(scikit(predicted, target), abs=0.05), name


def test_baselines_take_the_same_steps_as_the_clip(data):
    whole, every_second = (psnr_of_baselines(data, "val", [window], context_frames=1)
                           for window in (Window(1, 0, 11), Window(1, 0, 6, step=2)))  # fmt: skip
    for name in ("copy_context", "nearest_pose", "oracle"):
        assert every_second[name][0].tolist() == pytest.approx(whole[name][0][1::2].tolist(), abs=0.05), name


def test_the_nearest_pose_of_a_training_clip_is_its_own(data):
    scores = psnr_of_baselines(data, "train", [Window(1, 0, 8)], context_frames=1)
    assert min(scores["nearest_pose"][0]) == 100.0


def test_the_way_to_the_oracle():
    means = {"copy_context": 20.0, "model": 22.0, "oracle": 24.0}
    curves = {name: np.full((2, 3), mean) for name, mean in means.items()}
    way = way_to_oracle(curves)
    assert way["db"] == pytest.approx(0.5)
    assert way["squared_error"] == pytest.approx((10**-2 - 10**-2.2) / (10**-2 - 10**-2.4))
    assert way_to_oracle({**curves, "model": curves["copy_context"]}) == {"db": 0.0, "squared_error": 0.0}
    assert way_to_oracle({name: curves[name] for name in ("copy_context", "model")}) is None
    assert way_to_oracle({**curves, "oracle": np.full((2, 3), 99.0)}) is None


COURSE = {f"{score}_{when}" for score in ("psnr", "ssim", "kl") for when in ("best", "last")}


def test_the_other_z_is_scored_as_validation_scores(compose, tmp_path):
    """With the z of validation the best checkpoint gives its scores again, with the other one others."""
    cfg = compose("model.widths=[8,8,8]", "logger=none", "trainer.precision=32-true", run_dir=tmp_path / "run")
    run, folder = assembly.build_run(cfg), RunFolder(tmp_path / "run")
    run.trainer.fit(run.module, datamodule=run.data)
    best, arrays = run.best_predictor(folder), folder.read_arrays("psnr.npz")
    again, other = (psnr_of_rollouts(best, run.data, z=z) for z in ("mean", "sample"))
    for clip, curve in zip(arrays["clips"], arrays["model"], strict=True):
        np.testing.assert_allclose(again[int(clip)], curve, atol=1e-3)
        assert not np.allclose(other[int(clip)], curve, atol=1e-3)
    scores = record_outcome(folder, run.data, baselines=False, best=best, z="mean", skipped_steps=0)
    assert scores.keys() == COURSE | {"psnr_sample"}
    assert scores["psnr_sample"] == pytest.approx(np.mean([curve.mean() for curve in other.values()]), abs=1e-4)
    assert folder.read_json("summary.json")["baselines"] == {}


def test_a_run_that_kept_no_best_checkpoint_has_an_outcome(compose, tmp_path):
    cfg = compose("model.widths=[8,8,8]", "logger=none", "callbacks.best=null", run_dir=tmp_path / "run")
    run, folder = assembly.build_run(cfg), RunFolder(tmp_path / "run")
    run.trainer.fit(run.module, datamodule=run.data)
    assert run.best_predictor(folder) is None
    scores = record_outcome(folder, run.data, baselines=False, best=None, z="mean", skipped_steps=0)
    assert scores.keys() == COURSE
    rows = folder.read_rows()
    best = max(rows, key=lambda row: row["psnr/val"])
    for name, column in (("ssim", "ssim/val"), ("kl", "train/kl")):
        assert (scores[f"{name}_best"], scores[f"{name}_last"]) == (best[column], rows[-1][column])


def test_means_are_over_clips_of_means_over_frames():
    curves = {"model": as_matrix([np.array([10.0, 20.0]), np.array([30.0])])}
    assert np.isnan(curves["model"][1, 1])
    assert mean_scores(curves) == {"model": 22.5}
