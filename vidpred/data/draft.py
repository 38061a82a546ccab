"""Writing a store: a draft under another name, which remembers what is done, sealed and moved in place when whole.

A process that is killed leaves a draft that does not open as a store. The next one that wants the same store goes on
with it: jobs that were finished are not done again.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy import ndarray as Array

from vidpred.data.store import FORMAT, SequenceInfo, checksum, index_checksum

_FLOATS = {"keypoints"}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a store will hold."""

    sequences: tuple[SequenceInfo, ...]
    shapes: dict[str, tuple[int, ...]]  # of one row, by array: frames, poses, keypoints
    fingerprint: str  # of what it is made from
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of every array."""
        return sum(sequence.length for sequence in self.sequences)


def lay_out(names: list[str], lengths: list[int]) -> tuple[SequenceInfo, ...]:
    """Sequences one after the other, every frame known."""
    firsts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).tolist()
    return tuple(
        SequenceInfo(name, first, length, length) for name, first, length in zip(names, firsts, lengths, strict=True)
    )


class Draft:
    """A store in the making.

    Attributes:
        folder: where its arrays stand, zeros so far, to be filled through ``array``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        journal = folder / "journal.txt"
        self._done = set(journal.read_text(encoding="utf-8").splitlines()) if journal.is_file() else set()

    def array(self, name: str) -> Array:
        """One of the arrays, memory-mapped for writing."""
        return open_array(self.folder, name)

    def is_done(self, job: str) -> bool:
        """Whether a job was finished, now or before this process began."""
        return job in self._done

    def finish(self, job: str) -> None:
        """Remember that a job's rows are written."""
        self._done.add(job)
        try:
            with (self.folder / "journal.txt").open("a", encoding="utf-8") as journal:
                journal.write(f"{job}\n")
        except OSError as error:
            raise OSError(error.errno, f"{self.folder} could not be written ({error.strerror})") from error


def open_array(folder: Path, name: str) -> Array:
    """An array of a draft, memory-mapped for writing, in whatever process."""
    array: Array = np.load(folder / f"{name}.npy", mmap_mode="r+", allow_pickle=False)
    return array


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Only one process at a time makes the store of a path; the others wait for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / f".{path.name}.lock"):
        yield


@contextmanager
def create_store(path: Path, layout: Layout) -> Iterator[Draft]:
    """Create a store; on leaving the context without an error it is sealed and moved to ``path``.

    After an error the draft stays, for the next attempt to go on with; it does not open as a store.

    Args:
        path: where the store shall be; what is there is replaced.
        layout: what it will hold.

    Raises:
        OSError: if the disk has no room for it, or refuses it for another reason.
    """
    folder = path.parent / f".{path.name}.draft"
    plan = json.dumps({"format": FORMAT, "rows": layout.rows, **asdict(layout), "fingerprint": None}, sort_keys=True)
    if not _continues(folder, plan):
        shutil.rmtree(folder, ignore_errors=True)
        _allocate(folder, layout)
        (folder / "plan.json").write_text(plan, encoding="utf-8")
    yield Draft(folder)
    try:
        _seal(folder, layout)
        if path.exists():
            shutil.rmtree(path)
        os.replace(folder, path)
    except OSError as error:
        raise OSError(error.errno, f"{path} could not be written ({error.strerror}); what is done is kept for the next "
                      f"attempt") from error  # fmt: skip
    for name in ("plan.json", "journal.txt"):
        (path / name).unlink(missing_ok=True)


def _continues(folder: Path, plan: str) -> bool:
    file = folder / "plan.json"
    return file.is_file() and file.read_text(encoding="utf-8") == plan


def _allocate(folder: Path, layout: Layout) -> None:
    """Make the arrays, with their room on the disk: a memory map that runs out of it later would kill the process."""
    folder.mkdir(parents=True)
    try:
        for name, shape in layout.shapes.items():
            dtype = np.float32 if name in _FLOATS else np.uint8
            file = folder / f"{name}.npy"
            np.lib.format.open_memmap(file, "w+", dtype, (layout.rows, *shape)).flush()
            if hasattr(os, "posix_fallocate"):
                with file.open("r+b") as stream:
                    os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        size = sum(layout.rows * int(np.prod(shape)) for shape in layout.shapes.values()) / 1e6
        raise OSError(error.errno, f"no room for {size:.0f} MB in {folder.parent} ({error.strerror}); "
                      f"free some, or choose another place") from None  # fmt: skip


def _seal(folder: Path, layout: Layout) -> None:
    files = {name: folder / f"{name}.npy" for name in layout.shapes}
    index = {
        "format": FORMAT,
        "fingerprint": layout.fingerprint,
        "sequences": [list(sequence) for sequence in layout.sequences],
        "arrays": {name: {"bytes": file.stat().st_size, "crc32": checksum(file)} for name, file in files.items()},
        "about": layout.about,
    }
    index = json.loads(json.dumps(index))  # as it will be read
    (folder / "index.json").write_text(json.dumps({"checksum": index_checksum(index), **index}), encoding="utf-8")
