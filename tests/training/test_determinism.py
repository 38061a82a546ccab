"""What a run depends on, and what it does not."""

import pytest
import torch
from lightning import Callback
from test_training import SMALL, assert_same, fit, weights

from vidpred import assembly

RUN = (*SMALL, "logger=none", "augment=default", "data.clips_per_epoch=8", "trainer.check_val_every_n_epoch=2",
       "data.random_start=true", "teacher_forcing=linear", "teacher_forcing.granularity=frame",
       "teacher_forcing.decay_start=0")  # fmt: skip

SHORT = (*SMALL, "logger=none", "trainer.max_epochs=1", "data.clips_per_epoch=4")


@pytest.fixture
def threads():
    """Sets the threads of torch, for a while."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_weights_do_not_depend_on_the_number_of_loader_workers(compose, tmp_path):
    runs = [fit(compose(*RUN, f"data.num_workers={count}", run_dir=tmp_path / str(count))) for count in (0, 1, 2)]
    for run in runs[1:]:
        assert_same(weights(runs[0]), weights(run))


def test_weights_depend_on_the_number_of_threads_by_rounding_alone(compose, tmp_path, threads):
    found = []
    for count in (1, 4):
        threads(count)
        found.append(weights(fit(compose(*SHORT, "optimizer=sgd", run_dir=tmp_path / str(count)))))
    for name, weight in found[0].items():
        torch.testing.assert_close(found[1][name], weight, rtol=1e-3, atol=1e-4, msg=name)


class Asked(Callback):
    """What torch is asked for while training."""

    def __init__(self) -> None:
        self.deterministic: set[bool] = set()

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.deterministic.add(torch.are_deterministic_algorithms_enabled())


@pytest.mark.parametrize("wanted", [True, False])
def test_deterministic_algorithms_are_used_where_they_are_asked_for(compose, monkeypatch, wanted):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # which Lightning sets, and nobody takes back
    run = assembly.build_run(compose(*RUN, f"trainer.deterministic={str(wanted).lower()}", "trainer.max_epochs=1"))
    run.trainer.callbacks.append(asked := Asked())
    try:
        run.trainer.fit(run.module, datamodule=run.data)
    finally:
        torch.use_deterministic_algorithms(False)
    assert asked.deterministic == {wanted}
