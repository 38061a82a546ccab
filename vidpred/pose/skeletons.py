"""Skeletons: the names of the joints, the limbs that join them, and the limbs' colours in a pose map.

Built in are the embedded dancers' (``DANCER``) and those of the usual estimators: ``BLAZEPOSE``, ``COCO`` and
``BODY_25``. Others come from a YAML or JSON file::

    joints: [head, left_hand, right_hand]
    limbs: [[head, left_hand], [head, right_hand]]  # by names, or by positions from 0
    colors: [[255, 0, 0], [0, 0, 255]]              # optional, RGB from 0 to 255, one a limb
    mirror: [[left_hand, right_hand]]               # optional, the joints that a mirror exchanges
"""

import colorsys
import json
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vidpred.limits import read_text

_SIDES = {"left": "right", "right": "left"}
_MOST_FILE, _MOST_JOINTS = 250_000, 1000  # bytes; a body with hands and face has some hundred joints
_KEYS = ("joints", "limbs", "colors", "mirror")


@dataclass(frozen=True)
class Skeleton:
    """Joints, limbs (pairs of joint indices) and one RGB colour (0 to 255) per limb.

    Args:
        joints: their names, all different.
        limbs: pairs of positions in ``joints``.
        colors: red, green and blue of every limb.
        mirror: pairs of joints that a mirror exchanges; None: those whose names differ in "left" and "right".

    Raises:
        ValueError: if joints share a name, a limb or a mirrored pair has no such joint, there is not one colour
            a limb, or a colour is out of range.
    """

    joints: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    colors: tuple[tuple[int, int, int], ...]
    mirror: tuple[tuple[int, int], ...] | None = None

    def __post_init__(self) -> None:
        twice = sorted({name for name in self.joints if self.joints.count(name) > 1})
        if twice or not self.joints:
            raise ValueError(f"joints must be different names, at least one; named twice: {twice}")
        _check_pairs("limbs", self.limbs, len(self.joints))
        _check_pairs("mirror", self.mirror or (), len(self.joints))
        paired = [joint for pair in self.mirror or () for joint in pair]
        if len(set(paired)) < len(paired):
            raise ValueError(f"mirror must name a joint at most once, got {list(self.mirror or ())}")
        if len(self.colors) != len(self.limbs):
            raise ValueError(f"expected one color a limb, got {len(self.colors)} colors for {len(self.limbs)} limbs")
        wrong = [color for color in self.colors if not all(0 <= level <= 255 for level in color)]
        if wrong:
            raise ValueError(f"colors must be red, green, blue from 0 to 255, got {list(wrong[0])}")

    @property
    def mirrored(self) -> tuple[int, ...]:
        """The permutation of joints that exchanges left and right: position j of a mirrored person is joint m[j].

        It is its own inverse. Joints without a side stay where they are.

        Raises:
            ValueError: if ``mirror`` is None and the names tell no left from right, or not of every joint.
        """
        pairs = _named_pairs(self.joints) if self.mirror is None else self.mirror
        exchange = dict(pairs) | {second: first for first, second in pairs}
        return tuple(exchange.get(joint, joint) for joint in range(len(self.joints)))


def build_skeleton(joints: tuple[str, ...], limbs: tuple[tuple[str, str], ...]) -> Skeleton:
    """Build a skeleton from limbs given by joint names; colours go once round the hue circle.

    Raises:
        ValueError: if a limb names a joint that the skeleton does not have.
    """
    unknown = sorted({name for limb in limbs for name in limb} - set(joints))
    if unknown:
        raise ValueError(f"limbs name unknown joints {unknown}; joints are {list(joints)}")
    index = {name: number for number, name in enumerate(joints)}
    return Skeleton(joints, tuple((index[first], index[second]) for first, second in limbs), _hues(len(limbs)))


def load_skeleton(name_or_path: str) -> Skeleton:
    """A built-in skeleton by its name, or one from a ``.yaml``, ``.yml`` or ``.json`` file.

    Raises:
        ValueError: for an unknown name, a file that is missing or malformed; one line that names it and the remedy.
    """
    if name_or_path in SKELETONS:
        return SKELETONS[name_or_path]
    path = Path(name_or_path)
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise ValueError(
            f"unknown skeleton {name_or_path!r}; choose one of {list(SKELETONS)} or give a .yaml or .json file"
        )
    try:
        text = read_text(path, most=_MOST_FILE)
        return skeleton_from_dict(json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text))
    except OSError as error:
        raise ValueError(f"cannot read skeleton file {path}: {error.strerror}; check the path") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f"skeleton file {path}: {' '.join(str(error).split())}") from error


def skeleton_to_dict(skeleton: Skeleton) -> dict[str, Any]:
    """Lists, strings and integers, as JSON holds them; ``skeleton_from_dict`` is the inverse."""
    described: dict[str, Any] = {
        "joints": list(skeleton.joints),
        "limbs": [list(limb) for limb in skeleton.limbs],
        "colors": [list(color) for color in skeleton.colors],
    }
    if skeleton.mirror is not None:
        described["mirror"] = [list(pair) for pair in skeleton.mirror]
    return described


def skeleton_from_dict(described: Any) -> Skeleton:
    """Build a skeleton from plain lists: what ``skeleton_to_dict`` gives, or what a person wrote to a file.

    Args:
        described: a mapping with ``joints`` and ``limbs``, pairs of names or positions; ``colors``, without which
            they go once round the hue circle; and ``mirror``, as in ``Skeleton``.

    Raises:
        ValueError: if it is malformed.
    """
    if not isinstance(described, Mapping) or not {"joints", "limbs"} <= set(described) <= set(_KEYS):
        given = list(described) if isinstance(described, Mapping) else type(described).__name__
        raise ValueError(f"expected the keys joints and limbs, and maybe colors and mirror; got {given}")
    joints = described["joints"]
    if not _is_list(joints) or not all(isinstance(name, str) for name in joints):
        raise ValueError(f"joints must be a list of names (quote them in YAML), got {reprlib.repr(joints)}")
    if len(joints) > _MOST_JOINTS:
        raise ValueError(f"joints must be at most {_MOST_JOINTS}, got {len(joints)}")
    limbs = _read_pairs("limbs", described["limbs"], joints)
    colors, mirror = described.get("colors"), described.get("mirror")
    return Skeleton(
        tuple(joints),
        limbs,
        _hues(len(limbs)) if colors is None else _read_colors(colors),
        None if mirror is None else _read_pairs("mirror", mirror, joints),
    )


def _hues(count: int) -> tuple[tuple[int, int, int], ...]:
    """As many colours, once round the hue circle from red."""
    hues = (colorsys.hsv_to_rgb(number / count, 1.0, 1.0) for number in range(count))
    return tuple((round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in hues)


def _named_pairs(joints: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Pairs of joints whose names differ in one of the words "left" and "right", words being joined by "_"."""
    partner = {name: "_".join(_SIDES.get(word, word) for word in name.split("_")) for name in joints}
    sided = [name for name in joints if partner[name] != name]
    alone = [name for name in sided if partner[name] not in joints]
    if alone or not sided:
        what = f"joints {alone} have no partner on the other side" if alone else "no joint is named left or right"
        raise ValueError(f"cannot tell left from right: {what}; give the skeleton mirror: pairs of joints, or []")
    return tuple((joints.index(name), joints.index(partner[name])) for name in sided if "left" in name.split("_"))


def _check_pairs(key: str, pairs: Sequence[tuple[int, int]], joints: int) -> None:
    for pair in pairs:
        if pair[0] == pair[1] or not all(0 <= joint < joints for joint in pair):
            raise ValueError(f"{key} must join two different joints from 0 to {joints - 1}, got {list(pair)}")


def _is_list(value: Any, length: int | None = None) -> bool:
    return isinstance(value, list | tuple) and (length is None or len(value) == length)


def _read_pairs(key: str, pairs: Any, joints: Sequence[str]) -> tuple[tuple[int, int], ...]:
    if not _is_list(pairs) or not all(_is_list(pair, 2) for pair in pairs):
        raise ValueError(f"{key} must be a list of pairs of joints, got {reprlib.repr(pairs)}")
    return tuple((_read_joint(key, first, joints), _read_joint(key, second, joints)) for first, second in pairs)


def _read_joint(key: str, joint: Any, joints: Sequence[str]) -> int:
    if isinstance(joint, str) and joint in joints:
        return joints.index(joint)
    if isinstance(joint, int) and not isinstance(joint, bool) and 0 <= joint < len(joints):
        return joint
    raise ValueError(
        f"{key} has an unknown joint {reprlib.repr(joint)}; joints are {list(joints)}, or 0 to {len(joints) - 1}"
    )


def _read_colors(colors: Any) -> tuple[tuple[int, int, int], ...]:
    if not _is_list(colors) or not all(_is_list(color, 3) and all(type(c) is int for c in color) for color in colors):
        raise ValueError(
            f"colors must be a list of [red, green, blue], whole numbers from 0 to 255, got {reprlib.repr(colors)}"
        )
    return tuple((red, green, blue) for red, green, blue in colors)


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

# Bazarevsky et al. 2020, arXiv 2006.10204; names and order are those of MediaPipe's pose landmarks
BLAZEPOSE = build_skeleton(
    joints=(
        "nose",
        "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
        "left_ear", "right_ear", "mouth_left", "mouth_right",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_pinky", "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
        "left_heel", "right_heel", "left_foot_index", "right_foot_index",
    ),
    limbs=(
        ("left_shoulder", "right_shoulder"),
        ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
        ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
        ("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"), ("left_hip", "right_hip"),
        ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
        ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
        ("left_ankle", "left_foot_index"), ("right_ankle", "right_foot_index"),
        ("nose", "left_ear"), ("nose", "right_ear"),
        ("left_wrist", "left_index"), ("right_wrist", "right_index"),
    ),
)  # fmt: skip

# Lin et al. 2014, arXiv 1405.0312: keypoints of the category "person"; the limbs are those of its annotation files
COCO = build_skeleton(
    joints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    limbs=(
        ("left_ankle", "left_knee"), ("left_knee", "left_hip"), ("right_ankle", "right_knee"),
        ("right_knee", "right_hip"), ("left_hip", "right_hip"), ("left_shoulder", "left_hip"),
        ("right_shoulder", "right_hip"), ("left_shoulder", "right_shoulder"), ("left_shoulder", "left_elbow"),
        ("right_shoulder", "right_elbow"), ("left_elbow", "left_wrist"), ("right_elbow", "right_wrist"),
        ("left_eye", "right_eye"), ("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"),
        ("right_eye", "right_ear"), ("left_ear", "left_shoulder"), ("right_ear", "right_shoulder"),
    ),
)  # fmt: skip

# Cao et al. 2018, arXiv 1812.08008; order, limbs and colours as in OpenPose 1.7 (poseParametersRender.hpp), which
# gives a limb the colour of its second joint
BODY_25 = Skeleton(
    joints=(
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "right_eye", "left_eye", "right_ear", "left_ear",
        "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
    ),
    limbs=(
        (1, 8), (1, 2), (1, 5), (2, 3), (3, 4), (5, 6),
        (6, 7), (8, 9), (9, 10), (10, 11), (8, 12), (12, 13),
        (13, 14), (1, 0), (0, 15), (15, 17), (0, 16), (16, 18),
        (14, 19), (19, 20), (14, 21), (11, 22), (22, 23), (11, 24),
    ),
    colors=(
        (255, 0, 0), (255, 85, 0), (170, 255, 0), (255, 170, 0), (255, 255, 0), (85, 255, 0),
        (0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255),
        (0, 0, 255), (255, 0, 85), (255, 0, 170), (255, 0, 255), (170, 0, 255), (85, 0, 255),
        (0, 0, 255), (0, 0, 255), (0, 0, 255), (0, 255, 255), (0, 255, 255), (0, 255, 255),
    ),
)  # fmt: skip

SKELETONS: dict[str, Skeleton] = {"dancer": DANCER, "blazepose": BLAZEPOSE, "coco": COCO, "body_25": BODY_25}
