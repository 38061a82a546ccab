"""From the joints of one skeleton to those of another: what has the same name is taken, the rest is made of neighbours.

A pelvis is the middle of the hips, a neck that of the shoulders; a joint that only finer skeletons know, such as a toe
or a finger, is put where the nearest coarser one is, so that its limb has no length.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.pose.keypoints import check_joints, present
from vidpred.pose.skeletons import Skeleton

_SIDED = {  # by the joint without its side: what it may be made of, best first; several are averaged
    "toe": (("foot_index",), ("big_toe",), ("ankle",)),
    "foot_index": (("big_toe",), ("toe",), ("ankle",)),
    "big_toe": (("foot_index",), ("toe",), ("ankle",)),
    "small_toe": (("foot_index",), ("toe",), ("ankle",)),
    "heel": (("ankle",),),
    "pinky": (("wrist",),),
    "index": (("wrist",),),
    "thumb": (("wrist",),),
    "eye_inner": (("eye",), ("head",), ("ear",)),
    "eye_outer": (("eye",), ("head",), ("ear",)),
}
_MIDDLE: dict[str, tuple[tuple[str, ...], ...]] = {
    "pelvis": (("mid_hip",), ("left_hip", "right_hip")),
    "mid_hip": (("pelvis",), ("left_hip", "right_hip")),
    "neck": (("left_shoulder", "right_shoulder"),),
    "head": (("left_ear", "right_ear"), ("left_eye", "right_eye"), ("nose",)),
    "nose": (("head",),),
    "mouth_left": (("nose",), ("head",)),
    "mouth_right": (("nose",), ("head",)),
    "left_eye": (("head",), ("nose",)),
    "right_eye": (("head",), ("nose",)),
    "left_ear": (("head",), ("nose",)),
    "right_ear": (("head",), ("nose",)),
}
_RECIPES = _MIDDLE | {
    f"{side}_{joint}": tuple(tuple(f"{side}_{part}" if part != "head" else part for part in parts) for parts in choices)
    for side in ("left", "right")
    for joint, choices in _SIDED.items()
}


def convert_keypoints(keypoints: Float[Array, "T J c"], source: Skeleton, target: Skeleton) -> Float[Array, "T K 3"]:
    """Keypoints of another skeleton.

    Args:
        keypoints: x, y and maybe confidence of the source's joints.
        source: whose joints they are.
        target: whose joints are wanted.

    Returns:
        x, y and confidence; that of a joint which is made of others is the lowest of theirs.

    Raises:
        ValueError: if the number of joints is not the source's, or some of the target's cannot be made of them.
    """
    check_joints(keypoints, source)
    recipes = {joint: _find(joint, source) for joint in target.joints}
    unknown = [joint for joint, parts in recipes.items() if not parts]
    if unknown:
        raise ValueError(
            f"poses of another skeleton: {', '.join(unknown)} cannot be made of {', '.join(source.joints)}"
        )
    confidence = present(keypoints)[..., None] * (keypoints[..., 2:] if keypoints.shape[2] == 3 else 1.0)
    full = np.concatenate([keypoints[..., :2], confidence], axis=2).astype(np.float32)
    found = [full[:, [source.joints.index(part) for part in parts]] for parts in recipes.values()]
    joined = [np.concatenate([one[..., :2].mean(axis=1), one[..., 2:].min(axis=1)], axis=1) for one in found]
    return np.stack(joined, axis=1)


def _find(joint: str, source: Skeleton) -> tuple[str, ...]:
    """The source's joints that one is made of; none if it cannot be."""
    choices = ((joint,), *_RECIPES.get(joint, ()))
    return next((parts for parts in choices if set(parts) <= set(source.joints)), ())
