"""Runs that are told to stop: they finish the step, write a checkpoint, and say how to go on."""

import signal
import threading
from types import FrameType
from typing import Any

from lightning import Callback, LightningModule, Trainer

from vidpred.runfolder import RunFolder

_TOGETHER = 10  # steps between two questions of several processes: each waits for all
REQUEUE = 75  # EX_TEMPFAIL of sysexits.h: try again later
_SIGNALS = {name: getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGINT") if hasattr(signal, name)}


class InterruptedRunError(RuntimeError):
    """A run was stopped by a signal, after it has written a checkpoint.

    Args:
        name: of the signal.
        folder: of the run.
        step: of the optimizer.
    """

    def __init__(self, name: str, folder: RunFolder, step: int) -> None:
        super().__init__(
            f"stopped by {name} after step {step}, with everything saved; go on with:\n"
            f"  python -m vidpred.run resume='{folder.path}'"
        )
        self.exit_code = 130 if name == "SIGINT" else REQUEUE


class Interruption(Callback):
    """Stops a run at the end of the step in which it gets SIGTERM, SIGUSR1 (SLURM's warnings) or Ctrl-C.

    A second Ctrl-C stops at once. Several processes agree on it, so that all stop after the same step.

    Args:
        folder: of the run, whose ``last.ckpt`` is written.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._caught: str | None = None
        self._saved = False
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen; Lightning's own listeners come back at the end."""
        if threading.current_thread() is threading.main_thread():  # Python allows it nowhere else
            self._before = {number: signal.signal(number, self._catch) for number in _SIGNALS.values()}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save, if any process was told to stop, once no gradients wait; several ask each other every tenth step.

        Not after the last of several steps of an epoch, but after the first of the next: a run that is resumed from
        there would not end that epoch, with its validation and its row of ``metrics.csv``.
        """
        first = batch_idx < trainer.accumulate_grad_batches
        if not first if trainer.is_last_batch else (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        if trainer.world_size > 1 and trainer.global_step % _TOGETHER and not first:
            return
        if trainer.strategy.reduce_boolean_decision(self._caught is not None, all=False):
            trainer.save_checkpoint(self.folder.last)
            self._saved = True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Leave, now that the loggers have the last step's values too."""
        self._leave(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave after the last step of an epoch."""
        self._leave(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave after the last step of an epoch without validation."""
        self._leave(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Listen no more."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _leave(self, trainer: Trainer) -> None:
        """Stop, if everything is saved for it.

        Raises:
            InterruptedRunError: then.
        """
        if self._saved:
            raise InterruptedRunError(self._caught or "a signal to another process", self.folder, trainer.global_step)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if name == "SIGINT":
            if self._caught is not None:
                raise KeyboardInterrupt
            print("\nStopping after this step; Ctrl-C again stops at once, without saving it.", flush=True)
        self._caught = name
