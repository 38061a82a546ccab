"""What a split holds, and how hard it is: how much moves, and what copying a frame scores."""

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from vidpred.data.store import Store

HORIZONS = (1, 5, 10, 25, 50, 100)
_MOVED = 16  # grey levels of 255 by which a pixel differs from the frame before that counts as moving
_PLACES = 64  # moments that statistics are taken at, spread evenly


class Statistics(NamedTuple):
    """Of one split."""

    sequences: int
    frames: int
    seconds: float
    moving: float  # share of the pixels that differ by more than 16 grey levels from the frame before
    copy_first: dict[int, float]  # dB by which a frame predicts the one so many frames later: frame 0 of its sequence
    copy_any: dict[int, float]  # likewise, of frames from anywhere: the last true frame, so many steps ago


def describe_store(store: Store) -> Statistics:
    """Statistics of a split, from at most some dozens of moments of it."""
    starts = [info.first for info in store.sequences]
    pairs = {horizon: _pairs(store, horizon) for horizon in HORIZONS}
    firsts = {
        horizon: np.array([[first, first + horizon] for first, info in zip(starts, store.sequences, strict=True)
                           if horizon < info.known][:_PLACES])
        for horizon in HORIZONS
    }  # fmt: skip
    return Statistics(
        sequences=len(store.sequences),
        frames=sum(store.lengths),
        seconds=sum(store.lengths) / float(store.about["fps"]),
        moving=_moving_share(store, pairs[1]),
        copy_first={horizon: _psnr(store, rows) for horizon, rows in firsts.items() if len(rows)},
        copy_any={horizon: _psnr(store, rows) for horizon, rows in pairs.items() if len(rows)},
    )


def _pairs(store: Store, horizon: int) -> Array:
    """Rows (n, 2) of frames so far apart in one sequence, spread evenly over the split."""
    rows = [np.arange(info.first, info.first + info.known - horizon) for info in store.sequences]
    places = np.concatenate(rows) if rows else np.array([], dtype=int)
    chosen = places[np.linspace(0, len(places) - 1, min(_PLACES, len(places))).astype(int)] if len(places) else places
    return np.stack([chosen, chosen + horizon], axis=1)


def _moving_share(store: Store, pairs: Array) -> float:
    if not len(pairs):
        return 0.0
    before, after = (store.frames[pairs[:, side]].astype(np.int16) for side in (0, 1))
    return float((np.abs(after - before).max(axis=1) > _MOVED).mean())


def _psnr(store: Store, pairs: Array) -> float:
    """Mean over pairs of the PSNR of the first as a prediction of the second, in dB; at most 100."""
    before, after = (store.frames[pairs[:, side]].astype(np.float64) / 255 for side in (0, 1))
    error = ((after - before) ** 2).mean(axis=(1, 2, 3))
    return float((-10 * np.log10(np.maximum(error, 1e-10))).mean())
