"""Stores that ``vidpred.prepare`` has written, as a source: ``root/train``, ``root/val`` and maybe ``root/test``."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vidpred.data.posing import skeleton_of
from vidpred.data.source import SPLITS, Content, Split
from vidpred.data.splits import SplitError, check_apart
from vidpred.data.store import Store, StoreError, open_store


@dataclass(frozen=True, kw_only=True)
class PackedSource:
    """Packed splits below a root.

    Args:
        root: the folder that was ``out`` of ``vidpred.prepare``.
        allow_overlap: accept splits that share frames of a video.
    """

    root: Path
    allow_overlap: bool = False

    @cached_property
    def stores(self) -> dict[Split, Store]:
        """The splits that there are.

        Raises:
            StoreError: if train or val is missing, or one is damaged.
            SplitError: if the sizes or skeletons of the splits differ.
        """
        present = [split for split in SPLITS if (self.root / split).is_dir() or split != "test"]
        try:
            stores = {split: open_store(self.root / split) for split in present}
        except StoreError as error:
            raise StoreError(f"data.root={self.root} is no prepared data: {error}; "
                             f"python -m vidpred.prepare source=… out={self.root} makes it") from None  # fmt: skip
        contents = {split: _content(store) for split, store in stores.items()}
        if len(set(contents.values())) > 1:
            raise SplitError(f"data.root={self.root}: the splits differ in size or skeleton: {contents}")
        return stores

    @cached_property
    def content(self) -> Content:
        """Sizes and kinds, as the stores say."""
        return _content(self.stores["train"])

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the splits' own fingerprints."""
        return hashlib.sha256("".join(store.fingerprint for store in self.stores.values()).encode()).hexdigest()[:16]

    def prepare(self) -> None:
        """Nothing is missing; splits that share frames are refused."""
        if not self.allow_overlap:
            check_apart({split: store.sequences for split, store in self.stores.items()})

    def open(self, split: Split) -> Store:
        """A split.

        Raises:
            StoreError: if there is no such split.
        """
        if split not in self.stores:
            raise StoreError(f"data.root={self.root} has no {split} split; there is {', '.join(self.stores)}")
        return self.stores[split]

    @property
    def deterministic(self) -> None:
        """Nobody knows."""

    def oracles(self, split: Split, clips: list[tuple[int, int]]) -> None:
        """Nobody knows what else could have happened."""


def _content(store: Store) -> Content:
    _, channels, height, width = store.frames.shape
    poses = 0 if store.poses is None else store.poses.shape[1]
    return Content(channels, height, width, poses, None if store.keypoints is None else skeleton_of(store))
