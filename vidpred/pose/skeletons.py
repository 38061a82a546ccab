"""Skeletons: the names of the joints, the limbs that join them, and the limbs' colours in a pose map."""

import colorsys
from dataclasses import dataclass


@dataclass(frozen=True)
class Skeleton:
    """Joints, limbs (pairs of joint indices) and one RGB colour (0 to 255) per limb."""

    joints: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    colors: tuple[tuple[int, int, int], ...]


def build_skeleton(joints: tuple[str, ...], limbs: tuple[tuple[str, str], ...]) -> Skeleton:
    """Build a skeleton from limbs given by joint names; colours go once round the hue circle.

    Raises:
        ValueError: if a limb names a joint that the skeleton does not have.
    """
    unknown = sorted({name for limb in limbs for name in limb} - set(joints))
    if unknown:
        raise ValueError(f"limbs name unknown joints {unknown}; joints are {list(joints)}")
    index = {name: number for number, name in enumerate(joints)}
    hues = (colorsys.hsv_to_rgb(number / len(limbs), 1.0, 1.0) for number in range(len(limbs)))
    colors = tuple((round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in hues)
    return Skeleton(joints, tuple((index[first], index[second]) for first, second in limbs), colors)


DANCER = build_skeleton(
    joints=(
        "pelvis", "neck", "head",
        "left_shoulder", "left_elbow", "left_wrist",
        "right_shoulder", "right_elbow", "right_wrist",
        "left_hip", "left_knee", "left_ankle", "left_toe",
        "right_hip", "right_knee", "right_ankle", "right_toe",
    ),
    limbs=(
        ("pelvis", "neck"), ("neck", "head"),
        ("neck", "left_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
        ("neck", "right_shoulder"), ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
        ("pelvis", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"), ("left_ankle", "left_toe"),
        ("pelvis", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
        ("right_ankle", "right_toe"),
    ),
)  # fmt: skip
