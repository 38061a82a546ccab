import os
import signal
import threading

import pytest
import torch
from lightning import Callback
from test_training import RESUMED, assert_same, fit, weights

from vidpred import assembly
from vidpred.runfolder import RunFolder
from vidpred.training.interruption import InterruptedRunError


class Signal(Callback):
    """Sends SIGTERM to this very process after a batch."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.current_epoch == 1 and batch_idx == self.batch:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals are the main thread's")
@pytest.mark.parametrize("batch", [0, 1, 2, 3])
def test_a_run_that_accumulates_gradients_stops_between_its_steps_and_goes_on_exactly(compose, tmp_path, batch):
    """Two batches make a step, four an epoch: a checkpoint in the middle of a step would lose half of its gradient.

    One after the last step of an epoch would lose the epoch's end: there the run stops a step later.
    """
    options = (*RESUMED, "trainer.accumulate_grad_batches=2", "fit_schedules=true")
    whole = fit(compose(*options, run_dir=tmp_path / "whole"))
    run = assembly.build_run(compose(*options, run_dir=tmp_path / "cut"))
    run.trainer.callbacks.insert(0, Signal(batch))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(InterruptedRunError) as caught:
        run.trainer.fit(run.module, datamodule=run.data)
    assert caught.value.exit_code == 75
    assert signal.getsignal(signal.SIGTERM) == before
    assert torch.load(RunFolder(tmp_path / "cut").last, weights_only=True)["global_step"] == (3 if batch < 2 else 5)
    resumed = fit(compose(*options, run_dir=tmp_path / "cut"), RunFolder(tmp_path / "cut").last)
    assert_same(weights(resumed), weights(whole))
    rows = [[row["epoch"] for row in RunFolder(tmp_path / name).read_rows()] for name in ("whole", "cut")]
    assert rows[0] == rows[1]
