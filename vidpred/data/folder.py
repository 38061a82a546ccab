"""The user's folders of pictures as a source: packed into a cache on first use, and again where files change."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from PIL import Image

from vidpred.data.draft import Draft, Layout, create_store, exclusive, open_array
from vidpred.data.layouts import FolderLayout, SequenceFiles, list_files
from vidpred.data.parallel import count_cores, map_processes
from vidpred.data.pictures import PictureError, decode
from vidpred.data.source import SPLITS, Content, Split
from vidpred.data.splits import SplitError, Splitting, check_apart
from vidpred.data.store import SequenceInfo, Store, StoreError, open_store
from vidpred.pose.keypoints import read_keypoints, scale_keypoints
from vidpred.pose.skeletons import Skeleton, load_skeleton, skeleton_to_dict

_CHUNK = 32  # pictures that a process packs at once


class Part(NamedTuple):
    """Frames ``begin`` to ``end`` of a sequence of files."""

    files: SequenceFiles
    begin: int
    end: int


class PictureJob(NamedTuple):
    """Pictures to decode into consecutive rows of an array."""

    folder: Path
    array: str
    row: int
    files: tuple[Path, ...]
    size: tuple[int, int]  # height, width of a row
    first: Path  # of the sequence: all have its size


@dataclass(frozen=True, kw_only=True)
class FolderSource:
    """Sequences of pictures below a root, with pose images or keypoints.

    Args:
        root: the folder.
        cache: folder that keeps the packed pictures, one below it for each fingerprint.
        height: of the frames that models see, pixels.
        width: likewise.
        layout: finds the files.
        splitting: divides sequences where the root has no folders for splits.
        skeleton: whose joints the keypoints are: a built-in name, or a file.
        keypoint_units: "pixels" of the pictures as they are in the files, or "unit": x and y in [0, 1].
        fps: frames a second, which pictures do not tell; for films and statistics.
        allow_overlap: accept splits that share frames.
        workers: processes that decode.
    """

    root: Path
    cache: Path
    height: int
    width: int
    layout: FolderLayout = field(default_factory=FolderLayout)
    splitting: Splitting = field(default_factory=Splitting)
    skeleton: str | None = None
    keypoint_units: Literal["pixels", "unit"] = "pixels"
    fps: float = 25.0
    allow_overlap: bool = False
    workers: int = field(default_factory=count_cores)

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 8 or self.fps <= 0:
            raise ValueError(
                f"data.height and data.width must be >= 8, data.fps > 0, got {self.height}, {self.width}, {self.fps}"
            )

    @cached_property
    def parts(self) -> dict[Split, list[Part]]:
        """What every split consists of."""
        found = self.layout.find(self.root)
        whole = found.get(None, [])
        parts: dict[Split, list[Part]] = {split: [] for split in SPLITS}
        for stretch in self.splitting.divide([len(files.frames) for files in whole]) if whole else []:
            parts[stretch.split].append(Part(whole[stretch.sequence], stretch.begin, stretch.end))
        for named, sequences in found.items():
            if named is not None:
                parts[named] = [Part(files, 0, max(len(files.frames), len(files.poses))) for files in sequences]
        for split in ("train", "val"):
            if not parts[split]:
                raise SplitError(f"data.root={self.root} holds no {split} sequences: add {split}/")
        return {split: rows for split, rows in parts.items() if rows}

    @cached_property
    def content(self) -> Content:
        """Sizes as configured; keypoints where every sequence has some, pose images where none lacks them."""
        files = [part.files for parts in self.parts.values() for part in parts]
        pictured, pointed = all(one.poses for one in files), all(one.keypoints is not None for one in files)
        if not pictured and not pointed:
            lacking = next(one for one in files if not one.poses)
            raise ValueError(f"data.root={self.root}: some sequences have pose images and others only keypoints; "
                             f"{lacking.name!r} has no pose images")  # fmt: skip
        return Content(3, self.height, self.width, 3 if pictured else 0, self._skeleton() if pointed else None)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the settings, and of names, sizes and times of all files."""
        return hashlib.sha256("".join(self._fingerprints.values()).encode()).hexdigest()[:16]

    @cached_property
    def _fingerprints(self) -> dict[Split, str]:
        """Of every split, so that a change in one does not pack the others again."""
        settings = [self.height, self.width, self.skeleton, self.keypoint_units, self.fps]
        prints: dict[Split, str] = {}
        for split, parts in self.parts.items():
            digest = hashlib.sha256(json.dumps(settings).encode())
            for part in parts:
                digest.update(f"{part.begin} {part.end} {self._state(list_files(part.files))}".encode())
            prints[split] = digest.hexdigest()[:16]
        return prints

    def prepare(self) -> None:
        """Pack every split that the cache does not hold.

        Raises:
            PictureError, KeypointsError: for a file that cannot be read; what was packed before is kept.
            SplitError: if splits share frames.
        """
        for split in self.parts:
            with exclusive(self._path(split)):
                if not self._is_packed(split):
                    self._pack(split)
        apart = self._path("train").with_name(f"apart-{self.fingerprint}")
        if not self.allow_overlap and not apart.is_file():
            self._check_apart()
            apart.touch()

    def open(self, split: Split) -> Store:
        """The packed sequences of a split.

        Raises:
            StoreError: if there is no such split.
        """
        if split not in self.parts:
            raise StoreError(f"data.root={self.root} has no {split} split; there is {', '.join(self.parts)}")
        return open_store(self._path(split))

    @property
    def deterministic(self) -> None:
        """Nobody knows."""

    def oracles(self, split: Split, clips: list[tuple[int, int]]) -> None:
        """Nobody knows what else could have happened."""

    def _skeleton(self) -> Skeleton:
        if self.skeleton is None:
            raise ValueError("this data has keypoints: data.skeleton=blazepose, coco, body_25 or a file says whose")
        return load_skeleton(self.skeleton)

    def _path(self, split: Split) -> Path:
        return self.cache / f"folder-{self._home()}" / f"{split}-{self.height}x{self.width}"

    def _home(self) -> str:
        """One folder of the cache for each root, so that packing again replaces what is stale."""
        return hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:12]

    def _is_packed(self, split: Split) -> bool:
        try:
            return open_store(self._path(split)).fingerprint == self._fingerprints[split]
        except StoreError:
            return False

    def _pack(self, split: Split) -> None:
        parts, size = self.parts[split], (self.height, self.width)
        shapes: dict[str, tuple[int, ...]] = {"frames": (3, *size)}
        content = self.content
        about: dict[str, Any] = {"fps": self.fps, "root": str(self.root)}
        if content.pose_channels:
            shapes["poses"] = (3, *size)
        if content.skeleton is not None:
            shapes["keypoints"] = (len(content.skeleton.joints), 3)
            about["skeleton"] = skeleton_to_dict(content.skeleton)
        layout = Layout(sequences=self._infos(parts), shapes=shapes, fingerprint=self._fingerprints[split], about=about)
        with create_store(self._path(split), layout) as draft:
            self._pack_pictures(draft, layout.sequences, parts, split)
            if content.skeleton is not None:
                rows = draft.array("keypoints")
                for info, part in zip(layout.sequences, parts, strict=True):
                    rows[info.first : info.first + info.length] = self._keypoints(part, content.skeleton)

    def _infos(self, parts: Sequence[Part]) -> tuple[SequenceInfo, ...]:
        infos: list[SequenceInfo] = []
        for part in parts:
            first = infos[-1].first + infos[-1].length if infos else 0
            known = min(part.end, len(part.files.frames)) - part.begin
            source = hashlib.sha256(str(part.files.frames[0].parent.resolve()).encode()).hexdigest()[:16]
            infos.append(SequenceInfo(part.files.name, first, part.end - part.begin, known, source, part.begin))
        return tuple(infos)

    def _pack_pictures(self, draft: Draft, infos: Sequence[SequenceInfo], parts: Sequence[Part], split: Split) -> None:
        jobs = {}
        for info, part in zip(infos, parts, strict=True):
            for array, files in (("frames", part.files.frames), ("poses", part.files.poses)):
                if array == "poses" and not self.content.pose_channels:
                    continue
                for job in self._jobs(draft, array, info.first, files[part.begin : part.end], files[0]):
                    key = hashlib.sha256(f"{job.array} {job.row} {self._state(job.files)}".encode()).hexdigest()
                    if not draft.is_done(key):
                        jobs[key] = job
        packed = map_processes(pack_pictures, list(jobs.values()), title=f"Packing {split}", workers=self.workers,
                               chunk=1)  # fmt: skip
        for key, _ in zip(jobs, packed, strict=True):
            draft.finish(key)

    def _jobs(self, draft: Draft, array: str, row: int, files: Sequence[Path], first: Path) -> Iterator[PictureJob]:
        for begin in range(0, len(files), _CHUNK):
            chunk = tuple(files[begin : begin + _CHUNK])
            yield PictureJob(draft.folder, array, row + begin, chunk, (self.height, self.width), first)

    def _keypoints(self, part: Part, skeleton: Skeleton) -> Float[Array, "T J 3"]:
        """The part's keypoints, in pixels of the packed frames."""
        file = part.files.keypoints
        assert file is not None
        keypoints = read_keypoints(file, joints=len(skeleton.joints))
        if len(keypoints) != len(part.files.frames):
            raise ValueError(f"{file} holds {len(keypoints)} frames, beside {len(part.files.frames)} pictures in "
                             f"{part.files.frames[0].parent}; each frame needs its keypoints")  # fmt: skip
        with Image.open(part.files.frames[0]) as image:
            size = (image.height, image.width)
        scaled = scale_keypoints(keypoints, units=self.keypoint_units, size=size, to=(self.height, self.width))
        return scaled[part.begin : part.end]

    def _state(self, files: Sequence[Path]) -> str:
        """Names, sizes and times of files."""
        states = ((file, file.stat()) for file in files)
        return "\n".join(f"{file.relative_to(self.root)} {state.st_size} {state.st_mtime_ns}" for file, state in states)

    def _check_apart(self) -> None:
        stores = {split: self.open(split) for split in self.parts}
        check_apart({split: store.sequences for split, store in stores.items()})
        train = _digests(stores["train"])
        for split, store in stores.items():
            shared = len(train & _digests(store)) if split != "train" else 0
            if shared:
                raise SplitError(
                    f"data.root={self.root}: {shared} pictures of {split} are also in train: a model would be scored "
                    f"on what it has seen; remove them, or insist with data.allow_overlap=true"
                )


def pack_pictures(job: PictureJob) -> None:
    """Decode pictures into their rows.

    Raises:
        PictureError: for one that cannot be read, or has not the size of the sequence's first.
    """
    rows = open_array(job.folder, job.array)
    _, expected = decode(job.first, job.size)
    for number, file in enumerate(job.files):
        pixels, size = decode(file, job.size)
        if size != expected:
            raise PictureError(f"{file} has {size[1]}x{size[0]} pixels, {job.first.name} {expected[1]}x{expected[0]}: "
                               f"all pictures of a sequence must have one size")  # fmt: skip
        rows[job.row + number] = pixels


def _digests(store: Store) -> set[bytes]:
    """Of all true frames that are not of one colour."""
    rows = [np.arange(info.first, info.first + info.known) for info in store.sequences]
    frames = (np.asarray(store.frames[row]) for row in np.concatenate(rows))
    return {hashlib.blake2b(frame.tobytes(), digest_size=16).digest() for frame in frames if frame.min() != frame.max()}
