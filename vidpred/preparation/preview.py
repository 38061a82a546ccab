"""A look at prepared data: frames with the skeleton drawn over them."""

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray as Array

from vidpred.data.posing import skeleton_of
from vidpred.data.store import SequenceInfo, Store
from vidpred.pose.maps import Limbs
from vidpred.viz.films import Rows, encode_gif, side_by_side, strip

_SECONDS = 6.0  # of the film


def preview_film(store: Store, *, scale: int) -> bytes:
    """A GIF of the beginning of the longest sequence: frames, the skeleton over them, and the skeleton alone."""
    info = max(store.sequences, key=lambda sequence: sequence.length)
    fps = float(store.about["fps"])
    step = max(1, round(fps / 12))
    numbers = np.arange(0, min(info.length, round(_SECONDS * fps)), step)
    return encode_gif(side_by_side(_rows(store, info, numbers), scale=scale), fps=fps / step)


def preview_sheet(store: Store, *, scale: int) -> UInt8[Array, "h w 3"]:
    """Ten moments spread over all sequences."""
    rows = np.concatenate([np.arange(info.first, info.first + info.known) for info in store.sequences])
    moments = rows[np.linspace(0, len(rows) - 1, min(10, len(rows))).round().astype(int)]
    whole = SequenceInfo("", 0, len(store.frames), len(store.frames))
    return strip(_rows(store, whole, moments), columns=len(moments), scale=scale)


def _rows(store: Store, info: SequenceInfo, numbers: Array) -> Rows:
    frames = np.asarray(store.frames[info.first + numbers]).transpose(0, 2, 3, 1)
    assert store.keypoints is not None
    keypoints = np.asarray(store.keypoints[info.first + numbers])
    size = (frames.shape[1], frames.shape[2])
    skeleton = Limbs(thickness=1.0)(keypoints, skeleton_of(store), size).transpose(0, 2, 3, 1)
    covered = skeleton.max(axis=-1, keepdims=True) / 255
    over = (frames * (1 - covered) + skeleton * covered).round().astype(np.uint8)
    return {"frames": frames, "with skeleton": over, "skeleton": skeleton}
