"""Disks that are full, and folders that are taken away, while a run trains: one line, and the last good state stays."""

import errno
import shutil

import pytest
from lightning import Callback
from tensorboard.summary.writer.record_writer import RecordWriter

from vidpred import assembly
from vidpred.networks.checkpoint import read_checkpoint
from vidpred.runfolder import RunFolder, RunFolderError
from vidpred.training.faults import DiskError, told_in_words

SMALL = ("model.widths=[8,8,8]", "baselines=false", "data.clips_per_epoch=4", "trainer.max_epochs=50")


def fit(cfg, folder: RunFolder, *callbacks: Callback) -> None:
    run = assembly.build_run(cfg)
    run.trainer.callbacks[:0] = callbacks
    with told_in_words(folder):
        run.trainer.fit(run.module, datamodule=run.data)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's writer is a thread
def test_a_disk_that_is_full_for_event_files_is_said_and_the_checkpoint_stays(compose, tmp_path, monkeypatch):
    folder, write = RunFolder(tmp_path / "run"), RecordWriter.write

    def refuse(self, data):
        if folder.last.is_file():
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(RecordWriter, "write", refuse)
    with pytest.raises(DiskError, match=r"No space left on device.*the last checkpoint is kept.*resume=") as caught:
        fit(compose(*SMALL), folder)
    assert "\n" not in str(caught.value)
    assert read_checkpoint(folder.last)["global_step"] >= 2


class Remove(Callback):
    """Takes the folder of the run away in its second epoch."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == 1 and batch_idx == 0:
            shutil.rmtree(self.folder.path)


@pytest.mark.parametrize("validated", [True, False])
def test_a_folder_that_is_removed_is_said_and_no_half_of_it_comes_back(compose, tmp_path, validated):
    folder = RunFolder(tmp_path / "run")
    folder.write_json("run.json", {"seed": 0})
    options = () if validated else ("trainer.check_val_every_n_epoch=50",)
    with pytest.raises(RunFolderError, match=r"was removed, or its run\.json, while the run trained"):
        fit(compose(*SMALL, "logger=none", *options), folder, Remove(folder))
    assert not folder.path.exists()


class Block(Callback):
    """Puts a file where the folder of checkpoints stood."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            self.folder.last.parent.rename(self.folder.path / "kept")
            self.folder.last.parent.touch()


def test_a_folder_that_takes_no_checkpoint_ends_the_run_with_its_name(compose, tmp_path):
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(OSError, match=r"the checkpoint .*checkpoints/\w+\.ckpt could not be written"):
        fit(compose(*SMALL, "logger=none"), folder, Block(folder))
    assert read_checkpoint(folder.path / "kept" / "last.ckpt")["global_step"] == 2
