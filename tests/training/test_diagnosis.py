"""The doctor's round in a run: what it leaves in the folder, and that it does not disturb."""

import json

import pytest
import torch

from vidpred import assembly
from vidpred.runfolder import RunFolder
from vidpred.training.diagnosis import CollapseDoctor

SMALL = (
    "model.widths=[8,8,8]",
    "baselines=false",
    "logger=none",
    "callbacks.doctor.clips=2",
    "callbacks.doctor.frames=6",
)


def fit(cfg, **options):
    run = assembly.build_run(cfg)
    run.trainer.fit(run.module, datamodule=run.data, **options)
    return run


def test_every_validation_leaves_numbers_and_a_verdict(compose, tmp_path):
    fit(compose(*SMALL, run_dir=tmp_path / "run"))
    rows = RunFolder(tmp_path / "run").read_rows()
    for name in ("active_units", "rate", "distortion", "movement", "worth_db", "room_db"):
        assert all(f"doctor/{name}" in row for row in rows)
    told = json.loads((tmp_path / "run" / "doctor.json").read_text())
    assert told["rate"] == pytest.approx(rows[-1]["doctor/rate"])
    assert len(told["rate_per_channel"]) == 8
    assert len(told["rate_per_step"]) == 5  # of six frames the first is context
    assert told["state"] in ("live", "ignored", "collapsed", "nothing to explain")
    assert f"{told['active_units']} of {told['units']} units active" in told["sentence"]


def test_training_with_and_without_the_doctor_is_the_same(compose, tmp_path):
    examined = fit(compose(*SMALL, run_dir=tmp_path / "a"))
    alone = fit(compose("model.widths=[8,8,8]", "baselines=false", "callbacks.doctor=null", run_dir=tmp_path / "b"))
    for name, value in examined.module.model.state_dict().items():
        assert torch.equal(value, alone.module.model.state_dict()[name])


def test_rate_and_distortion_so_far_are_resumed(compose, tmp_path):
    fit(compose(*SMALL, run_dir=tmp_path / "run"))
    cfg = compose(*SMALL, "trainer.max_epochs=3", run_dir=tmp_path / "run")
    again = fit(cfg, ckpt_path=tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    (doctor,) = (callback for callback in again.trainer.callbacks if isinstance(callback, CollapseDoctor))
    rows = RunFolder(tmp_path / "run").read_rows()
    assert len(doctor.state_dict()["history"]) == len(rows) == 3
    assert doctor.state_dict()["history"][-1] == pytest.approx([rows[-1]["doctor/rate"], rows[-1]["doctor/distortion"]])


@pytest.mark.parametrize("options", [{"clips": 0}, {"frames": 1}])
def test_nothing_to_examine_is_refused(tmp_path, options):
    with pytest.raises(ValueError, match=r"callbacks\.doctor needs"):
        CollapseDoctor(RunFolder(tmp_path), **options)
