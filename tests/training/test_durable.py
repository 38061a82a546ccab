import os
from pathlib import Path

import pytest
import torch
from samples import files_at_most

from vidpred.runfolder import RunFolder
from vidpred.training.durable import DurableCheckpointIO

SMALL, LARGE = {"state": torch.zeros(10)}, {"state": torch.zeros(100_000)}


def read(path: Path) -> int:
    return torch.load(path, weights_only=True)["state"].numel()


def test_a_checkpoint_takes_the_place_of_the_one_before_which_is_kept(tmp_path):
    last = RunFolder(tmp_path).last
    for number in (1, 2, 3):
        DurableCheckpointIO().save_checkpoint({"state": torch.zeros(number)}, last)
    assert (read(last), read(RunFolder(tmp_path).previous)) == (3, 2)
    assert sorted(file.name for file in last.parent.iterdir()) == ["last.ckpt", "previous.ckpt"]


def test_other_checkpoints_have_no_file_before(tmp_path):
    best = RunFolder(tmp_path).best
    for number in (1, 2):
        DurableCheckpointIO().save_checkpoint({"state": torch.zeros(number)}, best)
    assert [file.name for file in best.parent.iterdir()] == ["best.ckpt"]
    assert read(best) == 2


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path):
    folder = RunFolder(tmp_path)
    DurableCheckpointIO().save_checkpoint(SMALL, folder.last)
    with (
        files_at_most(50_000),
        pytest.raises(OSError, match=r"last.ckpt could not be written: .*; the one before is kept"),
    ):
        DurableCheckpointIO().save_checkpoint(LARGE, folder.last)
    assert read(folder.last) == 10
    assert [file.name for file in folder.last.parent.iterdir()] == ["last.ckpt"]
    with files_at_most(50_000), pytest.raises(OSError, match=r"film.gif could not be written"):
        folder.write("film.gif", b"x" * 60_000)
    assert not list(tmp_path.glob("*film.gif*"))


@pytest.mark.parametrize("allowed", [0, 1])
def test_at_no_moment_is_there_no_good_checkpoint(tmp_path, monkeypatch, allowed):
    """A save that is stopped before its first rename, or its second, leaves the file of before under its name."""
    folder = RunFolder(tmp_path)
    DurableCheckpointIO().save_checkpoint(SMALL, folder.last)
    rename, done = os.replace, []

    def stop(source, target):
        if len(done) == allowed:
            raise KeyboardInterrupt
        done.append(target)
        return rename(source, target)

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        DurableCheckpointIO().save_checkpoint(LARGE, folder.last)
    assert read(folder.last) == 10


def test_a_folder_that_is_gone_is_said(tmp_path):
    (tmp_path / "run").write_text("a file, where a folder was")
    with pytest.raises(OSError, match="could not be written"):
        RunFolder(tmp_path / "run").write_json("summary.json", {})
    with pytest.raises(OSError, match="could not be written"):
        DurableCheckpointIO().save_checkpoint(SMALL, RunFolder(tmp_path / "run").last)
