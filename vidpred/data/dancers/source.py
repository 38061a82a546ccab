"""The embedded data set: dancers drawn once, kept packed in a cache, and drawn again when the cache is stale."""

import hashlib
import json
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.data.dancers.film import Dancers
from vidpred.data.dancers.workers import draw_clip, draw_oracle
from vidpred.data.source import Split
from vidpred.data.store import Store, StoreError, create_store, open_store
from vidpred.pose.skeletons import DANCER
from vidpred.types import FrameShape

_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
Job = TypeVar("Job")
Result = TypeVar("Result")
_log = logging.getLogger(__name__)
_SOURCES = ("data/dancers/film.py", "data/dancers/choreography.py", "data/dancers/wardrobe.py",
            "data/dancers/room.py", "data/dancers/factors.py", "pose/drawing.py", "pose/skeletons.py")  # fmt: skip


class SplitSize(NamedTuple):
    """How many clips a split has, and how long they are."""

    clips: int
    frames: int


@dataclass(frozen=True, kw_only=True)
class DancersSource:
    """Splits of procedural dancers; no dancer is in two of them.

    Args:
        dancers: what a clip looks like.
        sizes: clips and frames of every split.
        cache: folder that keeps the packed splits, one below it for each fingerprint.
        futures: drawings of the random factors that the oracle averages.
        workers: processes that draw.

    Raises:
        ValueError: for an empty split, or fewer than one future or worker.
    """

    dancers: Dancers
    sizes: dict[Split, SplitSize]
    cache: Path
    futures: int = 32
    workers: int = 2
    shape: FrameShape = field(init=False)

    def __post_init__(self) -> None:
        for split, size in self.sizes.items():
            if min(size) < 1:
                raise ValueError(
                    f"data.{split} needs at least one clip of one frame, got {size.clips} of {size.frames}"
                )
        if self.futures < 1 or self.workers < 1:
            raise ValueError(f"futures and workers must be >= 1, got {self.futures} and {self.workers}")
        object.__setattr__(self, "shape", FrameShape(3, 3, self.dancers.height, self.dancers.width))

    @property
    def fingerprint(self) -> str:
        """Hash of all settings and of the code that draws."""
        settings = {"dancers": asdict(self.dancers), "sizes": {name: list(size) for name, size in self.sizes.items()}}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        digest.update(_drawing_code())
        return digest.hexdigest()[:16]

    def prepare(self) -> None:
        """Draw every split that the cache does not hold whole."""
        for split in self.sizes:
            path = self._path(split)
            try:
                store = open_store(path)
                store.verify()
                if store.fingerprint == self.fingerprint:
                    continue
                _log.warning("The cache %s is stale; it is drawn again.", path)
            except StoreError as error:
                if path.exists():
                    _log.warning("The cache is damaged (%s); it is drawn again.", error)
            self._draw(split, path)

    def open(self, split: Split) -> Store:
        """The packed clips of a split.

        Raises:
            StoreError: if the split was not prepared.
        """
        return open_store(self._path(split))

    def oracles(self, split: Split, clips: list[tuple[int, int]]) -> list[Float[Array, "T 3 H W"]]:
        """``Dancers.oracle`` for several (sequence, frames), drawn by all workers and kept in the cache."""
        key = hashlib.sha256(json.dumps([clips, self.futures]).encode()).hexdigest()[:12]
        file = self._path(split) / f"oracle-{key}.npz"
        if file.is_file():
            with np.load(file, allow_pickle=False) as arrays:
                return [arrays[str(number)].astype(np.float32) for number in range(len(clips))]
        jobs = [(self.dancers, split, sequence, frames, self.futures) for sequence, frames in clips]
        drawn = list(self._map(draw_oracle, jobs, "Drawing the oracle"))
        # float16 errs by less than 0.0003 in [0, 1], 70 dB
        kept = {str(number): film.astype(np.float16) for number, film in enumerate(drawn)}
        np.savez(file, allow_pickle=False, **kept)
        return drawn

    def _path(self, split: Split) -> Path:
        return Path(self.cache) / f"dancers-{self.fingerprint}" / split

    def _draw(self, split: Split, path: Path) -> None:
        size = self.sizes[split]
        height, width = self.dancers.height, self.dancers.width
        shapes = {"frames": (3, height, width), "poses": (3, height, width), "keypoints": (len(DANCER.joints), 2)}
        with create_store(
            path,
            names=[f"{split}-{index:05d}" for index in range(size.clips)],
            lengths=[size.frames] * size.clips,
            shapes=shapes,
            fingerprint=self.fingerprint,
        ) as folder:
            jobs = [(self.dancers, folder, split, index, size.frames) for index in range(size.clips)]
            for _ in self._map(draw_clip, jobs, f"Drawing dancers ({split})"):
                pass

    def _map(self, function: Callable[[Job], Result], jobs: list[Job], title: str) -> Iterator[Result]:
        """Results in order, from all workers, behind a progress bar."""
        from rich.progress import track

        few = len(jobs) < 8 or self.workers == 1
        if few:
            yield from map(function, jobs)
            return
        context = multiprocessing.get_context("spawn")
        with _one_thread_each(), ProcessPoolExecutor(self.workers, mp_context=context) as pool:
            yield from track(pool.map(function, jobs, chunksize=4), description=title, total=len(jobs))


@cache
def _drawing_code() -> bytes:
    """The sources that draw, as they are when first asked for: an edit during a run does not lose it its data."""
    package = resources.files("vidpred")
    return b"".join(package.joinpath(name).read_bytes() for name in _SOURCES)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that start here compute on one thread: there is one process per core already."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
