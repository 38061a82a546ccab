import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vidpred.pose import blazepose_files
from vidpred.pose.blazepose_files import DETECTION, LANDMARK, LICENSE, MEMBERS, BlazePoseFiles, cache_folder, find_files
from vidpred.pose.estimator import PoseError

CONTENTS = {DETECTION: b"detector", LANDMARK: b"landmarks"}


def digest(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and files that are known."""
    monkeypatch.setenv("VIDPRED_CACHE", str(tmp_path / "cache dir"))
    monkeypatch.setattr(blazepose_files, "SHA256", {name: digest(content) for name, content in CONTENTS.items()})
    return tmp_path / "cache dir" / "blazepose"


def write_wheel(folder, contents=CONTENTS, name="mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"):
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        for file, content in contents.items():
            archive.writestr(MEMBERS[file], content)
        archive.writestr("mediapipe/python/solutions/pose.py", "not wanted")
        archive.writestr(LICENSE, "Apache License, Version 2.0")
    return folder / name


class Pip:
    """Stands for ``subprocess.run``: puts a wheel where pip is told to, or fails as pip does."""

    def __init__(self, contents=CONTENTS, code=0, error=""):
        self.contents, self.code, self.error, self.commands = contents, code, error, []

    def __call__(self, command, **options):
        self.commands.append(command)
        if self.code == 0:
            write_wheel(Path(command[command.index("--dest") + 1]), self.contents)
        return subprocess.CompletedProcess(command, self.code, "", self.error)


@pytest.fixture
def pip(monkeypatch, tmp_path):
    pip = Pip()
    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setattr(blazepose_files, "WHEEL_SHA256", digest(write_wheel(tmp_path / "known").read_bytes()))
    return pip


def test_they_are_fetched_once_and_it_is_said(pip, cache, capsys):
    first, second = find_files(None), find_files(None)
    assert first == second == BlazePoseFiles(cache / DETECTION, cache / LANDMARK)
    assert {file.name: file.read_bytes() for file in first} == CONTENTS
    assert sorted(file.name for file in cache.iterdir()) == sorted([DETECTION, LANDMARK, "LICENSE"])
    (command,) = pip.commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "mediapipe==0.10.21", "manylinux_2_28_x86_64", "cp311"} <= set(command)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "Apache-2.0" in said[0]
    assert str(cache) in said[0]


def test_a_damaged_cache_is_fetched_again(pip, cache):
    find_files(None)
    (cache / LANDMARK).write_bytes(b"half")
    assert find_files(None).landmark.read_bytes() == CONTENTS[LANDMARK]
    assert len(pip.commands) == 2


def test_a_wheel_with_another_hash_is_not_used(pip, cache, monkeypatch):
    monkeypatch.setattr(blazepose_files, "WHEEL_SHA256", "0" * 64)
    with pytest.raises(PoseError, match=f"expected {'0' * 64}.*pose_estimator.files=PATH") as caught:
        find_files(None)
    assert "\n" not in str(caught.value)
    assert not cache.exists()


@pytest.mark.parametrize("error", ["WARNING: x\nERROR: No matching distribution found\n\n", ""])
def test_offline_the_error_says_what_to_do(monkeypatch, error):
    monkeypatch.setattr(subprocess, "run", Pip(code=1, error=error))
    with pytest.raises(PoseError, match="get online once, or set") as caught:
        find_files(None)
    assert "\n" not in str(caught.value)
    assert ("No matching distribution" in str(caught.value)) == bool(error)


def test_a_pip_that_brings_nothing_is_an_error(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda command, **options: subprocess.CompletedProcess(command, 0, "", ""))
    with pytest.raises(PoseError, match="no wheel"):
        find_files(None)


def test_a_folder_of_the_user_is_used_in_place(tmp_path, cache):
    for name, content in CONTENTS.items():
        (tmp_path / name).write_bytes(content)
    assert find_files(str(tmp_path)) == BlazePoseFiles(tmp_path / DETECTION, tmp_path / LANDMARK)
    assert not cache.exists()


def test_an_unpacked_wheel_is_such_a_folder(tmp_path):
    with zipfile.ZipFile(write_wheel(tmp_path)) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert find_files(str(tmp_path / "unpacked")).detection == tmp_path / "unpacked" / MEMBERS[DETECTION]


def test_a_wheel_of_the_user_needs_no_network(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)
    wheel = write_wheel(tmp_path, name="mediapipe-0.10.21-cp312-cp312-macosx_11_0_universal2.whl")
    assert find_files(str(wheel)) == find_files(None) == BlazePoseFiles(cache / DETECTION, cache / LANDMARK)


def test_what_the_user_names_wrongly_is_refused(tmp_path):
    with pytest.raises(PoseError, match="does not exist"):
        find_files(str(tmp_path / "nowhere"))
    with pytest.raises(PoseError, match=f"there is no {DETECTION} in"):
        find_files(str(tmp_path))
    for name in CONTENTS:
        (tmp_path / name).write_bytes(b"other")
    with pytest.raises(PoseError, match="SHA-256 differs"):
        find_files(str(tmp_path))
    with pytest.raises(PoseError, match="is no wheel with BlazePose"):
        find_files(str(tmp_path / DETECTION))
    with pytest.raises(PoseError, match="is no wheel with BlazePose"):
        find_files(str(write_wheel(tmp_path, {DETECTION: b"detector"})))
    with pytest.raises(PoseError, match=f"{LANDMARK} in .* is not that of mediapipe"):
        find_files(str(write_wheel(tmp_path, CONTENTS | {LANDMARK: b"other"})))


def test_the_cache_is_in_the_home_folder_unless_named(monkeypatch):
    monkeypatch.delenv("VIDPRED_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "vidpred" / "blazepose"


@pytest.mark.slow
def test_the_real_wheel_is_the_known_one(tmp_path, cache, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("VIDPRED_CACHE", str(tmp_path / "fresh"))
    try:
        files = find_files(None)
    except PoseError as error:
        if "get online" not in str(error):
            raise
        pytest.skip(str(error))
    assert [file.stat().st_size for file in files] == [2959046, 6440512]
    assert "Apache License" in (files.detection.parent / "LICENSE").read_text()
