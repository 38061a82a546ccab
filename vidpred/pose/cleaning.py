"""Cleaning: from an estimator's raw keypoints to stretches of frames that can be trained on.

A joint is *missing* in a frame if it has no position or its confidence is below ``min_confidence``; a frame is missing
if all its joints are (nobody was found, or nobody with a joint one can trust). A gap is a run of consecutive frames
in which the same joint is missing, with a frame before and one after it that has the joint.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array


class Cleaned(NamedTuple):
    """Keypoints that can be trained on, and where."""

    keypoints: Float[Array, "T J 3"]  # x, y in pixels, confidence; NaN, NaN, 0 where missing, and outside the stretches
    stretches: list[slice]  # of frames that stay, in order, without overlap; never two that touch
    interpolated: int  # frames that stay and in which at least one joint is interpolated
    cut: int  # frames in no stretch


def clean(keypoints: Float[Array, "T J 3"], *, min_confidence: float, max_gap: int, min_stretch: int) -> Cleaned:
    """Fill short gaps, mark what stays missing, and cut out the frames without a person.

    In this order:

    1. Every gap of a joint of at most ``max_gap`` frames is filled. With a and b the frames around it,
       p(t) = p(a) + (t − a) / (b − a) · (p(b) − p(a)), for x, y and confidence alike.
    2. A joint that is still missing becomes NaN with confidence 0: its limbs are not drawn.
    3. Frames that are still missing are cut; the runs of frames between them are the stretches. Hence a person who is
       away for more than ``max_gap`` frames, or at the beginning or the end, is cut out.
    4. Stretches shorter than ``min_stretch`` are cut.

    Args:
        keypoints: x, y in pixels and confidence, NaN where unknown.
        min_confidence: below it a joint is missing.
        max_gap: frames; 0 fills nothing.
        min_stretch: frames.

    Raises:
        ValueError: for a parameter out of its range.
    """
    if not 0 <= min_confidence <= 1:
        raise ValueError(f"min_confidence must lie in [0, 1], got {min_confidence}")
    if max_gap < 0:
        raise ValueError(f"max_gap must be >= 0 frames, got {max_gap}")
    if min_stretch < 1:
        raise ValueError(f"min_stretch must be >= 1 frame, got {min_stretch}")
    present = np.isfinite(keypoints).all(axis=2) & (keypoints[..., 2] >= min_confidence)
    cleaned = np.where(present[..., None], keypoints, np.array([np.nan, np.nan, 0], dtype=keypoints.dtype))
    filled = _fill(cleaned, present, max_gap)
    stretches = [run for run in runs((present | filled).any(axis=1)) if run.stop - run.start >= min_stretch]
    stays = np.zeros(len(keypoints), dtype=bool)
    for stretch in stretches:
        stays[stretch] = True
    cleaned[~stays] = (np.nan, np.nan, 0)
    return Cleaned(cleaned, stretches, int((filled.any(axis=1) & stays).sum()), int((~stays).sum()))


def _fill(keypoints: Float[Array, "T J 3"], present: Bool[Array, "T J"], max_gap: int) -> Bool[Array, "T J"]:
    """Interpolate the short gaps in place; returns which joints were filled."""
    filled = np.zeros_like(present)
    for joint in range(present.shape[1]):
        for gap in runs(~present[:, joint]):
            if gap.start == 0 or gap.stop == len(present) or gap.stop - gap.start > max_gap:
                continue
            before, after = keypoints[gap.start - 1, joint], keypoints[gap.stop, joint]
            weight = np.arange(1, gap.stop - gap.start + 1, dtype=keypoints.dtype) / (gap.stop - gap.start + 1)
            keypoints[gap, joint] = before + weight[:, None] * (after - before)
            filled[gap, joint] = True
    return filled


def runs(flags: Bool[Array, " T"]) -> list[slice]:
    """The runs of consecutive True values, in order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
