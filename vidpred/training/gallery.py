"""The clips of a validation that people look at: the first ones, the best and the worst."""

from math import ceil, isnan
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray as Array

from vidpred.training.module import Rollouts
from vidpred.types import Batch
from vidpred.viz.films import Rows, shrink
from vidpred.viz.pixels import to_pixels

_FRAMES, _SIDE = 160, 128  # of a film that is kept, at most


class Shown(NamedTuple):
    """A clip that is shown."""

    clip: int  # its number in the split
    psnr: float  # dB, mean over its frames
    rows: Rows  # pose, truth, prediction


class Gallery:
    """Collects, over the batches of a validation, its first clips and its best and worst by PSNR.

    Args:
        first: clips that are shown whatever their score, so that runs can be compared.
        known: K, context frames, which are not shown.
    """

    def __init__(self, first: int, *, known: int) -> None:
        self.known, self._room = known, first
        self.first: list[Shown] = []
        self._best: Shown | None = None
        self._worst: Shown | None = None

    def add(self, rollouts: Rollouts, batch: Batch) -> None:
        """Look through a batch."""
        for row, (clip, score) in enumerate(zip(batch.sequence.tolist(), rollouts.psnr.mean(1).tolist(), strict=True)):
            score = float("-inf") if isnan(score) else score
            wanted = len(self.first) < self._room
            better = self._best is None or score > self._best.psnr
            worse = self._worst is None or score < self._worst.psnr
            if not (wanted or better or worse):
                continue
            shown = Shown(clip, score, {
                "pose": to_pixels(batch.poses[row, self.known :]),
                "truth": to_pixels(batch.frames[row, self.known :]),
                "prediction": to_pixels(rollouts.predicted[row]),
            })  # fmt: skip
            if wanted:
                self.first.append(shown)
            self._best = shown if better else self._best
            self._worst = shown if worse else self._worst

    def to_arrays(self) -> dict[str, Array]:
        """What ``films.npz`` holds: at most 160 frames of each film, spread evenly, at most 128 pixels high or wide."""
        assert self._best is not None
        assert self._worst is not None
        shown = {one.clip: one for one in (*self.first, self._best, self._worst)}
        arrays: dict[str, Any] = {"clips": np.array(list(shown)), "best": self._best.clip, "worst": self._worst.clip}
        for clip, one in shown.items():
            every = ceil(len(one.rows["truth"]) / _FRAMES)
            arrays[f"every_{clip}"] = every
            arrays |= {f"{name}_{clip}": shrink(film[::every], _SIDE) for name, film in one.rows.items()}
        return {name: np.asarray(value) for name, value in arrays.items()}
