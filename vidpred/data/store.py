"""The packed store: sequences of frames, and of poses or keypoints, as memory-mapped arrays.

A store is a folder: ``frames.npy`` (N, C, H, W) uint8, ``poses.npy`` (N, P, H, W) uint8 or ``keypoints.npy``
(N, J, 2|3) float32 or both, and ``index.json``, which names the sequences, says where each lies and came from, and
checks itself.
``vidpred.data.draft`` writes stores; a folder that opens is complete.
"""

import json
import mmap
import reprlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray as Array

from vidpred.limits import check_inside, read_json

FORMAT = 2
_AXES = {"frames": 4, "poses": 4, "keypoints": 3}


class StoreError(ValueError):
    """A folder is not a store that this version can read."""


class SequenceInfo(NamedTuple):
    """Where a sequence lies in the arrays, and what it was cut from."""

    name: str
    first: int  # row
    length: int  # rows
    known: int  # its first rows that hold a true frame; the others hold a pose alone
    source: str = ""  # digest of the video that it was cut from; "" where that is not known
    begin: int = 0  # its first frame there
    step: int = 1  # frames of the source from one row to the next


@dataclass(frozen=True)
class Store:
    """An opened store; its arrays are memory-mapped and read only what is asked for."""

    path: Path
    fingerprint: str
    sequences: tuple[SequenceInfo, ...]
    frames: Array
    poses: Array | None
    keypoints: Array | None
    about: dict[str, Any]  # what else its writer knew: "fps", "skeleton", …

    @property
    def lengths(self) -> tuple[int, ...]:
        """Number of frames of every sequence that training can use: those with a true frame."""
        return tuple(sequence.known for sequence in self.sequences)

    def __reduce__(self) -> tuple[Any, ...]:
        """Loader processes open the files again, instead of copying the arrays."""
        return open_store, (self.path,)

    def info(self, number: int) -> SequenceInfo:
        """Where a sequence lies.

        Raises:
            StoreError: if there is no such sequence.
        """
        if not 0 <= number < len(self.sequences):
            raise StoreError(f"there is no sequence {number}; the split has 0 to {len(self.sequences) - 1}")
        return self.sequences[number]

    def release(self) -> None:
        """Let go of the pages that were read: they stay in the system's cache, but count to no process.

        Otherwise the loaders of a long epoch would come to hold the whole file.
        """
        for array in (self.frames, self.poses, self.keypoints):
            pages: mmap.mmap | None = getattr(array, "_mmap", None)
            if pages is not None and hasattr(mmap, "MADV_DONTNEED"):
                pages.madvise(mmap.MADV_DONTNEED)

    def verify(self) -> None:
        """Read every byte and compare it with the index.

        Raises:
            StoreError: if an array is not what was written.
        """
        for name, entry in read_index(self.path)["arrays"].items():
            if checksum(self.path / f"{name}.npy") != entry["crc32"]:
                raise StoreError(f"{self.path / name}.npy was changed after it was written")


def open_store(path: Path) -> Store:
    """Open a store.

    Raises:
        StoreError: if the folder is not a store, is of another format, or an array has not the length of the index.
    """
    index = read_index(path)
    arrays: dict[str, Array] = {}
    for name, entry in index["arrays"].items():
        file = path / f"{name}.npy"
        if not file.is_file() or file.stat().st_size != entry["bytes"]:
            raise StoreError(f"{file} is missing or truncated")
        arrays[name] = _open_array(file, path)
    rows = {len(array) for array in arrays.values()}
    if len(rows) > 1 or any(info.first + info.length > min(rows) for info in index["sequences"]):
        raise StoreError(f"{path}: its sequences and arrays do not fit together, arrays of {sorted(rows)} rows")
    return Store(
        path=path,
        fingerprint=index["fingerprint"],
        sequences=index["sequences"],
        frames=arrays["frames"],
        poses=arrays.get("poses"),
        keypoints=arrays.get("keypoints"),
        about=index["about"],
    )


def read_index(path: Path) -> dict[str, Any]:
    """The index of a store, checked against itself.

    Raises:
        StoreError: if there is none, it was changed, another format wrote it, or it describes no store.
    """
    file = path / "index.json"
    try:
        index = read_json(file)
        stated = index.pop("checksum")
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"{path} holds no index.json") from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise StoreError(f"{file} cannot be read: {error}") from None
    if index.get("format") != FORMAT:
        raise StoreError(f"{file} has format {index.get('format')}, this version reads {FORMAT}")
    if stated != index_checksum(index):
        raise StoreError(f"{file} was changed after it was written")
    wrong = _find_wrong(index)
    if wrong:
        raise StoreError(f"{file} describes no store: {wrong}")
    return {**index, "sequences": tuple(SequenceInfo(*row) for row in index["sequences"])}


def _find_wrong(index: dict[str, Any]) -> str:
    """What in an index no writer of ours would have written; "" if nothing is."""
    arrays, sequences = index.get("arrays"), index.get("sequences")
    if not isinstance(arrays, dict) or not {"frames"} <= arrays.keys() <= _AXES.keys():
        return f"its arrays are {reprlib.repr(arrays)}, expected frames, and poses or keypoints"
    for name, entry in arrays.items():
        if not isinstance(entry, dict) or type(entry.get("bytes")) is not int or type(entry.get("crc32")) is not int:
            return f"{name} is {reprlib.repr(entry)}, expected bytes and crc32"
    if not isinstance(sequences, list) or not all(_is_sequence(row) for row in sequences):
        return "its sequences are not name, first, length, known, source, begin and step"
    if not isinstance(index.get("about"), dict) or not isinstance(index.get("fingerprint"), str):
        return "it has no about, or no fingerprint"
    return ""


def _is_sequence(row: Any) -> bool:
    kinds = (str, int, int, int, str, int, int)
    if not isinstance(row, list) or len(row) != len(kinds):
        return False
    if not all(type(value) is kind for value, kind in zip(row, kinds, strict=True)):
        return False
    info = SequenceInfo(*row)
    return info.first >= 0 and 0 <= info.known <= info.length and info.begin >= 0 and info.step >= 1


def _open_array(file: Path, home: Path) -> Array:
    """An array of a store, mapped into memory; nothing in it is executed."""
    try:
        check_inside(file, home)
        array: Any = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a broken header raises of many kinds
        raise StoreError(f"{file} cannot be read: {error}") from None
    kind = np.float32 if file.stem == "keypoints" else np.uint8
    if not isinstance(array, np.ndarray) or array.ndim != _AXES[file.stem] or array.dtype != kind:
        raise StoreError(f"{file} is no array of {kind.__name__} with {_AXES[file.stem]} axes")
    mapped: Array = array
    return mapped


def index_checksum(index: dict[str, Any]) -> int:
    """CRC-32 of an index without its own checksum."""
    return zlib.crc32(json.dumps(index, sort_keys=True).encode())


def checksum(file: Path) -> int:
    """CRC-32 of a file's bytes."""
    value = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 22):
            value = zlib.crc32(block, value)
    return value
