"""Runs that are killed at random moments end as if nobody had touched them.

``make test`` kills three times, ``make torture`` twenty (VIDPRED_TORTURE says how often).
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vidpred.networks.checkpoint import read_checkpoint
from vidpred.runfolder import RunFolder

KILLS = int(os.environ.get("VIDPRED_TORTURE", "3"))
OPTIONS = ("experiment=debug", "model.widths=[8,8,8]", "baselines=false", "trainer.precision=32-true",
           "trainer.max_epochs=6", "data.clips_per_epoch=24", "data.num_workers=2", "kl_anneal=cyclical",
           "kl_anneal.by=step", "teacher_forcing=linear", "teacher_forcing.decay_start=1",
           "teacher_forcing.granularity=frame")  # fmt: skip
MEASURED = ("seconds", "speed/", "hp/")  # of the machine, not of the model


def start(folder: Path, cache: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vidpred.run", *OPTIONS, *options, f"hydra.run.dir={folder}", "resume=auto"]
    environment = {**os.environ, "VIDPRED_CACHE": str(cache)}
    return subprocess.Popen(command, cwd=folder.parent, env=environment, text=True, start_new_session=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out, err


def kill(process: subprocess.Popen[str], number: int) -> None:
    os.killpg(process.pid, number)  # its data loaders too
    process.communicate(timeout=60)


def wait_for(path: Path, *, newer_than: float = 0.0, timeout: float = 120) -> None:
    deadline = time.monotonic() + timeout
    while not (path.is_file() and path.stat().st_mtime > newer_than):
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.02)


def rows_of(folder: Path) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if not name.startswith(MEASURED)}
            for row in RunFolder(folder).read_rows()]  # fmt: skip


def events_of(folder: Path) -> dict[str, dict[int, float]]:
    """Of every tag and step the last value."""
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return {tag: {event.step: event.value for event in sorted(events.Scalars(tag), key=lambda event: event.wall_time)}
            for tag in events.Tags()["scalars"] if not tag.startswith(MEASURED)}  # fmt: skip


def assert_same_run(one: Path, other: Path) -> None:
    """Weights, optimizer, metrics, curves, scores and logs."""
    states = [read_checkpoint(RunFolder(folder).last) for folder in (one, other)]
    for name, value in states[0]["state_dict"].items():
        assert torch.equal(value, states[1]["state_dict"][name]), name
    moments = [state["optimizer_states"][0]["state"] for state in states]
    for number, entry in moments[0].items():
        for name, value in entry.items():
            assert torch.equal(value, moments[1][number][name]), (number, name)
    assert states[0]["global_step"] == states[1]["global_step"]
    assert rows_of(one) == rows_of(other)
    for name in ("psnr.npz", "validations.npz", "films.npz"):
        arrays = [RunFolder(folder).read_arrays(name) for folder in (one, other)]
        assert arrays[0].keys() == arrays[1].keys()
        for key, value in arrays[0].items():
            np.testing.assert_array_equal(value, arrays[1][key], err_msg=f"{name} {key}")
    summaries = [RunFolder(folder).read_json("summary.json") for folder in (one, other)]
    for key in ("psnr_best", "psnr_last", "ssim_best", "kl_last", "steps", "epochs", "doctor"):
        assert summaries[0][key] == summaries[1][key], key
    assert events_of(one) == events_of(other)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, cache):
    """A run that nobody touches, and how long it takes from its first sign of life."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    process = start(folder, cache)
    wait_for(folder / "run.json")
    begun = time.monotonic()
    finish(process)
    return folder, time.monotonic() - begun


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_as_an_undisturbed_one(undisturbed, tmp_path, cache):
    whole, seconds = undisturbed
    moments, folder = random.Random(0), tmp_path / "run"
    kills = 0
    while kills < KILLS:
        before = time.time()
        process = start(folder, cache)
        wait_for(folder / "run.json", newer_than=before)
        time.sleep(moments.uniform(0, 1.1 * seconds))
        kill(process, signal.SIGKILL)
        kills += 1
        if (folder / "summary.json").is_file():
            assert_same_run(whole, folder)
            folder = tmp_path / f"run{kills}"
    finish(start(folder, cache))
    assert_same_run(whole, folder)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)])
def test_a_run_that_is_told_to_stop_saves_and_says_how_to_go_on(undisturbed, tmp_path, cache, number, code):
    whole, seconds = undisturbed
    folder = tmp_path / "a run"
    process = start(folder, cache)
    wait_for(folder / "metrics.csv")  # the first epoch is done
    time.sleep(seconds / 20)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert f"stopped by {number.name} after step" in err
    assert f"resume='{folder}'" in err
    assert not (folder / "summary.json").exists()
    assert not (folder / "failed.json").exists()
    finish(start(folder, cache))
    assert_same_run(whole, folder)


@pytest.mark.slow
def test_a_checkpoint_that_was_cut_off_is_passed_over_for_the_one_before(undisturbed, tmp_path, cache):
    whole, _ = undisturbed
    folder = tmp_path / "run"
    process = start(folder, cache)
    wait_for(RunFolder(folder).previous)
    kill(process, signal.SIGKILL)
    last = RunFolder(folder).last
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    _, err = finish(start(folder, cache))
    assert "last.ckpt cannot be read" in err
    assert "going on from previous.ckpt" in err
    assert_same_run(whole, folder)
    RunFolder(folder).previous.write_bytes(b"")
    for name in ("last", "best"):
        (folder / "checkpoints" / f"{name}.ckpt").write_bytes(b"PK")
    process = start(folder, cache)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "no checkpoint can be read" in err
