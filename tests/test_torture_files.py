"""Packing, drawing, preparing and reporting, killed at random moments: nothing half is taken for whole.

The same command then ends with the bytes of one that nobody touched. ``make test`` kills each twice, ``make torture``
twenty times (VIDPRED_TORTURE says how often).
"""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from folders import make_run
from samples import write_pictures

from vidpred.data.store import StoreError, open_store

TESTS = Path(__file__).resolve().parent
KILLS = int(os.environ.get("VIDPRED_TORTURE", "2"))
SLOWLY = """
import time
from functools import wraps
def slowly(function):
    @wraps(function)
    def slow(*values, **options):
        time.sleep(0.004)
        return function(*values, **options)
    return slow
"""
PACK = """
from pathlib import Path
from vidpred.data import folder
folder._CHUNK = 3
folder.decode = slowly(folder.decode)
if __name__ == "__main__":
    folder.FolderSource(root=Path("root"), cache=Path("OUT"), height=48, width=64, workers=2).prepare()
"""
DRAW = """
from pathlib import Path
from vidpred.data.dancers.film import Dancers
from vidpred.data.dancers.source import DancersSource, SplitSize
if __name__ == "__main__":
    sizes = {"train": SplitSize(12, 16), "val": SplitSize(6, 16)}
    DancersSource(dancers=Dancers(height=48, width=48), sizes=sizes, cache=Path("OUT"), workers=2).prepare()
"""
PREPARE = """
from pathlib import Path
from test_pipeline import Walker
from vidpred.data.splits import Splitting
from vidpred.preparation import jobs, pipeline
from vidpred.preparation.films import PictureFolder
pipeline._CHUNK = 2
jobs.cut, jobs.np.save, jobs.os.replace = slowly(jobs.cut), slowly(jobs.np.save), slowly(jobs.os.replace)
if __name__ == "__main__":
    pictures = sorted(Path("root/train").iterdir())[0] / "frames"
    splitting = Splitting(by="time", val=0.3, gap=0.1)
    preparation = pipeline.Preparation(out=Path("OUT/out"), height=64, width=64, min_stretch=0.1, max_gap=0.2,
                                       crop="none", splitting=splitting, workers=1)
    preparation.run([PictureFolder(pictures)], Walker(), identity="walker")
"""


def start(script: str, out: str, cwd: Path) -> subprocess.Popen[str]:
    file = cwd / f"{out}.py"
    file.write_text(SLOWLY + script.replace("OUT", out))
    places = [str(TESTS), str(TESTS / "preparation"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    return subprocess.Popen([sys.executable, str(file)], cwd=cwd, env=environment, text=True, start_new_session=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip


def finish(process: subprocess.Popen[str]) -> None:
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err


def files_of(folder: Path) -> dict[str, bytes]:
    """What a store or a report is made of; locks are of processes."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*"))
            if file.is_file() and file.suffix != ".lock"}  # fmt: skip


def begin(process: subprocess.Popen[str], out: Path) -> None:
    """Wait until something is written that was not there before."""
    before, deadline = changed(out), time.monotonic() + 60
    while process.poll() is None and changed(out) == before:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def changed(folder: Path) -> int:
    """When the newest of its files and folders was."""
    times = [0]
    for file in [folder, *folder.rglob("*")]:
        with contextlib.suppress(FileNotFoundError):
            times.append(file.stat().st_mtime_ns)
    return max(times)


def kill_after(moment: float, process: subprocess.Popen[str], out: Path) -> bool:
    """Kill a process with its workers some seconds after it began to write; whether it was still at work."""
    begin(process, out)
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    return process.returncode != 0


def time_whole(script: str, cwd: Path) -> float:
    """Seconds that an undisturbed process writes."""
    process = start(script, "whole", cwd)
    begin(process, cwd / "whole")
    begun = time.monotonic()
    finish(process)
    return time.monotonic() - begun


@pytest.mark.slow
@pytest.mark.parametrize("script", [PACK, DRAW, PREPARE], ids=["pack", "draw", "prepare"])
def test_stores_that_are_killed_in_the_making_end_as_undisturbed_ones(source, tmp_path, script):
    for split in ("train", "val"):
        write_pictures(tmp_path / "root" / split, source.open(split))
    seconds = time_whole(script, tmp_path)
    whole, moments = files_of(tmp_path / "whole"), random.Random(1)
    assert sum(name.endswith("index.json") for name in whole) == 2
    cut, out = 0, "killed"
    for number in range(KILLS):
        was_cut = kill_after(moments.uniform(0, 1) * seconds, start(script, out, tmp_path), tmp_path / out)
        for index in (tmp_path / out).rglob("index.json"):
            try:
                open_store(index.parent).verify()
            except StoreError:
                assert index.parent.name.endswith(".draft")
        cut += was_cut
        if not was_cut:
            assert_same(files_of(tmp_path / out), whole)
            out = f"killed{number}"
    assert cut
    finish(start(script, out, tmp_path))
    assert_same(files_of(tmp_path / out), whole)


def assert_same(made: dict[str, bytes], whole: dict[str, bytes]) -> None:
    assert made.keys() == whole.keys()
    for name, content in whole.items():
        assert made[name] == content, name


REPORT = """
import runpy, sys
if __name__ == "__main__":
    sys.argv = ["report", "runs=runs", "out=OUT/report.html"]
    runpy.run_module("vidpred.report", run_name="__main__", alter_sys=True)
"""


def without_its_time(files: dict[str, bytes]) -> dict[str, bytes]:
    """The page says when it was made; a PNG of matplotlib and its SVG do not."""
    return {name: re.sub(rb"\d{4}-\d\d-\d\d \d\d:\d\d\.", b"", content) if name.endswith(".html") else content
            for name, content in files.items()}  # fmt: skip


@pytest.mark.slow
def test_a_report_that_is_killed_leaves_the_one_before_and_ends_as_an_undisturbed_one(tmp_path):
    for number in range(2):
        make_run(tmp_path / "runs" / str(number), {"x": number}, films=True)
    seconds = time_whole(REPORT, tmp_path)
    whole, moments = files_of(tmp_path / "whole"), random.Random(1)
    for _ in range(max(1, KILLS // 2)):
        kill_after(moments.uniform(0, 1) * seconds, start(REPORT, "killed", tmp_path), tmp_path / "killed")
        page = tmp_path / "killed" / "report.html"
        assert not page.is_file() or page.read_bytes().rstrip().endswith(b"</html>")
    finish(start(REPORT, "killed", tmp_path))
    assert_same(without_its_time(files_of(tmp_path / "killed")), without_its_time(whole))
