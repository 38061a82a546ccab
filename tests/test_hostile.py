"""What strangers send: checkpoints that hold code, configurations that call it."""

import pickle
from pathlib import Path

import pytest
import torch

from vidpred import assembly
from vidpred.assembly.building import refuse_foreign_code
from vidpred.networks.checkpoint import CheckpointError


class Touch:
    """A pickle that touches a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache) -> bytes:
    """A checkpoint of ours."""
    folder = tmp_path_factory.mktemp("trained")
    cfg = assembly.compose("experiment=debug", "model.widths=[8,8,8]", "logger=none", "trainer.max_epochs=1",
                           "callbacks.progress=null", f"data.cache={cache}", f"run_dir={folder}")  # fmt: skip
    run = assembly.build_run(cfg)
    run.trainer.fit(run.module, datamodule=run.data)
    return (folder / "checkpoints" / "last.ckpt").read_bytes()


@pytest.fixture
def checkpoint(trained, tmp_path) -> Path:
    (tmp_path / "mine.ckpt").write_bytes(trained)
    return tmp_path / "mine.ckpt"


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
@pytest.mark.parametrize("place", ["whole", "config", "state_dict"])
def test_code_in_a_checkpoint_is_not_run(checkpoint, tmp_path, write, place):
    bait = tmp_path / "touched"
    held = torch.load(checkpoint, weights_only=True)
    held = Touch(bait) if place == "whole" else {**held, place: Touch(bait)}
    write(held, checkpoint)
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        assembly.load_predictor(checkpoint)
    assert not bait.exists()


TARGETS = [
    "os.system", "builtins.eval", "subprocess.run", "torch.load", "torch.hub.load", "torch.ops.load_library",
    "vidpred.data.store.os.system", "vidpred.pose.blazepose_files.shutil.rmtree", "vidpred.cli.main",
    "torch.nn.functional.torch.load", "vidpred.data", "vidpred.networks.nowhere", "vidpredator.x", 7, None,
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("part", ["model", "prior", "data"])
def test_a_checkpoints_configuration_calls_nothing_foreign(checkpoint, part, target):
    held = torch.load(checkpoint, weights_only=True)
    held["vidpred"]["config"][part]["deep"] = [{"inside": {"_target_": target, "command": "touch x"}}]
    torch.save(held, checkpoint)
    with pytest.raises(ValueError, match=f"{part} wants to call {target}"):
        assembly.load_predictor(checkpoint)


def test_users_can_widen_what_is_trusted(monkeypatch):
    config = {"_target_": "fractions.Fraction"}
    with pytest.raises(ValueError, match="VIDPRED_TRUSTED_CODE"):
        refuse_foreign_code(config, name="x")
    monkeypatch.setenv("VIDPRED_TRUSTED_CODE", "decimal, fractions")
    refuse_foreign_code(config, name="x")
    with pytest.raises(ValueError, match=r"wants to call os\.system"):
        refuse_foreign_code({"_target_": "os.system"}, name="x")


def test_what_we_write_ourselves_is_trusted(checkpoint):
    assert assembly.load_predictor(checkpoint)
