"""Clips: windows cut from the sequences of a store."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Shaped
from numpy import ndarray as Array
from torch.utils.data import Dataset

from vidpred.data.store import Store
from vidpred.types import Clip


class Window(NamedTuple):
    """Where a clip lies: ``length`` frames of a sequence from ``start`` on."""

    sequence: int
    start: int
    length: int


class Clips(Dataset[Clip]):
    """Reads windows, all of one batch at a time and of one length; which ones is the sampler's business.

    Args:
        store: the sequences.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def __len__(self) -> int:
        return len(self.store.sequences)

    def __getitems__(self, windows: list[Window]) -> Clip:
        """Read a batch of windows of equal length."""
        return Clip(
            frames=self._read(self.store.frames, windows),
            poses=self._read(self.store.poses, windows),
            sequence=torch.tensor([window.sequence for window in windows]),
            start=torch.tensor([window.start for window in windows]),
        )

    def _read(self, array: Shaped[Array, "N ..."], windows: list[Window]) -> torch.Tensor:
        rows = [self.store.sequences[window.sequence].first + window.start for window in windows]
        cut = [array[row : row + window.length] for row, window in zip(rows, windows, strict=True)]
        return torch.from_numpy(np.stack(cut))


def keep_batch(clip: Any) -> Any:
    """The collate function: a batch is read whole and needs no collation."""
    return clip
