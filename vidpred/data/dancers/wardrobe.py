"""A dancer's looks: proportions, skin, hair and clothes, and the body parts to paint for a pose."""

import colorsys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.data.dancers.choreography import JOINT, Motion, Proportions, unit_vector

Color = tuple[float, float, float]

HAIR_SEGMENTS = 4
_LENGTHS = {
    "hip_width": 0.15, "shoulder_width": 0.235, "spine": 0.31, "neck": 0.115, "upper_arm": 0.165, "forearm": 0.155,
    "thigh": 0.245, "shank": 0.245, "foot": 0.085,
}  # fmt: skip
_SKINS = ("f6d3bd", "eebd9c", "d9a07a", "b97d56", "94603f", "6b432d", "4c2f22")
_HAIRS = ("1d1713", "3a2417", "5f3b20", "93602e", "c79a52", "7a2f1c", "8b8680", "2b2f4a")
_EYE = (0.12, 0.09, 0.08)


class Look(NamedTuple):
    """One dancer's looks."""

    body: Proportions
    skin: Color
    hair: Color
    top: Color
    stripe: Color  # second colour of the top; the same as ``top`` where it is plain
    bottom: Color
    shoes: Color
    tail: Color  # of the ponytail or scarf
    long_sleeves: bool
    legwear: str  # "trousers", "shorts" or "skirt"
    scarf: bool  # hangs from the neck, otherwise a ponytail from the head
    tail_length: float


class Parts(NamedTuple):
    """Capsules to paint: N parts in T frames, in metres of the stage; higher ``depth`` is nearer to the camera."""

    start: Float[Array, "T N 3"]
    end: Float[Array, "T N 3"]
    start_radius: Float[Array, " N"]
    end_radius: Float[Array, " N"]
    color: Float[Array, "N 3"]
    stripe: Float[Array, "N 3"]
    stripes: Float[Array, " N"]  # number of stripes along the part; 0 is plain
    depth: Float[Array, "T N"]


def dress(rng: np.random.Generator) -> Look:
    """Draw a dancer."""
    scale = rng.normal(1.0, 0.05, len(_LENGTHS)).clip(0.9, 1.1)
    lengths = {name: float(length * factor) for (name, length), factor in zip(_LENGTHS.items(), scale, strict=True)}
    body = Proportions(**lengths, height=float(rng.uniform(0.92, 1.04)))
    hue = rng.random()
    top = _cloth(rng, hue)
    bottom = _cloth(rng, hue + rng.choice([0.08, 0.42, 0.5, 0.6]))
    striped = rng.random() < 0.5
    red, green, blue = top
    light_top = (0.35 * red + 0.6, 0.35 * green + 0.6, 0.35 * blue + 0.6)
    return Look(
        body=body,
        skin=_hex(_SKINS[rng.integers(len(_SKINS))]),
        hair=_hex(_HAIRS[rng.integers(len(_HAIRS))]),
        top=top,
        stripe=light_top if striped else top,
        bottom=bottom,
        shoes=_hsv(rng.random(), 0.5, rng.choice([0.25, 0.85])),
        tail=_cloth(rng, hue + 0.33) if (scarf := bool(rng.random() < 0.5)) else _hex(_HAIRS[rng.integers(4)]),
        long_sleeves=bool(rng.random() < 0.5),
        legwear=("trousers", "shorts", "skirt")[rng.integers(3)],
        scarf=scarf,
        tail_length=float(rng.uniform(0.3, 0.4)),
    )


def tail_root(look: Look, motion: Motion) -> Float[Array, "T 3"]:
    """Where the ponytail or scarf hangs: behind the head, or behind the neck."""
    front = np.stack([np.sin(motion.yaw), np.zeros_like(motion.yaw), np.cos(motion.yaw)], axis=1)
    joint = motion.joints[:, JOINT["neck" if look.scarf else "head"]]
    offset = np.array([0.0, 0.0, 0.0]) if look.scarf else np.array([0.0, 0.02, 0.0])
    root: Array = joint - (0.05 if look.scarf else 0.075) * front + offset
    return root


class _Capsule(NamedTuple):
    """One part of the body; lengths in units of the dancer's height."""

    start: Float[Array, "T 3"]
    end: Float[Array, "T 3"]
    radii: tuple[float, float]
    color: Color
    nearer: float = 0.0  # added to its depth
    stripe: Color | None = None  # colour of its stripes
    stripes: float = 0.0


class _Frame(NamedTuple):
    """Directions that belong to the body."""

    front: Float[Array, "T 3"]
    right: Float[Array, "T 3"]
    up: Float[Array, "T 3"]  # from neck to head


def body_parts(look: Look, motion: Motion, tail: Float[Array, "T M 3"]) -> Parts:
    """The dancer's capsules for every frame.

    Args:
        look: colours and clothes.
        motion: joints and heading.
        tail: points of the swinging ponytail or scarf.
    """
    joints = {name: motion.joints[:, number] for name, number in JOINT.items()}
    sine, cosine, zero = np.sin(motion.yaw), np.cos(motion.yaw), np.zeros_like(motion.yaw)
    frame = _Frame(
        front=np.stack([sine, zero, cosine], axis=1),
        right=np.stack([cosine, zero, -sine], axis=1),
        up=unit_vector(joints["head"] - joints["neck"]),
    )
    capsules = [
        *(capsule for side in ("left", "right") for capsule in _side(look, joints, frame, side)),
        *_trunk(look, joints),
        *_head(look, joints, frame),
        *_tail(look, joints, frame, tail),
    ]
    start, end, radii, color, nearer, stripe, stripes = zip(*capsules, strict=True)
    starts, ends = np.stack(start, axis=1), np.stack(end, axis=1)
    start_radius, end_radius = (look.body.height * np.array(values) for values in zip(*radii, strict=True))
    return Parts(
        start=starts, end=ends, start_radius=start_radius, end_radius=end_radius,
        color=np.array(color, dtype=np.float32),
        stripe=np.array([second or first for first, second in zip(color, stripe, strict=True)], dtype=np.float32),
        stripes=np.array(stripes, dtype=np.float32),
        depth=(starts[..., 2] + ends[..., 2]) / 2 + np.array(nearer),
    )  # fmt: skip


def _side(look: Look, joints: dict[str, Array], frame: _Frame, side: str) -> Iterator[_Capsule]:
    """Leg, half of the torso, and arm of one side."""
    shoulder, elbow, wrist, hip, knee, ankle, toe = (
        joints[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "toe")
    )
    sleeve = look.top if look.long_sleeves else look.skin
    yield _Capsule(hip, knee, (0.068, 0.048), look.skin if look.legwear == "skirt" else look.bottom, -0.01)
    yield _Capsule(knee, ankle, (0.046, 0.034), look.bottom if look.legwear == "trousers" else look.skin, -0.01)
    yield _Capsule(ankle - 0.012 * frame.front, toe, (0.034, 0.024), look.shoes)
    inner = shoulder + 0.2 * (joints["neck"] - shoulder) - np.array([0, 0.03, 0])
    waist = hip + 0.25 * (joints["pelvis"] - hip)
    stripes = 3.0 if look.stripe != look.top else 0.0
    yield _Capsule(inner, waist, (0.062, 0.058), look.top, stripe=look.stripe, stripes=stripes)
    yield _Capsule(shoulder, elbow, (0.042, 0.034), sleeve, 0.015)
    if not look.long_sleeves:
        yield _Capsule(shoulder, shoulder + 0.45 * (elbow - shoulder), (0.05, 0.044), look.top, 0.02)
    yield _Capsule(elbow, wrist, (0.034, 0.026), sleeve, 0.02)
    yield _Capsule(wrist, wrist + 0.15 * (wrist - elbow), (0.027, 0.026), look.skin, 0.021)


def _trunk(look: Look, joints: dict[str, Array]) -> Iterator[_Capsule]:
    """Shoulders, hips, and a skirt where one is worn."""
    drop = np.array([0, 0.012, 0])
    yield _Capsule(joints["left_shoulder"] - drop, joints["right_shoulder"] - drop, (0.04, 0.04), look.top)
    yield _Capsule(joints["left_hip"], joints["right_hip"], (0.066, 0.066), look.bottom, 0.012)
    if look.legwear == "skirt":
        pelvis, knees = joints["pelvis"], (joints["left_knee"] + joints["right_knee"]) / 2
        hem = pelvis + 0.62 * (knees - pelvis)
        yield _Capsule(pelvis + np.array([0, 0.03, 0]), hem, (0.075, 0.135), look.bottom, 0.07)


def _head(look: Look, joints: dict[str, Array], frame: _Frame) -> Iterator[_Capsule]:
    """Neck, face, hair and eyes."""
    neck, head = joints["neck"], joints["head"]
    front, right, up = frame
    yield _Capsule(neck - 0.02 * up, neck + 0.35 * (head - neck), (0.032, 0.03), look.skin, -0.02)
    yield _Capsule(head - 0.012 * up, head + 0.02 * up, (0.058, 0.062), look.skin)
    back, crown = head + 0.03 * up - 0.03 * front, head + 0.062 * up + 0.005 * front
    yield _Capsule(back, head - 0.01 * up - 0.035 * front, (0.066, 0.06), look.hair, -0.004)
    yield _Capsule(crown, head + 0.05 * up - 0.02 * front, (0.035, 0.05), look.hair, 0.012)
    for side in (-1, 1):
        eye = head + 0.05 * front + side * 0.024 * right + 0.002 * up
        yield _Capsule(eye, eye, (0.009, 0.009), _EYE, 0.005)


def _tail(look: Look, joints: dict[str, Array], frame: _Frame, tail: Array) -> Iterator[_Capsule]:
    """The swinging ponytail, or the scarf and its knot."""
    radii = np.linspace(0.036, 0.018, HAIR_SEGMENTS + 1).tolist()
    for index in range(HAIR_SEGMENTS):
        yield _Capsule(tail[:, index], tail[:, index + 1], (radii[index], radii[index + 1]), look.tail, -0.01)
    if look.scarf:
        knot, half = joints["neck"] + 0.2 * (joints["head"] - joints["neck"]), 0.02 * frame.front
        yield _Capsule(knot - half, knot + half, (0.042, 0.042), look.tail, 0.01)


def _cloth(rng: np.random.Generator, hue: float) -> Color:
    return _hsv(hue + 0.03 * rng.standard_normal(), rng.uniform(0.35, 0.85), rng.uniform(0.4, 0.95))


def _hsv(hue: float, saturation: float, value: float) -> Color:
    return colorsys.hsv_to_rgb(hue % 1, saturation, value)


def _hex(text: str) -> Color:
    red, green, blue = bytes.fromhex(text)
    return red / 255, green / 255, blue / 255
