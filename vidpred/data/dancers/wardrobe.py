"""A dancer's looks: proportions, skin, hair and clothes, and the body parts to paint for a pose."""

import colorsys
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


def body_parts(look: Look, motion: Motion, tail: Float[Array, "T M 3"]) -> Parts:
    """The dancer's capsules for every frame.

    Args:
        look: colours and clothes.
        motion: joints and heading.
        tail: points of the swinging ponytail or scarf.
    """
    joints = motion.joints
    front = np.stack([np.sin(motion.yaw), np.zeros_like(motion.yaw), np.cos(motion.yaw)], axis=1)
    right = np.stack([np.cos(motion.yaw), np.zeros_like(motion.yaw), -np.sin(motion.yaw)], axis=1)
    rows: list[tuple[Array, Array, float, float, Color, Color, float, float]] = []

    def add(
        start: Array, end: Array, radii: tuple[float, float], color: Color, *,
        stripe: Color | None = None, stripes: float = 0, nearer: float = 0.0,
    ) -> None:  # fmt: skip
        rows.append((start, end, *radii, color, stripe or color, stripes, nearer))

    neck, head, pelvis = (joints[:, JOINT[name]] for name in ("neck", "head", "pelvis"))
    sleeve = look.top if look.long_sleeves else look.skin
    leg = look.bottom if look.legwear == "trousers" else look.skin
    thigh = look.skin if look.legwear == "skirt" else look.bottom
    stripes = 3.0 if look.stripe != look.top else 0.0
    shoulders = []
    for side in ("left", "right"):
        shoulder, elbow, wrist, hip, knee, ankle, toe = (
            joints[:, JOINT[f"{side}_{name}"]] for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "toe")
        )
        shoulders.append(shoulder)
        add(hip, knee, (0.068, 0.048), thigh, nearer=-0.01)
        add(knee, ankle, (0.046, 0.034), leg, nearer=-0.01)
        add(ankle - 0.012 * front, toe, (0.034, 0.024), look.shoes)
        inner = shoulder + 0.2 * (neck - shoulder) - np.array([0, 0.03, 0])
        add(inner, hip + 0.25 * (pelvis - hip), (0.062, 0.058), look.top, stripe=look.stripe, stripes=stripes)
        add(shoulder, elbow, (0.042, 0.034), look.top if look.long_sleeves else look.skin, nearer=0.015)
        if not look.long_sleeves:
            add(shoulder, shoulder + 0.45 * (elbow - shoulder), (0.05, 0.044), look.top, nearer=0.02)
        add(elbow, wrist, (0.034, 0.026), sleeve, nearer=0.02)
        hand = wrist + 0.15 * (wrist - elbow)
        add(wrist, hand, (0.027, 0.026), look.skin, nearer=0.021)
    left, right_shoulder = shoulders
    add(left - np.array([0, 0.012, 0]), right_shoulder - np.array([0, 0.012, 0]), (0.04, 0.04), look.top)
    hips = [joints[:, JOINT[f"{side}_hip"]] for side in ("left", "right")]
    add(hips[0], hips[1], (0.066, 0.066), look.bottom, nearer=0.012)
    if look.legwear == "skirt":
        knees = (joints[:, JOINT["left_knee"]] + joints[:, JOINT["right_knee"]]) / 2
        add(pelvis + np.array([0, 0.03, 0]), pelvis + 0.62 * (knees - pelvis), (0.075, 0.135), look.bottom, nearer=0.07)
    up = unit_vector(head - neck)
    add(neck - 0.02 * up, neck + 0.35 * (head - neck), (0.032, 0.03), look.skin, nearer=-0.02)
    add(head - 0.012 * up, head + 0.02 * up, (0.058, 0.062), look.skin)
    add(head + 0.03 * up - 0.03 * front, head - 0.01 * up - 0.035 * front, (0.066, 0.06), look.hair, nearer=-0.004)
    add(head + 0.062 * up + 0.005 * front, head + 0.05 * up - 0.02 * front, (0.035, 0.05), look.hair, nearer=0.012)
    eye = (0.12, 0.09, 0.08)
    for side_sign in (-1, 1):
        spot = head + 0.05 * front + side_sign * 0.024 * right + 0.002 * up
        add(spot, spot, (0.009, 0.009), eye, nearer=0.005)
    taper = np.linspace(0.036, 0.018, HAIR_SEGMENTS + 1)
    for index in range(HAIR_SEGMENTS):
        radii = (float(taper[index]), float(taper[index + 1]))
        add(tail[:, index], tail[:, index + 1], radii, look.tail, nearer=-0.01)
    if look.scarf:
        add(neck + 0.2 * (head - neck) - 0.02 * front, neck + 0.2 * (head - neck) + 0.02 * front, (0.042, 0.042),
            look.tail, nearer=0.01)  # fmt: skip

    start, end, start_radius, end_radius, color, stripe, count, nearer = zip(*rows, strict=True)
    starts, ends = np.stack(start, axis=1), np.stack(end, axis=1)
    height = look.body.height
    return Parts(
        start=starts, end=ends,
        start_radius=np.array(start_radius) * height, end_radius=np.array(end_radius) * height,
        color=np.array(color, dtype=np.float32), stripe=np.array(stripe, dtype=np.float32),
        stripes=np.array(count, dtype=np.float32),
        depth=(starts[..., 2] + ends[..., 2]) / 2 + np.array(nearer),
    )  # fmt: skip


def _cloth(rng: np.random.Generator, hue: float) -> Color:
    return _hsv(hue + 0.03 * rng.standard_normal(), rng.uniform(0.35, 0.85), rng.uniform(0.4, 0.95))


def _hsv(hue: float, saturation: float, value: float) -> Color:
    return colorsys.hsv_to_rgb(hue % 1, saturation, value)


def _hex(text: str) -> Color:
    red, green, blue = bytes.fromhex(text)
    return red / 255, green / 255, blue / 255
