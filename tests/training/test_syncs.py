"""No value of a training step comes to the host: a GPU would wait for it."""

import traceback

import pytest
import torch
from lightning import Callback
from torch.utils._python_dispatch import TorchDispatchMode

from vidpred import assembly

READERS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default, torch.ops.aten.equal.default}
COINS = {"unroll", "_choose", "mix", "toss"}  # functions that look at the coins of teacher forcing, on the host
METHODS = ("cpu", "numpy", "tolist", "item")


class Watch(TorchDispatchMode):
    """Writes down where values are read."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        if function in READERS:
            self.note(function)
        return function(*arguments, **(options or {}))

    def note(self, what):
        stack = [
            frame
            for frame in traceback.extract_stack()
            if "vidpred/" in frame.filename or "/lightning/" in frame.filename
        ]
        if stack[-1].name not in COINS:
            self.found.append(f"{what} in {stack[-1].filename}:{stack[-1].lineno}, {stack[-1].name}")


class WatchSteps(Callback):
    """Watches every batch but the first, which announces what beta means, and the last, whose values are logged."""

    def __init__(self, monkeypatch):
        self.watch, self.steps = Watch(), 0
        for name in METHODS:
            plain = getattr(torch.Tensor, name)
            monkeypatch.setattr(torch.Tensor, name, self.noting(name, plain))
        self.on = False

    def noting(self, name, plain):
        def noted(tensor, *arguments, **options):
            if self.on:
                self.watch.note(name)
            return plain(tensor, *arguments, **options)

        return noted

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx and not trainer.is_last_batch:
            self.on = True
            self.watch.__enter__()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if self.on:
            self.watch.__exit__(None, None, None)
            self.on, self.steps = False, self.steps + 1


@pytest.mark.parametrize("options", [(), ("teacher_forcing=linear", "teacher_forcing.granularity=frame"),
                                     ("teacher_forcing=always", "objective=control_vae", "objective.kl_target=1.0"),
                                     ("optimizer=sgd", "recompute=true")])  # fmt: skip
def test_no_training_step_waits_for_the_device(compose, monkeypatch, tmp_path, options):
    run = assembly.build_run(
        compose("logger=none", "trainer.log_every_n_steps=100", "data.clips_per_epoch=10", "trainer.max_epochs=1",
                "fit_schedules=true", *options, run_dir=tmp_path)
    )  # fmt: skip
    watching = WatchSteps(monkeypatch)
    run.trainer.callbacks.append(watching)
    run.trainer.fit(run.module, datamodule=run.data)
    assert watching.steps == 3
    assert not watching.watch.found


def test_the_watch_sees_what_is_read(compose, monkeypatch, tmp_path):
    run = assembly.build_run(compose("logger=none", "trainer.log_every_n_steps=100", "data.clips_per_epoch=10",
                                     run_dir=tmp_path))  # fmt: skip
    watching, plain = WatchSteps(monkeypatch), run.module.guard.poison
    run.module.guard.poison = lambda loss: plain(loss) * float(loss > 0)
    run.trainer.callbacks.append(watching)
    run.trainer.fit(run.module, datamodule=run.data)
    assert watching.watch.found
