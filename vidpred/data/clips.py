"""Clips: windows cut from the sequences of a store."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from vidpred.data.augmentation import UNCHANGED, Change, recolor, relight
from vidpred.data.posing import PoseInput
from vidpred.data.store import Store
from vidpred.types import Clip


class Window(NamedTuple):
    """Where a clip lies: every ``step``-th frame of a sequence from ``start`` on, ``length`` of them.

    The first ``context`` frames are taken ``gap`` frames earlier, or later where ``gap`` is negative.
    """

    sequence: int
    start: int
    length: int
    step: int = 1
    context: int = 1
    gap: int = 0
    change: Change = UNCHANGED


class Clips(Dataset[Clip]):
    """Reads windows, all of one batch at a time and of one length; which ones is the sampler's business.

    Args:
        store: the sequences.
        poses: which pose maps go with the frames.
        relight: give a far context the light of the frames that it stands for (see ``relight``).
    """

    def __init__(self, store: Store, poses: PoseInput, *, relight: bool = True) -> None:
        self.store, self.poses, self.relight = store, poses, relight

    def __len__(self) -> int:
        return len(self.store.sequences)

    def __getitems__(self, windows: list[Window]) -> Clip:
        """Read a batch of windows of equal length."""
        batch = Clip(
            frames=torch.stack([self._read_frames(window) for window in windows]),
            poses=torch.stack([self._read_poses(window) for window in windows]),
            sequence=torch.tensor([window.sequence for window in windows]),
            start=torch.tensor([window.start for window in windows]),
            gap=torch.tensor([abs(window.gap) / window.step for window in windows]),
        )
        self.store.release()
        return batch

    def _read_frames(self, window: Window) -> UInt8[Tensor, "T C H W"]:
        frames = torch.from_numpy(np.array(self.store.frames[self._rows(window)]))
        if window.gap and self.relight:
            last = window.context - 1
            wanted = torch.from_numpy(np.array(self.store.frames[self._first(window) + last * window.step]))
            frames[: window.context] = relight(frames[: window.context], shown=frames[last], wanted=wanted)
        return recolor(frames.flip(-1) if window.change.flip else frames, window.change)

    def _read_poses(self, window: Window) -> UInt8[Tensor, "T P H W"]:
        return torch.from_numpy(self.poses.read(self.store, self._rows(window), flip=window.change.flip))

    def _first(self, window: Window) -> int:
        return self.store.sequences[window.sequence].first + window.start

    def _rows(self, window: Window) -> slice | Int[np.ndarray, " T"]:
        first = self._first(window)
        rows = slice(first, first + (window.length - 1) * window.step + 1, window.step)
        if not window.gap:
            return rows
        numbers = np.arange(rows.start, rows.stop, rows.step)
        numbers[: window.context] -= window.gap
        return numbers


def whole_sequence(
    store: Store, poses: PoseInput, number: int, *, step: int = 1
) -> tuple[UInt8[Tensor, "K C H W"], UInt8[Tensor, "T P H W"]]:
    """Every ``step``-th of all true frames of a sequence, and of all its pose maps, which may be more.

    Raises:
        StoreError: if there is no such sequence.
    """
    info = store.info(number)
    frames = torch.from_numpy(np.array(store.frames[info.first : info.first + info.known : step]))
    return frames, torch.from_numpy(poses.read(store, slice(info.first, info.first + info.length, step)))


def keep_batch(clip: Any) -> Any:
    """The collate function: a batch is read whole and needs no collation."""
    return clip
