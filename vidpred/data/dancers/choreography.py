"""Choreography: a body's joints over time, in metres of a stage of unit body height.

The world has x to the right, y up and z towards the camera. Legs are posed by inverse kinematics from planted,
alternately stepping feet; arms by direction angles. Every angle is a smooth phrase value plus an oscillation on the
beat:

    q(t) = v(t) + a(t) sin(2 pi m f t + phase),

``v`` and ``a`` smoothstep between values drawn per phrase, ``f`` the beat and ``m`` in {1/2, 1, 2}.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.pose.skeletons import DANCER

JOINT = {name: index for index, name in enumerate(DANCER.joints)}


class Proportions(NamedTuple):
    """Lengths of a body, as fractions of its height."""

    hip_width: float
    shoulder_width: float
    spine: float
    neck: float
    upper_arm: float
    forearm: float
    thigh: float
    shank: float
    foot: float
    height: float  # of the whole body against the stage's unit


class Motion(NamedTuple):
    """What the choreography knows of a clip: joints and the direction that the body faces."""

    joints: Float[Array, "T J 3"]
    yaw: Float[Array, " T"]  # of the chest, radians, 0 faces the camera


# name: (low, high) of the phrase value and the largest amplitude of the beat's oscillation, radians or metres
_ANGLES: dict[str, tuple[float, float, float]] = {
    "sway_x": (-0.05, 0.05, 0.05),
    "sway_z": (-0.03, 0.03, 0.02),
    "squat": (0.00, 0.09, 0.035),
    "yaw": (-0.9, 0.9, 0.25),
    "twist": (-0.35, 0.35, 0.3),
    "lean_side": (-0.2, 0.2, 0.15),
    "lean_front": (-0.1, 0.3, 0.1),
    "tilt": (-0.2, 0.2, 0.2),
    "nod": (-0.1, 0.2, 0.15),
    "left_raise": (-1.25, 1.2, 0.55),
    "left_swing": (-0.4, 1.3, 0.4),
    "left_flex": (0.1, 1.9, 0.5),
    "left_pole": (-1.0, 1.2, 0.2),
    "right_raise": (-1.25, 1.2, 0.55),
    "right_swing": (-0.4, 1.3, 0.4),
    "right_flex": (0.1, 1.9, 0.5),
    "right_pole": (-1.0, 1.2, 0.2),
}
_TEMPOS = np.array([0.5, 1.0, 1.0, 1.0, 2.0])


def choreograph(rng: np.random.Generator, body: Proportions, frames: int, *, fps: float, reach: float) -> Motion:
    """Draw a dance.

    Args:
        rng: the clip's generator; a longer dance of the same generator state begins with the shorter one.
        body: the dancer's proportions.
        frames: number of frames T.
        fps: frames a second, which turns beats and phrases into frames.
        reach: how far from the middle of the stage the dancer may step, in metres.
    """
    time = np.arange(frames) / fps
    beat = rng.uniform(0.8, 1.35)
    feet_rng, angle_rng = rng.spawn(2)
    angles = _draw_angles(angle_rng, time, beat)
    left_foot, right_foot = _step(feet_rng, time * beat, reach)
    return _pose(body, angles, left_foot, right_foot)


def _draw_angles(rng: np.random.Generator, time: Float[Array, " T"], beat: float) -> dict[str, Float[Array, " T"]]:
    phrase = rng.uniform(1.6, 3.0)
    phases = rng.uniform(0, 2 * np.pi, len(_ANGLES))
    tempos = rng.choice(_TEMPOS, len(_ANGLES))
    position = time / phrase
    values = rng.random((int(position[-1]) + 2, 2, len(_ANGLES)))
    now = position.astype(int)
    blend = _smoothstep(position - now)[:, None, None]
    values = values[now] * (1 - blend) + values[now + 1] * blend
    angles = {}
    for column, (name, (low, high, amplitude)) in enumerate(_ANGLES.items()):
        wave = np.sin(2 * np.pi * tempos[column] * beat * time + phases[column])
        angles[name] = low + (high - low) * values[:, 0, column] + amplitude * values[:, 1, column] * wave
    return angles


def _step(
    rng: np.random.Generator, beats: Float[Array, " T"], reach: float
) -> tuple[Float[Array, "T 3"], Float[Array, "T 3"]]:
    """Planted feet that step in turn, one on each beat; x, lift and z of both."""
    now = beats.astype(int)
    total = int(now[-1]) + 2
    draws = rng.uniform(-1, 1, (total, 3))
    wander = np.clip(np.cumsum(draws[:, 0]) * 0.09, -reach, reach)
    progress = _smoothstep(np.clip((beats - now) * 1.7, 0, 1))
    feet = []
    for side, parity in ((-1, 0), (1, 1)):
        moves = (np.arange(total) % 2) == parity
        place = np.stack([wander + side * (0.09 + 0.06 * np.abs(draws[:, 1])), 0.09 * draws[:, 2]], axis=1)
        held = np.maximum.accumulate(np.where(moves, np.arange(total), 0))
        place = place[held]
        before = place[np.maximum(now - 1, 0)]
        flat = before + (place[now] - before) * progress[:, None]
        lift = np.where(moves[now], 0.07 * np.sin(np.pi * progress), 0.0)
        feet.append(np.stack([flat[:, 0], lift, flat[:, 1]], axis=1))
    return feet[0], feet[1]


def _pose(
    body: Proportions,
    angles: dict[str, Float[Array, " T"]],
    left_foot: Float[Array, "T 3"],
    right_foot: Float[Array, "T 3"],
) -> Motion:
    frames = len(angles["yaw"])
    joints = np.zeros((frames, len(JOINT), 3))
    up = np.broadcast_to([0.0, 1.0, 0.0], (frames, 3))
    right, front = _heading(angles["yaw"])
    ankle_height = 0.035

    center = (left_foot + right_foot) / 2
    pelvis = center + angles["sway_x"][:, None] * right + angles["sway_z"][:, None] * front
    leg = (body.thigh + body.shank) * 0.985
    # the higher of two straight legs bounds the pelvis, so that both feet stay on the ground
    bounds = []
    for side, foot in ((-1, left_foot), (1, right_foot)):
        hip = pelvis + side * body.hip_width / 2 * right
        flat = ((hip - foot)[:, [0, 2]] ** 2).sum(axis=1)
        bounds.append(np.sqrt(np.maximum(leg**2 - flat, 0.09)) + ankle_height)
    pelvis[:, 1] = np.minimum(*bounds) - np.maximum(angles["squat"], 0)

    for name, side, foot in (("left", -1, left_foot), ("right", 1, right_foot)):
        hip = pelvis + side * body.hip_width / 2 * right
        ankle = foot + ankle_height * up
        joints[:, JOINT[f"{name}_hip"]] = hip
        joints[:, JOINT[f"{name}_ankle"]] = ankle
        joints[:, JOINT[f"{name}_knee"]] = _bend(hip, ankle, body.thigh, body.shank, front + 0.25 * side * right)
        toe = unit_vector(front + 0.45 * side * right) * body.foot
        joints[:, JOINT[f"{name}_toe"]] = foot + toe + 0.012 * up

    chest_right, chest_front = _heading(angles["yaw"] + angles["twist"])
    lean = unit_vector(
        up + np.tan(angles["lean_side"])[:, None] * right + np.tan(angles["lean_front"])[:, None] * front
    )
    neck = pelvis + body.spine * lean
    tilt = unit_vector(
        lean + np.tan(angles["tilt"])[:, None] * chest_right + np.tan(angles["nod"])[:, None] * chest_front
    )
    joints[:, JOINT["pelvis"]] = pelvis
    joints[:, JOINT["neck"]] = neck
    joints[:, JOINT["head"]] = neck + body.neck * tilt

    across = unit_vector(chest_right - (chest_right * lean).sum(axis=1, keepdims=True) * lean)
    for name, side in (("left", -1), ("right", 1)):
        shoulder = neck - 0.035 * lean + side * body.shoulder_width / 2 * across
        raise_, swing, flex = (angles[f"{name}_{part}"][:, None] for part in ("raise", "swing", "flex"))
        upper = np.cos(raise_) * (np.cos(swing) * side * across + np.sin(swing) * chest_front) + np.sin(raise_) * lean
        pole = angles[f"{name}_pole"][:, None]
        towards = np.cos(pole) * chest_front + np.sin(pole) * lean
        towards = unit_vector(towards - (towards * upper).sum(axis=1, keepdims=True) * upper)
        flex = np.clip(flex, 0.05, 2.3)
        elbow = shoulder + body.upper_arm * upper
        joints[:, JOINT[f"{name}_shoulder"]] = shoulder
        joints[:, JOINT[f"{name}_elbow"]] = elbow
        joints[:, JOINT[f"{name}_wrist"]] = elbow + body.forearm * (np.cos(flex) * upper + np.sin(flex) * towards)
    return Motion(joints * body.height, angles["yaw"] + angles["twist"])


def _bend(
    root: Float[Array, "T 3"], tip: Float[Array, "T 3"], first: float, second: float, pole: Float[Array, "T 3"]
) -> Float[Array, "T 3"]:
    """The middle joint of a two-bone limb that bends towards ``pole`` (law of cosines)."""
    reach = tip - root
    length = np.clip(np.sqrt((reach**2).sum(axis=1, keepdims=True)), 1e-3, (first + second) * 0.999)
    axis = unit_vector(reach)
    cosine = np.clip((first**2 + length**2 - second**2) / (2 * first * length), -1, 1)
    pole = unit_vector(pole - (pole * axis).sum(axis=1, keepdims=True) * axis)
    middle: Array = root + first * (cosine * axis + np.sqrt(1 - cosine**2) * pole)
    return middle


def _heading(yaw: Float[Array, " T"]) -> tuple[Float[Array, "T 3"], Float[Array, "T 3"]]:
    """Unit vectors to the dancer's right (as seen from behind the camera) and front, for a heading."""
    zero = np.zeros_like(yaw)
    return np.stack([np.cos(yaw), zero, -np.sin(yaw)], 1), np.stack([np.sin(yaw), zero, np.cos(yaw)], 1)


def unit_vector(vector: Float[Array, "T 3"]) -> Float[Array, "T 3"]:
    """The direction of a vector."""
    direction: Array = vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)
    return direction


def _smoothstep(value: Float[Array, " T"]) -> Float[Array, " T"]:
    eased: Array = value * value * (3 - 2 * value)
    return eased
