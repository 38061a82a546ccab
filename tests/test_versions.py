"""What earlier versions wrote can be read; what later ones will write is refused with what is needed.

``fixtures`` has a debug run of every version whose runs or models were others, without its optimizer's state, and what
its model makes of a picture. Each has other networks than the one before. Runs of the oldest can be reported, but not
rolled out.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from vidpred import assembly
from vidpred.assembly.run import find_resume_point
from vidpred.networks.checkpoint import CheckpointError
from vidpred.reporting.reading import find_runs
from vidpred.reporting.report import write_report
from vidpred.runfolder import FORMAT, RunFolder, RunFolderError

FIXTURES = Path(__file__).parent / "fixtures"


REPLACED = ("0.1.0", "0.2.0", "0.3.0", "0.4.0")  # networks that are no longer here
ADDED_TO = ("0.5.0", "0.8.0", "0.9.0")  # those that are, without what was added later
KEPT = (*ADDED_TO, "0.11.0")  # and those whose layers had other names
NOW = "0.12.0"  # those of today


def copy(version: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURES / f"run_{version}", tmp_path / version))


@pytest.fixture
def run(tmp_path) -> Path:
    return copy(NOW, tmp_path)


def set_format(file: Path, number: int) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": number}))


@pytest.mark.parametrize("version", [*KEPT, NOW])
def test_a_run_of_an_earlier_version_predicts_what_it_did(version, tmp_path):
    run = copy(version, tmp_path)
    held = np.load(run / "rollout.npz")
    predictor = assembly.load_predictor(run, device="cpu")
    image, poses = (torch.from_numpy(held[name]) for name in ("image", "poses"))
    predicted = predictor.rollout(image, poses, z="mean")
    np.testing.assert_allclose(predicted.numpy(), held["expected"].astype(np.float32), atol=2 / 255)


@pytest.mark.parametrize("version", ADDED_TO)
def test_what_an_earlier_version_did_not_have_can_be_learnt(version, tmp_path):
    """As with init_from: layers that add nothing are not dead."""
    model = assembly.load_predictor(copy(version, tmp_path), device="cpu").model.requires_grad_()
    frames, poses = torch.rand(1, 1, 3, 16, 32), torch.rand(1, 2, 3, 16, 32)
    features = model.encode_poses(poses[:, 1:], model.context(frames, poses[:, :1]))
    (features.half.square().sum() + features.kept.square().sum()).backward()
    for layer in (model.anchor.hint_first, model.anchor.hint_again, model.anchor.shade.conv):
        assert not layer.weight.any()
        assert layer.weight.grad.any()


def test_a_layer_that_a_version_did_have_is_missed(tmp_path):
    old = copy("0.11.0", tmp_path)
    file = old / "checkpoints" / "best.ckpt"
    held = torch.load(file, weights_only=True)
    del held["state_dict"]["model.hint_first.weight"]
    torch.save(held, file)
    with pytest.raises(CheckpointError, match=r'Missing key.*"anchor\.hint_first\.weight"'):
        assembly.load_predictor(old)


@pytest.mark.parametrize("version", REPLACED)
def test_networks_that_are_no_longer_here_are_refused_with_the_version_that_has_them(version, tmp_path):
    old = copy(version, tmp_path)
    with pytest.raises(CheckpointError, match=rf"written by vidpred {version}, whose networks this one has replaced"):
        assembly.load_predictor(old)
    with pytest.raises(ValueError, match=rf"no checkpoint can be read: .* {version}, whose networks"):
        find_resume_point(RunFolder(old), str(old))


@pytest.mark.parametrize("version", KEPT)
def test_a_training_that_an_earlier_version_began_is_not_gone_on_with(version, tmp_path):
    old = copy(version, tmp_path)
    with pytest.raises(ValueError, match=rf"{version}, whose training this version cannot continue: go on"):
        find_resume_point(RunFolder(old), str(old))


@pytest.mark.parametrize("number", [FORMAT, FORMAT - 1])
@pytest.mark.parametrize("version", [*REPLACED, *KEPT, NOW])
def test_a_run_of_an_earlier_format_is_reported(version, number, tmp_path):
    run = copy(version, tmp_path)
    for file in run.glob("*.json"):
        set_format(file, number)
    (found,) = find_runs([str(run)])
    assert found.problems == []
    assert found.status == "finished"
    page = write_report([found], run / "report.html").page.read_text()
    assert "clip 0" in page
    assert f"{json.loads((run / 'summary.json').read_text())['psnr_best']:.2f}" in page


def test_a_newer_run_is_refused_with_the_format_that_is_needed(run):
    set_format(run / "run.json", FORMAT + 1)
    with pytest.raises(RunFolderError, match=rf"newer vidpred; this one reads format {FORMAT}"):
        find_runs([str(run)])


def test_a_newer_checkpoint_is_refused_with_the_version_that_is_needed(run):
    file = run / "checkpoints" / "best.ckpt"
    held = torch.load(file, weights_only=True)
    held["vidpred"] |= {"format": 99, "version": "7.1"}
    torch.save(held, file)
    with pytest.raises(CheckpointError, match=r"written by vidpred 7\.1"):
        assembly.load_predictor(run)
