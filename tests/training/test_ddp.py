"""Two processes on the CPU, by the command a user writes."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from vidpred.networks.checkpoint import read_checkpoint
from vidpred.runfolder import RunFolder

TESTS = Path(__file__).resolve().parents[1]


def vidpred(*options: str, cwd: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    places = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "VIDPRED_CACHE": str(cache), "PYTHONPATH": places}
    answer = subprocess.run(
        [sys.executable, "-m", "vidpred.run", "experiment=debug", "model.widths=[8,8,8]", "baselines=false", *options],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    return answer


def assert_said_once(answer: subprocess.CompletedProcess[str], folder: Path) -> None:
    """The terminal hears the first of two processes alone; each has a log of its own."""
    assert answer.stdout.count("fit_schedules: ") == 1
    assert answer.stdout.count("Initializing distributed") == 0
    assert "UserWarning: z is its mean in process 0" in answer.stderr
    assert "in process 1" not in answer.stderr
    unsynced = re.findall(r"self\.log\('([^']+)', \.\.\., sync_dist=True\)", answer.stderr)
    assert {name.partition("/")[0] for name in unsynced} <= {"doctor"}  # which looks at the first process's clips alone
    for number, log in enumerate(("run.log", "train_ddp_process_1.log")):
        text = (folder / log).read_text()
        assert f"z is its mean in process {number}" in text
        assert f"z is its mean in process {1 - number}" not in text
        assert f"GLOBAL_RANK: {number}" in text


def test_two_processes_validate_every_clip_once_with_the_numbers_of_one(tmp_path, cache):
    """Three clips for two processes: a sampler that fills up would count one twice. The weights do not learn."""
    options = ("data.val_clips=3", "data.batch_size=1", "optimizer.lr=0")
    vidpred("trainer=ddp_cpu", *options, f"hydra.run.dir={tmp_path / 'two'}", cwd=tmp_path, cache=cache)
    vidpred("trainer=cpu", *options, f"hydra.run.dir={tmp_path / 'one'}", cwd=tmp_path, cache=cache)
    with np.load(tmp_path / "one" / "psnr.npz") as one, np.load(tmp_path / "two" / "psnr.npz") as two:
        assert two["clips"].tolist() == [0, 1, 2]
        for name in ("model", "model_sample"):
            np.testing.assert_allclose(two[name], one[name], atol=1e-3)
    one, two = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("one", "two"))
    assert abs(one["psnr_best"] - two["psnr_best"]) < 1e-3
    assert not (tmp_path / "outputs").exists()
    assert len((tmp_path / "two" / "metrics.csv").read_text().splitlines()) == 3


def test_two_processes_learn_as_one_with_their_batches_together(tmp_path, cache):
    """With z at its mean: gradients, weights and logged means; coins are shared, noise is each process's own."""
    options = ("optimizer=sgd", "optimizer.lr=0.2", "prior_share=0", "gradient=full", "teacher_forcing=linear",
               "teacher_forcing.decay_start=0", "teacher_forcing.granularity=frame", "data.clips_per_epoch=8",
               "data.clip_length=6", "length_schedule=constant", "trainer.precision=32-true",
               "trainer.gradient_clip_val=0.1", "+callbacks.still._target_=samples.Still")  # fmt: skip
    for name, trainer, size in (("one", "cpu", 4), ("two", "ddp_cpu", 2)):
        said = vidpred(*options, f"trainer={trainer}", f"data.batch_size={size}",
                       f"+callbacks.still.path={tmp_path / name}", f"hydra.run.dir={tmp_path / name}-run",
                       cwd=tmp_path, cache=cache)  # fmt: skip
    assert_said_once(said, tmp_path / "two-run")
    first, second, alone = (torch.load(tmp_path / f"{name}.pt") for name in ("two-0", "two-1", "one-0"))
    assert len(first) == len(second) == len(alone) == 4
    for mine, other, whole in zip(first, second, alone, strict=True):
        for name in ("clips", "frames", "forced"):
            torch.testing.assert_close(torch.cat([mine[name], other[name]]), whole[name])
        torch.testing.assert_close(mine["gradient"], other["gradient"], rtol=0, atol=0)
        size = float(whole["gradient"].norm())
        assert float((mine["gradient"] - whole["gradient"]).norm()) < 1e-4 * size
        assert float((mine["noise"] - other["noise"]).std()) > 1  # of independent draws it is the root of 2
    forced = torch.cat([step["forced"] for step in alone])
    assert 0 < forced.float().mean() < 1
    one, two = (RunFolder(tmp_path / f"{name}-run") for name in ("one", "two"))
    for place in ("previous", "last"):
        weights = [read_checkpoint(getattr(run, place))["state_dict"] for run in (one, two)]
        for name, weight in weights[0].items():
            torch.testing.assert_close(weights[1][name], weight, rtol=1e-4, atol=1e-5)
    start = read_checkpoint(one.previous)["state_dict"]
    assert any((start[name] - weight).abs().max() > 1e-3 for name, weight in weights[0].items())  # they learn
    for mine, whole in zip(two.read_rows(), one.read_rows(), strict=True):
        for name in mine.keys() | whole.keys():
            if not name.startswith(("seconds", "speed/", "doctor/")):
                assert mine[name] == pytest.approx(whole[name], rel=1e-3), name


def test_schedules_are_the_same_numbers_in_every_process(tmp_path, cache):
    """And those of a run with one process that takes as many steps."""
    schedules = ("kl_anneal=cyclical", "kl_anneal.cycles=2", "kl_anneal.by=step", "teacher_forcing=cosine",
                 "teacher_forcing.decay_start=0", "length_schedule.by=step", "data.clips_per_epoch=8",
                 "trainer.max_epochs=3", "+callbacks.witness._target_=samples.Witness")  # fmt: skip
    # the witness is foreign code, which the end of a run, with all its scores, must not mind
    for name, own in (("two", ("trainer=ddp_cpu", "data.batch_size=1")), ("one", ("trainer=cpu", "data.batch_size=2"))):
        vidpred(*schedules, *own, f"+callbacks.witness.path={tmp_path / name}", "baselines=true",
                f"hydra.run.dir={tmp_path / name}-run", cwd=tmp_path, cache=cache)  # fmt: skip
    first, second, alone = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("two-0", "two-1", "one-0"))
    assert first == second == alone
    assert len(first) == 12
    assert all(len(set(column)) > 2 for column in np.transpose(first)[:4])


@pytest.fixture
def endless(tmp_path, cache):
    """A run of two processes in full swing: its folder, the first process and the number of the other."""
    environment = {**os.environ, "VIDPRED_CACHE": str(cache)}
    options = ("experiment=debug", "model.widths=[8,8,8]", "baselines=false", "trainer=ddp_cpu", "data.batch_size=1",
               "trainer.max_epochs=1000", "logger=none", f"hydra.run.dir={tmp_path / 'run'}")  # fmt: skip
    command = [sys.executable, "-m", "vidpred.run", *options]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, start_new_session=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        listed = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)], capture_output=True, text=True
        )
        other = next(int(line.split()[0]) for line in listed.stdout.splitlines() if "train_ddp_process" in line)
        yield tmp_path / "run", process, other
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_a_process_that_dies_ends_the_run_soon_and_with_a_word(endless):
    folder, process, other = endless
    os.kill(other, signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "another process of this run has ended" in said
    assert "Traceback" not in said
    assert json.loads((folder / "failed.json").read_text())["error"].startswith("another process")


@pytest.mark.parametrize("first", [True, False])
def test_a_signal_to_either_process_stops_both_after_the_same_step(endless, first):
    folder, process, other = endless
    written = (folder / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    os.kill(process.pid if first else other, signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert "go on with" in said
    assert (folder / "checkpoints" / "last.ckpt").stat().st_mtime_ns > written
    assert not Path(f"/proc/{other}").exists() or "Z" in Path(f"/proc/{other}/stat").read_text().split(")")[1]


def test_torchrun_starts_the_processes(tmp_path, cache):
    options = ("experiment=debug", "model.widths=[8,8,8]", "baselines=false", "trainer=ddp_cpu", "data.batch_size=1")
    environment = {**os.environ, "VIDPRED_CACHE": str(cache)}
    torchrun = [str(Path(sys.executable).with_name("torchrun")), "--standalone", "--nproc-per-node", "2"]
    answer = subprocess.run([*torchrun, "-m", "vidpred.run", *options, "hydra.run.dir=torchrun"], cwd=tmp_path,
                            env=environment, capture_output=True, text=True, timeout=300)  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    vidpred(*options[3:], "hydra.run.dir=own", cwd=tmp_path, cache=cache)
    with np.load(tmp_path / "torchrun" / "psnr.npz") as one, np.load(tmp_path / "own" / "psnr.npz") as two:
        np.testing.assert_allclose(one["model"], two["model"], atol=1e-3)
    assert not (tmp_path / "outputs").exists()


def test_a_sweep_of_two_processes_each_stays_in_one_folder(tmp_path, cache):
    vidpred("-m", "trainer=ddp_cpu", "kl_anneal=none,monotonic", "data.batch_size=1", cwd=tmp_path, cache=cache)
    (sweep,) = (tmp_path / "multirun").glob("*/*")
    jobs = sorted(file.parent.parent for file in sweep.glob("*/.hydra/config.yaml"))
    assert [folder.name[0] for folder in jobs] == ["0", "1"]
    for folder in jobs:
        with np.load(folder / "psnr.npz") as arrays:
            assert arrays["clips"].tolist() == [0, 1]
        assert (folder / "summary.json").is_file()
