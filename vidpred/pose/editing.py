"""Changes to a sequence of poses: slower, faster, backwards, mirrored, sides exchanged, or between two of them.

Keypoints are (T, J, 3): x, y and confidence. A joint between two moments is where a straight line from one to the other
has it; where it is missing in one of them, it is missing.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.pose.keypoints import check_joints, flip_keypoints
from vidpred.pose.skeletons import Skeleton


def change_speed(keypoints: Float[Array, "T J 3"], speed: float) -> Float[Array, "S J 3"]:
    """The same dance, ``speed`` times as fast: frame s shows moment s · speed, up to the last.

    Raises:
        ValueError: if the speed is not positive, or nothing is left to show.
    """
    if not (np.isfinite(speed) and speed > 0):
        raise ValueError(f"speed must be > 0, got {speed}")
    moments = np.arange(int((len(keypoints) - 1) / speed + 1e-9) + 1) * speed
    return _at(keypoints, moments)


def interpolate(keypoints: Float[Array, "T J 3"], first: int, last: int, frames: int) -> Float[Array, "S J 3"]:
    """From the pose of one frame to that of another, in ``frames`` even steps, both ends included.

    Raises:
        ValueError: if there are no such frames, or fewer than two steps.
    """
    if not (0 <= first < len(keypoints) and 0 <= last < len(keypoints)):
        raise ValueError(f"there are no poses {first} and {last}: the sequence has 0 to {len(keypoints) - 1}")
    if frames < 2:
        raise ValueError(f"a way between two poses needs at least 2 frames, got {frames}")
    return _at(keypoints[[first, last]], np.linspace(0, 1, frames))


def reverse(keypoints: Float[Array, "T J 3"]) -> Float[Array, "T J 3"]:
    """Backwards."""
    return np.ascontiguousarray(keypoints[::-1])


def swap_sides(keypoints: Float[Array, "T J 3"], skeleton: Skeleton) -> Float[Array, "T J 3"]:
    """Left limbs do what right ones did, where they did it: the person has turned round.

    Raises:
        ValueError: if the skeleton does not tell left from right, or has other joints.
    """
    check_joints(keypoints, skeleton)
    return keypoints[:, list(skeleton.mirrored)]


def mirror(keypoints: Float[Array, "T J 3"], skeleton: Skeleton) -> Float[Array, "T J 3"]:
    """As a mirror shows it, about the middle of where the person is over the whole sequence.

    Raises:
        ValueError: if the skeleton does not tell left from right, or has other joints.
    """
    across = keypoints[..., 0][np.isfinite(keypoints[..., 0])]
    width = float(across.min() + across.max()) + 1 if len(across) else 1.0
    return flip_keypoints(keypoints, skeleton, width=width)


def _at(keypoints: Float[Array, "T J 3"], moments: Float[Array, " S"]) -> Float[Array, "S J 3"]:
    """Poses at fractional moments."""
    before = np.clip(np.floor(moments).astype(int), 0, len(keypoints) - 1)
    after = np.minimum(before + 1, len(keypoints) - 1)
    share = (moments - before)[:, None, None]
    there, next_ = keypoints[before], keypoints[after]
    between = np.where(share > 0, (1 - share) * there + share * next_, there)
    between[..., 2] = np.where(share[..., 0] > 0, np.minimum(there[..., 2], next_[..., 2]), there[..., 2])
    return np.asarray(between, dtype=np.float32)
