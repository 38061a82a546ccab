"""Fitting the poses of one person to another: the driver's to the person in the picture.

The person of the picture is in one pose, the driver in many. Limbs are compared by their length over the driver's whole
dance, so that the fit depends on no single pose and a limb that points at the camera does not count as short.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.pose.keypoints import check_joints, present
from vidpred.pose.skeletons import Skeleton

Fit = Literal["place", "limbs", "none"]
_LONGEST = 0.9  # quantile over frames that counts as a limb's length
_SCALES = (0.5, 2.0)  # of a limb, against the scale of the whole person: what is beyond is foreshortened


def fit_poses(
    driving: Float[Array, "T J 3"], person: Float[Array, "J 3"], skeleton: Skeleton, *, fit: Fit = "place"
) -> Float[Array, "T J 3"]:
    """The driver's poses, where and as large as the person of a picture is.

    "place" scales all poses by the median ratio of limb lengths, and moves them by the same amount, so that the first
    pose has the middle of its joints where the person has it. "limbs" then gives every limb the person's length, from
    the middle of the body outwards, and moves what hangs on it along.

    Args:
        driving: x, y and confidence.
        person: likewise, of the picture.
        skeleton: of both.
        fit: "place", "limbs", or "none", which changes nothing.

    Raises:
        ValueError: for an unknown ``fit``, or where the two share no limb that is seen in both.
    """
    if fit not in ("place", "limbs", "none"):
        raise ValueError(f"fit must be place, limbs or none, got {fit!r}")
    check_joints(driving, skeleton)
    check_joints(person[None], skeleton)
    if fit == "none":
        return driving
    ratios = _lengths(person[None], skeleton) / _lengths(driving, skeleton)
    if not np.isfinite(ratios).any():
        raise ValueError("the poses cannot be fitted to the picture: no limb is seen in both")
    scale = float(np.nanmedian(ratios))
    fitted = driving.copy()
    fitted[..., :2] *= scale
    if fit == "limbs":
        relative = np.clip(np.where(np.isfinite(ratios), ratios / scale, 1.0), *_SCALES)
        fitted = _stretch(fitted, skeleton, relative)
    return _move(fitted, person)


def _lengths(keypoints: Float[Array, "T J 3"], skeleton: Skeleton) -> Float[Array, " L"]:
    """Of every limb, over the frames in which both of its ends are seen; NaN if there is none."""
    there, places = present(keypoints), keypoints[..., :2]
    found = []
    for first, last in skeleton.limbs:
        seen = there[:, first] & there[:, last]
        lengths = np.linalg.norm(places[seen, first] - places[seen, last], axis=1)
        found.append(np.quantile(lengths, _LONGEST) if seen.any() and lengths.max() > 0 else np.nan)
    return np.array(found)


def _move(keypoints: Float[Array, "T J 3"], person: Float[Array, "J 3"]) -> Float[Array, "T J 3"]:
    """All poses by one vector, so that the first with a joint in common begins where the person is."""
    shared = present(keypoints) & present(person[None])
    frame = int(shared.any(axis=1).argmax())
    joints = shared[frame]
    if joints.any():
        keypoints[..., :2] += person[joints, :2].mean(axis=0) - keypoints[frame, joints, :2].mean(axis=0)
    return keypoints


def _stretch(keypoints: Float[Array, "T J 3"], skeleton: Skeleton, scales: Float[Array, " L"]) -> Float[Array, "T J 3"]:
    """Every limb times its scale, walking along the limbs from the joint that most of them meet in."""
    ends = [joint for limb in skeleton.limbs for joint in limb]
    root = max(range(len(skeleton.joints)), key=ends.count)
    moved, done, waiting = keypoints.copy(), {root}, [root]
    while waiting:
        near = waiting.pop()
        for (first, last), scale in zip(skeleton.limbs, scales, strict=True):
            far = last if first == near else first if last == near else None
            if far is not None and far not in done:
                limb = keypoints[:, far, :2] - keypoints[:, near, :2]
                moved[:, far, :2] = moved[:, near, :2] + scale * limb
                done.add(far)
                waiting.append(far)
    return moved
