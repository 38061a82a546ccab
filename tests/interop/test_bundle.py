"""A model as a folder that describes itself."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file
from samples import SHAPE, TINY, lively

from vidpred import __version__
from vidpred.interop.bundle import is_bundle, read_bundle, write_bundle
from vidpred.networks.checkpoint import FORMAT, CheckpointError, load_weights

CONFIG = {"context_frames": 1, "seed": 3, "model": {"_target_": "vidpred.networks.CVAE"}, "trainer": {"max_epochs": 7}}
METRICS = {
    "protocol": {"name": "strict", "fingerprint": "0123456789ab", "definition": "mean over samples"},
    "scores": {"psnr": {"mean": 22.125}, "ssim": {"mean": 0.8}}, "clips": 12, "split": "val", "frames": 756,
    "baselines": {"copy_context": {"psnr": {"mean": 18.8}}}, "data": "fedcba", "chosen_on": "val",
}  # fmt: skip


@pytest.fixture
def checkpoint():
    model = lively(TINY["cvae"]())
    state = {f"model.{key}": value for key, value in model.to(memory_format=torch.channels_last).state_dict().items()}
    about = {"format": FORMAT, "version": __version__, "shape": list(SHAPE), "config": CONFIG, "skeleton": None}
    return {"state_dict": {**state, "guard.skipped": torch.zeros(1)}, "vidpred": about}


def test_what_goes_in_comes_out(checkpoint, tmp_path):
    write_bundle(tmp_path / "mine", checkpoint, facts={}, metrics=None)
    assert is_bundle(tmp_path / "mine")
    found = read_bundle(tmp_path / "mine")
    assert found["vidpred"] == checkpoint["vidpred"]
    model = TINY["cvae"]()
    load_weights(model, found, name="mine")
    for key, value in model.state_dict().items():
        assert torch.equal(value, checkpoint["state_dict"][f"model.{key}"])
    assert set(load_file(tmp_path / "mine" / "model.safetensors")) == set(model.state_dict())


def test_the_card_says_what_it_is_and_what_it_scores(checkpoint, tmp_path):
    facts = {"data": "abcdef", "choices": {"kl_anneal": "cyclical", "sweep": "None"}}
    write_bundle(tmp_path / "mine", checkpoint, facts=facts, metrics=METRICS)
    card = (tmp_path / "mine" / "README.md").read_text()
    for word in ("16×24 pixels", "`kl_anneal=cyclical`", "`abcdef`", "fingerprint `0123456789ab`", "7 epochs with seed",
                 "| this model | 22.12 | 0.8000 |", "| copy_context | 18.80 |  |", "chosen on this split (val)",
                 'vidpred.load("mine")'):  # fmt: skip
        assert word in card, word
    assert "sweep" not in card
    write_bundle(tmp_path / "mine", checkpoint, facts={}, metrics=None)  # an older one is replaced
    assert "None are known" in (tmp_path / "mine" / "README.md").read_text()
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_in_the_way_is_kept(checkpoint, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").touch()
    with pytest.raises(ValueError, match=r"holds something else \(thesis.txt\)"):
        write_bundle(folder, checkpoint, facts={}, metrics=None)
    (folder / "thesis.txt").unlink()
    write_bundle(folder, checkpoint, facts={}, metrics=None)  # an empty folder is none
    (folder / "evaluation").mkdir()
    with pytest.raises(ValueError, match=r"holds something else \(evaluation\)"):
        write_bundle(folder, checkpoint, facts={}, metrics=None)
    assert (folder / "evaluation").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file"):
        write_bundle(tmp_path / "file", checkpoint, facts={}, metrics=None)
    assert {entry.name for entry in tmp_path.iterdir()} == {"mine", "file"}


def test_a_model_of_another_program_is_not_replaced(checkpoint, tmp_path):
    """Its files may have the names of ours."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": ["Bert"], "version": 4}))
    (folder / "model.safetensors").write_bytes(b"theirs")
    with pytest.raises(ValueError, match="holds something else"):
        write_bundle(folder, checkpoint, facts={}, metrics=None)
    assert (folder / "model.safetensors").read_bytes() == b"theirs"


def test_when_writing_fails_the_older_one_stays(checkpoint, tmp_path, monkeypatch):
    write_bundle(tmp_path / "mine", checkpoint, facts={}, metrics=None)
    (tmp_path / f".mine-{os.getpid()}").mkdir()  # of a killed process with the same number
    replaced = []

    def fail(source, target):
        replaced.append((source, target))
        if source.name != "mine" and len(replaced) == 2:
            raise OSError("no space")
        source.rename(target)

    monkeypatch.setattr("vidpred.interop.bundle.os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_bundle(tmp_path / "mine", checkpoint | {"state_dict": {}}, facts={}, metrics=None)
    monkeypatch.setattr("vidpred.interop.bundle.write_card", lambda *given, **named: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_bundle(tmp_path / "mine", checkpoint | {"state_dict": {}}, facts={}, metrics=None)
    assert read_bundle(tmp_path / "mine")["state_dict"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine"]


def test_damaged_and_newer_folders_are_told(checkpoint, tmp_path):
    folder = tmp_path / "mine"
    write_bundle(folder, checkpoint, facts={}, metrics=None)
    about = json.loads((folder / "config.json").read_text())
    for config, word in (
        (about | {"format": 99}, "this one is older"),
        ({"format": 1}, "does not say what"),
        (about | {"format": "2"}, "does not say what"),
    ):
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(CheckpointError, match=word):
            read_bundle(folder)
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "model.safetensors").write_bytes(b"short")
    with pytest.raises(CheckpointError, match="cannot be read as a model"):
        read_bundle(folder)
