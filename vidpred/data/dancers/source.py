"""The embedded data set: dancers drawn once, kept packed in a cache, and drawn again when the cache is stale."""

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.data.dancers.film import Dancers
from vidpred.data.dancers.workers import draw_clip, draw_oracle
from vidpred.data.draft import Layout, create_store, exclusive, lay_out
from vidpred.data.parallel import count_cores, map_processes
from vidpred.data.source import Content, Split
from vidpred.data.store import Store, StoreError, open_store
from vidpred.pose.skeletons import DANCER, skeleton_to_dict

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
    workers: int = field(default_factory=count_cores)
    content: Content = field(init=False)

    def __post_init__(self) -> None:
        for split, size in self.sizes.items():
            if min(size) < 1:
                raise ValueError(
                    f"data.{split} needs at least one clip of one frame, got {size.clips} of {size.frames}"
                )
        if self.futures < 1 or self.workers < 1:
            raise ValueError(f"futures and workers must be >= 1, got {self.futures} and {self.workers}")
        content = Content(3, self.dancers.height, self.dancers.width, 3, DANCER)
        object.__setattr__(self, "content", content)

    @property
    def allow_overlap(self) -> bool:
        """False: no dancer is in two splits."""
        return False

    @property
    def deterministic(self) -> bool:
        """Whether no random factor is on."""
        return self.dancers.stochastic * max(self.dancers.strengths) == 0

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
            with exclusive(self._path(split)):
                if not self._is_drawn(self._path(split)):
                    self._draw(split)

    def _is_drawn(self, path: Path) -> bool:
        try:
            store = open_store(path)
            store.verify()
        except StoreError as error:
            if path.exists():
                _log.warning("The cache is damaged (%s); it is drawn again.", error)
            return False
        if store.fingerprint != self.fingerprint:
            _log.warning("The cache %s is stale; it is drawn again.", path)
        return store.fingerprint == self.fingerprint

    def open(self, split: Split) -> Store:
        """The packed clips of a split.

        Raises:
            StoreError: if the split was not prepared.
        """
        return open_store(self._path(split))

    def oracles(self, split: Split, clips: list[tuple[int, int]]) -> list[Float[Array, "T 3 H W"]]:
        """``Dancers.oracle`` for several (sequence, frames), drawn by all workers and kept in the cache.

        Kept, and so given, in float16, which errs by less than 0.0003 in [0, 1]: 70 dB.
        """
        files = [self._path(split) / f"oracle-{sequence}-{frames}-{self.futures}.npy" for sequence, frames in clips]
        missing = {file: clip for file, clip in zip(files, clips, strict=True) if not file.is_file()}
        jobs = [(self.dancers, split, *clip, self.futures) for clip in missing.values()]
        drawn = map_processes(draw_oracle, jobs, title="Drawing the oracle", workers=self.workers) if jobs else ()
        for file, film in zip(missing, drawn, strict=True):
            temporary = file.with_name(f".{file.stem}-{os.getpid()}.npy")
            np.save(temporary, film.astype(np.float16), allow_pickle=False)
            temporary.replace(file)
        return [np.load(file, allow_pickle=False).astype(np.float32) for file in files]

    def _path(self, split: Split) -> Path:
        return Path(self.cache) / f"dancers-{self.fingerprint}" / split

    def _draw(self, split: Split) -> None:
        size = self.sizes[split]
        height, width = self.dancers.height, self.dancers.width
        layout = Layout(
            sequences=lay_out([f"{split}-{index:05d}" for index in range(size.clips)], [size.frames] * size.clips),
            shapes={"frames": (3, height, width), "poses": (3, height, width), "keypoints": (len(DANCER.joints), 2)},
            fingerprint=self.fingerprint,
            about={"fps": self.dancers.fps, "skeleton": skeleton_to_dict(DANCER)},
        )
        with create_store(self._path(split), layout) as draft:
            missing = [index for index in range(size.clips) if not draft.is_done(str(index))]
            jobs = [(self.dancers, draft.folder, split, index, size.frames) for index in missing]
            drawn = map_processes(draw_clip, jobs, title=f"Drawing dancers ({split})", workers=self.workers)
            for index, _ in zip(missing, drawn, strict=True):
                draft.finish(str(index))


@cache
def _drawing_code() -> bytes:
    """The sources that draw, as they are when first asked for: an edit during a run does not lose it its data."""
    package = resources.files("vidpred")
    return b"".join(package.joinpath(name).read_bytes() for name in _SOURCES)
