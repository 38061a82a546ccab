"""`make tensorboard`, with a script in place of TensorBoard that says what it was given."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parent.parent / "Makefile"
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def user(tmp_path) -> Path:
    """A checkout that is installed."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for number, name in enumerate(("pyproject.toml", "constraints.txt", ".venv/bin/python", ".venv/.installed")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 + number, 1000 + number))
    (programs / "tensorboard").write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    (programs / "tensorboard").chmod(0o755)
    return tmp_path


def make(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("RUNS", "ARGS", "MAKEFLAGS")}
    return subprocess.run(["make", "-f", str(MAKEFILE), "tensorboard", *options], cwd=folder, env=environment,
                          capture_output=True, text=True)  # fmt: skip


def add_runs(folder: Path, *places: str) -> None:
    """Folders of sweeps or days, each changed later than the one before."""
    for number, place in enumerate(places):
        (folder / place / "0_run").mkdir(parents=True)
        os.utime(folder / place, (2000 + number, 2000 + number))


@pytest.mark.parametrize(
    "places",
    [
        ["outputs/2026-01-31", "multirun/2026-01-31/12-00-00"],
        ["multirun/2026-01-31/12-00-00", "multirun/2026-01-31/13-00-00", "outputs/2026-01-30"],
        ["outputs/2026-01-31"],
    ],
)
def test_tensorboard_opens_on_the_sweep_or_day_that_a_run_was_added_to_last(user, places):
    add_runs(user, *places)
    answer = make(user)
    assert answer.returncode == 0, answer.stderr
    assert f"<--logdir><{places[-1]}/>" in answer.stdout
    assert f"The runs in {places[-1]}/" in answer.stdout


def test_tensorboard_opens_on_the_runs_that_are_named(user):
    add_runs(user, "outputs/2026-01-31")
    answer = make(user, "RUNS=my runs", "ARGS=--port 7000")
    assert "<--logdir><my runs><--port><7000>" in answer.stdout


def test_where_nothing_has_run_tensorboard_is_not_started(user):
    answer = make(user)
    assert answer.returncode != 0
    assert "there are no runs yet: make train" in answer.stdout
    assert "<" not in answer.stdout
