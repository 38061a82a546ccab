"""The two networks of BlazePose: fetched once, from the wheel of MediaPipe on the package index, into the cache.

vidpred does not ship them, and does not need MediaPipe itself. They are MediaPipe's, under the Apache License 2.0,
whose text is kept beside them. What is used is always what was tested: both files must have the known SHA-256.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from vidpred.pose.estimator import PoseError

VERSION = "0.10.21"
WHEEL_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
DETECTION = "pose_detection.tflite"
LANDMARK = "pose_landmark_full.tflite"
LICENSE = f"mediapipe-{VERSION}.dist-info/LICENSE"
MEMBERS = {
    DETECTION: "mediapipe/modules/pose_detection/pose_detection.tflite",
    LANDMARK: "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
}
SHA256 = {
    DETECTION: "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    LANDMARK: "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
}
_REMEDY = (
    f"set pose_estimator.files=PATH of a wheel of mediapipe {VERSION}, or of a folder with {DETECTION} and {LANDMARK}"
)
_PIP = (
    "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
    "--platform", "manylinux_2_28_x86_64", "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311",
    f"mediapipe=={VERSION}",
)  # fmt: skip


class BlazePoseFiles(NamedTuple):
    """Where the two networks are."""

    detection: Path
    landmark: Path


def find_files(files: str | None) -> BlazePoseFiles:
    """The networks that the user names, or those in the cache, which are fetched if they are not there.

    Args:
        files: a folder that holds both (or an unpacked wheel), a wheel, or None for the cache.

    Raises:
        PoseError: if they are not there, are not the known files, or cannot be fetched.
    """
    cache = cache_folder()
    if files is None:
        if not all(_is_known(cache / name, name) for name in MEMBERS):
            _fetch(cache)
        return BlazePoseFiles(cache / DETECTION, cache / LANDMARK)
    path = Path(files).expanduser()
    if path.is_dir():
        return BlazePoseFiles(_find_in(path, DETECTION), _find_in(path, LANDMARK))
    if not path.is_file():
        raise PoseError(f"pose_estimator.files={files} does not exist; name a folder or a wheel, or null to fetch them")
    if not all(_is_known(cache / name, name) for name in MEMBERS):
        _unpack(path, cache)
    return BlazePoseFiles(cache / DETECTION, cache / LANDMARK)


def cache_folder() -> Path:
    """``$VIDPRED_CACHE/blazepose``, or ``~/.cache/vidpred/blazepose``."""
    return Path(os.environ.get("VIDPRED_CACHE") or "~/.cache/vidpred").expanduser() / "blazepose"


def _find_in(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / MEMBERS[name]):
        if path.is_file():
            if not _is_known(path, name):
                raise PoseError(f"{path} is not the {name} of mediapipe {VERSION} (SHA-256 differs); {_REMEDY}")
            return path
    raise PoseError(f"there is no {name} in {folder}; {_REMEDY}")


def _is_known(path: Path, name: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == SHA256[name]


def _fetch(cache: Path) -> None:
    print(
        f"Fetching BlazePose (MediaPipe {VERSION}, Apache-2.0) with pip, 36 MB, once; two files of it stay in {cache}",
        file=sys.stderr,
    )
    with tempfile.TemporaryDirectory() as folder:
        _download(Path(folder))
        wheels = sorted(Path(folder).glob("*.whl"))
        if not wheels:
            raise PoseError(f"pip downloaded no wheel of mediapipe {VERSION}; {_REMEDY}")
        digest = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
        if digest != WHEEL_SHA256:
            raise PoseError(
                f"{wheels[0].name} has SHA-256 {digest}, expected {WHEEL_SHA256}: it is not used; {_REMEDY}"
            )
        _unpack(wheels[0], cache)


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", *_PIP, "--dest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise PoseError(f"BlazePose cannot be fetched (pip: {said[-1].strip()}); get online once, or {_REMEDY}")


def _unpack(wheel: Path, cache: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            contents = {name: archive.read(member) for name, member in MEMBERS.items()}
            if LICENSE in archive.namelist():
                contents["LICENSE"] = archive.read(LICENSE)
    except (zipfile.BadZipFile, KeyError) as error:
        raise PoseError(f"{wheel} is no wheel with BlazePose in it ({error}); {_REMEDY}") from error
    for name, expected in SHA256.items():
        if hashlib.sha256(contents[name]).hexdigest() != expected:
            raise PoseError(f"{name} in {wheel} is not that of mediapipe {VERSION} (SHA-256 differs); {_REMEDY}")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        for name, content in contents.items():
            (Path(folder) / name).write_bytes(content)
            os.replace(Path(folder) / name, cache / name)
