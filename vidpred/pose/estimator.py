"""Pose estimation: from the frames of a video to the keypoints of one person.

An estimator looks at one stretch of consecutive frames a call. Positions are in pixels of the given frames, pixel
centres at whole numbers; what "confidence" means is the estimator's own, but it always lies in [0, 1].
"""

from collections.abc import Iterable
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray as Array

Person = Literal["largest", "tracked"]
MIN_OVERLAP = 0.3  # intersection over union below which a box is not the person of the frame before


class PoseError(ValueError):
    """The user asked for an estimator that cannot be had, or gave it what is no video."""


@runtime_checkable
class PoseEstimator(Protocol):
    """From frames to the keypoints of one person."""

    joints: tuple[str, ...]  # names of the J joints, in order

    def estimate(self, frames: Iterable[UInt8[Array, "H W 3"]]) -> Float[Array, "T J 3"]:
        """Estimate the pose in every frame of one stretch of consecutive frames; nothing is kept for the next call.

        Returns:
            x, y in pixels and confidence in [0, 1]; NaN, NaN and 0 for all joints of a frame without a person.

        Raises:
            PoseError: for a frame that is not a uint8 RGB picture.
        """
        ...


def check_person(person: str) -> None:
    """Refuse an unknown way to choose among several people.

    Raises:
        PoseError: if ``person`` is neither "largest" nor "tracked".
    """
    if person not in ("largest", "tracked"):
        raise PoseError(f"pose_estimator.person must be largest or tracked, got {person!r}")


def check_threshold(name: str, value: float) -> None:
    """Refuse a threshold outside [0, 1].

    Raises:
        PoseError: naming the option ``pose_estimator.<name>``.
    """
    if not 0 <= value <= 1:
        raise PoseError(f"pose_estimator.{name} must lie in [0, 1], got {value}")


def check_frame(frame: Any, number: int) -> None:
    """Refuse what is not a picture.

    Raises:
        PoseError: if the frame is not uint8 of shape (H, W, 3), or empty.
    """
    if not isinstance(frame, Array) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        given = f"{frame.dtype} {frame.shape}" if isinstance(frame, Array) else type(frame).__name__
        raise PoseError(f"frame {number} must be a NumPy array uint8 (H, W, 3) in RGB order, got {given}")
    if frame.size == 0:
        raise PoseError(f"frame {number} has no pixels, its shape is {frame.shape}")


def choose_person(boxes: Float[Array, "N 4"], previous: Float[Array, " 4"] | None, *, person: Person) -> int:
    """Index of the person to look at.

    "largest" is the box of the greatest area; "tracked" the one that overlaps most with the person's box in the frame
    before, and the largest where none overlaps by ``MIN_OVERLAP`` or nobody was there.

    Args:
        boxes: left, top, right, bottom of every person found.
        previous: the box of the frame before.
        person: how to choose.

    Raises:
        PoseError: if there is no box, or ``person`` is unknown.
    """
    check_person(person)
    if len(boxes) == 0:
        raise PoseError("there is nobody to choose from: boxes are empty")
    if person == "tracked" and previous is not None:
        overlap = overlaps(boxes, previous)
        if overlap.max() >= MIN_OVERLAP:
            return int(overlap.argmax())
    extent = boxes[:, 2:] - boxes[:, :2]
    return int((extent[:, 0] * extent[:, 1]).argmax())


def overlaps(boxes: Float[Array, "N 4"], box: Float[Array, " 4"]) -> Float[Array, " N"]:
    """Intersection over union of every box with one box, 0 to 1; boxes are left, top, right, bottom."""
    corner = np.maximum(boxes[:, :2], box[:2])
    extent = np.maximum(np.minimum(boxes[:, 2:], box[2:]) - corner, 0)
    shared = extent[:, 0] * extent[:, 1]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = areas + (box[2] - box[0]) * (box[3] - box[1]) - shared
    return np.asarray(shared / np.maximum(union, 1e-12))


def absent(joints: int) -> Float[Array, "J 3"]:
    """The pose of a frame without a person: NaN, NaN, 0 for every joint."""
    return np.tile(np.array([np.nan, np.nan, 0], dtype=np.float32), (joints, 1))


def stack_poses(poses: list[Float[Array, "J 3"]], joints: int) -> Float[Array, "T J 3"]:
    """All poses of a stretch in one array; T may be 0."""
    return np.stack(poses) if poses else np.empty((0, joints, 3), dtype=np.float32)
