"""Evaluation by the command as a user writes it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_cli import DEBUG, vidpred

from vidpred.evaluation import records


def evaluate(*options: str, cwd: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    return vidpred(*options, "lpips=false", cwd=cwd, cache=cache, module="vidpred.evaluate")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache) -> Path:
    cwd = tmp_path_factory.mktemp("user")
    answer = vidpred(*DEBUG, "hydra.run.dir=run, [é]=1", cwd=cwd, cache=cache)
    assert answer.returncode == 0, answer.stderr
    return cwd / "run, [é]=1"


@pytest.fixture(scope="module")
def evaluated(trained, cache) -> str:
    """What the default evaluation prints; its files are in the run's folder."""
    answer = vidpred(f"ckpt={trained}", cwd=trained.parent, cache=cache, module="vidpred.evaluate")
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_scores_baselines_and_reasons_are_told(evaluated):
    assert "2 test clips" in evaluated
    for word in ("protocol strict", "Skill against copying", "copy_context", "copy_previous", "nearest_pose",
                 "mean_frame", "Does it use the pose?", "Does it use z?", "Do its own frames mislead it?",
                 "Does it drift?", "Has the posterior collapsed?", "Do people take the poses asked for?",
                 "Does the spread of samples tell the error?", "MS-SSIM is left out"):  # fmt: skip
        assert word in evaluated, word


def test_every_number_is_kept_with_its_protocol(evaluated, trained):
    folder = trained / "evaluation"
    found = json.loads((folder / "metrics.json").read_text())
    assert (found["split"], found["clips"], found["chosen_on"]) == ("test", 2, None)
    assert found["scores"]["psnr"]["mean"] == pytest.approx(found["samples"]["psnr"]["mean"])
    assert len(found["best_of_k"]["psnr"]) == found["protocol"]["samples"] == 8
    assert {"psnr", "psnr_inside", "mse_outside", "ssim_inside", "mae"} <= set(found["scores"])
    if "lpips" not in found["scores"]:
        assert "LPIPS is left out" in found["left_out"][0]
        assert evaluated.count("LPIPS is left out") == 1
    fingerprint = found["protocol"]["fingerprint"]
    assert f"protocol strict {fingerprint}" in evaluated
    for name, rows in (("clips.csv", 2), ("frames.csv", 7)):
        lines = (folder / name).read_text().splitlines()
        assert len(lines) == rows + 1
        assert all(f",{fingerprint}," in line for line in lines[1:])
    with np.load(folder / "psnr.npz") as arrays:
        assert str(arrays["protocol"]) == fingerprint
        assert {"model", "copy_context", "oracle"} <= set(arrays)
    with np.load(folder / "conditions.npz") as arrays:
        assert {"normal", "pose_shuffled", "z_posterior", "forced"} <= set(arrays)


def test_the_schema_of_the_metrics_is_documented(evaluated, trained):
    found = json.loads((trained / "evaluation" / "metrics.json").read_text())
    documented = set(re.findall(r"``(\w+)``", records.__doc__))
    assert set(found) <= documented, set(found) - documented


def test_figures_and_films_are_drawn(evaluated, trained):
    names = ("psnr", "horizon", "psnr_by_clip", "error", "samples", "conditions", "best", "median", "worst")
    for name in names:
        with Image.open(trained / "evaluation" / f"{name}.png") as picture:
            assert min(picture.size) > 100, name
            assert len(np.unique(np.asarray(picture.convert("L")))) > 10, name
    for name in ("best", "median", "worst"):
        with Image.open(trained / "evaluation" / f"{name}.gif") as film:
            assert film.n_frames == 7


def test_the_split_that_chose_the_checkpoint_is_scored_on_demand_only(trained, cache):
    cwd, options = trained.parent, ("split=val", f"ckpt={trained}/checkpoints/*st.ckpt", "films=false")
    refused = evaluate(*options, cwd=cwd, cache=cache)
    assert refused.returncode == 2
    assert "allow_selection_split=true" in refused.stderr
    assert not (cwd / "ev").exists()
    options = (*options, "allow_selection_split=true", "protocol.samples=2", "diagnoses=false", f"out={cwd}/ev")
    answer = evaluate(*options, cwd=cwd, cache=cache)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.count("The checkpoint was chosen on this split (val): its score is too good.") == 2
    assert re.search(r"best\.ckpt.*(is better than|cannot be told apart|score alike)", answer.stdout)
    assert "PSNR dB of all checkpoints" in answer.stdout
    assert sorted(folder.name for folder in (cwd / "ev").iterdir()) == ["0-best", "1-last"]
    compared = json.loads((cwd / "ev" / "1-last" / "comparison.json").read_text())
    assert set(compared["differences"]["psnr"]) == {"mean", "low", "high"}
    assert not (cwd / "ev" / "0-best" / "comparison.json").exists()
    short = evaluate(f"ckpt={trained}", "protocol=lab", cwd=cwd, cache=cache)
    assert short.returncode == 2
    assert "scores 600 predicted frames" in short.stderr


def test_two_processes_find_the_numbers_of_one(trained, cache, tmp_path):
    """Under torchrun every clip counts once; an odd number of clips is not filled up."""
    options = (f"ckpt='{trained}'", "split=val", "allow_selection_split=true", "lpips=false", "films=false",
               "pose_estimator.steps=5", "protocol.samples=3")  # fmt: skip
    assert evaluate(*options, "out=one", cwd=tmp_path, cache=cache).returncode == 0
    environment = {**os.environ, "VIDPRED_CACHE": str(cache)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
               "vidpred.evaluate"]  # fmt: skip
    answer = subprocess.run([*command, *options, "out=two"], cwd=tmp_path, env=environment, capture_output=True,
                            text=True, timeout=300)  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert len(re.findall(r"\d val clips, \d+ predicted frames", answer.stdout)) == 1
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two"))
    assert one["clips"] == two["clips"] > 1
    assert_alike(one, two)
    for name in ("clips.csv", "frames.csv"):
        first, second = (
            np.genfromtxt(tmp_path / place / name, delimiter=",", skip_header=1) for place in ("one", "two")
        )
        np.testing.assert_allclose(first, second, rtol=1e-4)


def assert_alike(one, two, place="metrics"):
    """Numbers to float tolerance, all else exactly; sentences hold numbers, and may differ in a last digit."""
    if isinstance(one, dict):
        assert one.keys() == two.keys(), place
        for key in one:
            assert_alike(one[key], two[key], f"{place}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(two), place
        for number, pair in enumerate(zip(one, two, strict=True)):
            assert_alike(*pair, f"{place}[{number}]")
    elif isinstance(one, float):
        assert one == pytest.approx(two, rel=1e-3, abs=2e-3), place
    elif not place.endswith(".sentence"):
        assert one == two, place


def test_what_cannot_be_written_fails_before_the_work(trained, cache, tmp_path):
    (tmp_path / "file").write_text("in the way")
    answer = evaluate(f"ckpt={trained}", f"out={tmp_path}/file/deep", cwd=tmp_path, cache=cache)
    assert answer.returncode == 2
    assert "rollouts of each" not in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_an_estimator_that_learns_does_not_prepare_films(tmp_path, cache):
    Image.new("RGB", (32, 32)).save(tmp_path / "1.png")
    answer = vidpred(f"source={tmp_path}", "out=data", "pose_estimator=fitted", cwd=tmp_path, cache=cache,
                     module="vidpred.prepare")  # fmt: skip
    assert answer.returncode == 2
    assert "pose_estimator=blazepose" in answer.stderr
