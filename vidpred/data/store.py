"""The packed store: sequences of frames and poses as memory-mapped uint8 arrays.

A store is a folder: ``frames.npy`` (N, C, H, W), ``poses.npy`` (N, P, H, W), optionally ``keypoints.npy`` (N, J, 2),
and ``index.json``, which names the sequences, their first row and length, and checks itself. A store is written under a
temporary name and moved in place when it is whole, so a folder that opens is complete.
"""

import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray as Array

FORMAT = 1


class StoreError(ValueError):
    """A folder is not a store that this version can read."""


class SequenceInfo(NamedTuple):
    """Where a sequence lies in the arrays."""

    name: str
    first: int
    length: int


@dataclass(frozen=True)
class Store:
    """An opened store; its arrays are memory-mapped and read only what is asked for."""

    path: Path
    fingerprint: str
    sequences: tuple[SequenceInfo, ...]
    frames: Array
    poses: Array
    keypoints: Array | None

    @property
    def lengths(self) -> tuple[int, ...]:
        """Number of frames of every sequence."""
        return tuple(sequence.length for sequence in self.sequences)

    def sequence(self, number: int) -> tuple[Array, Array]:
        """Frames (T, C, H, W) and pose maps (T, P, H, W) of a sequence, uint8.

        Raises:
            StoreError: if there is no such sequence.
        """
        if not 0 <= number < len(self.sequences):
            raise StoreError(f"there is no sequence {number}; the split has 0 to {len(self.sequences) - 1}")
        _, first, length = self.sequences[number]
        rows = slice(first, first + length)
        return np.array(self.frames[rows]), np.array(self.poses[rows])

    def verify(self) -> None:
        """Read every byte and compare it with the index.

        Raises:
            StoreError: if an array is not what was written.
        """
        expected = _read_index(self.path)["arrays"]
        for name, entry in expected.items():
            if _checksum(self.path / f"{name}.npy") != entry["crc32"]:
                raise StoreError(f"{self.path / name}.npy was changed after it was written")


def open_store(path: Path) -> Store:
    """Open a store.

    Raises:
        StoreError: if the folder is not a store, is of another format, or an array has not the length of the index.
    """
    index = _read_index(path)
    arrays: dict[str, Array] = {}
    for name, entry in index["arrays"].items():
        file = path / f"{name}.npy"
        if not file.is_file() or file.stat().st_size != entry["bytes"]:
            raise StoreError(f"{file} is missing or truncated")
        arrays[name] = np.load(file, mmap_mode="r", allow_pickle=False)
    return Store(
        path=path,
        fingerprint=index["fingerprint"],
        sequences=tuple(SequenceInfo(*row) for row in index["sequences"]),
        frames=arrays["frames"],
        poses=arrays["poses"],
        keypoints=arrays.get("keypoints"),
    )


@contextmanager
def create_store(
    path: Path, *, names: Sequence[str], lengths: Sequence[int], shapes: dict[str, tuple[int, ...]], fingerprint: str
) -> Iterator[Path]:
    """Create a store; on leaving the context without an error it is sealed and moved to ``path``.

    Args:
        path: where the store shall be; what is there is replaced.
        names: of the sequences.
        lengths: number of frames of every sequence.
        shapes: of one frame's row in every array, by the array's name.
        fingerprint: of what the store was made from.

    Yields:
        The folder in which the arrays stand, zeros so far, to be filled through ``np.load(…, mmap_mode="r+")``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        for name, shape in shapes.items():
            dtype = np.float32 if name == "keypoints" else np.uint8
            array = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, (sum(lengths), *shape))
            del array
        yield folder
        first = np.concatenate([[0], np.cumsum(lengths)[:-1]]).tolist()
        files = {name: folder / f"{name}.npy" for name in shapes}
        index = {
            "format": FORMAT,
            "fingerprint": fingerprint,
            "sequences": [list(row) for row in zip(names, first, lengths, strict=True)],
            "arrays": {n: {"bytes": file.stat().st_size, "crc32": _checksum(file)} for n, file in files.items()},
        }
        sealed = {"checksum": _index_checksum(index), **index}
        (folder / "index.json").write_text(json.dumps(sealed), encoding="utf-8")
        _replace(folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(folder: Path, path: Path) -> None:
    """Move a sealed store in place; where another process was quicker, its store stays."""
    if path.exists():
        shutil.rmtree(path)
    try:
        os.replace(folder, path)
    except OSError:
        open_store(path)


def _read_index(path: Path) -> dict[str, Any]:
    file = path / "index.json"
    try:
        index = json.loads(file.read_text(encoding="utf-8"))
        checksum = index.pop("checksum")
    except FileNotFoundError:
        raise StoreError(f"{path} holds no index.json") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise StoreError(f"{file} cannot be read") from None
    if index.get("format") != FORMAT:
        raise StoreError(f"{file} has format {index.get('format')}, this version reads {FORMAT}")
    if checksum != _index_checksum(index):
        raise StoreError(f"{file} was changed after it was written")
    return dict(index)


def _index_checksum(index: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(index, sort_keys=True).encode())


def _checksum(file: Path) -> int:
    value = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 22):
            value = zlib.crc32(block, value)
    return value
