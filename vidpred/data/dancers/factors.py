"""What the pose does not tell: wind in the hair, light that changes, a ball that is kicked.

Each factor starts at rest in the first frame, is driven by random innovations of its own, and has a strength. At
strength 0 the innovations vanish: the light is constant, the ball lies still, and hair swings with the body alone.
``F`` counts futures of one clip: drawings with the same first frame and poses.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array


class Strengths(NamedTuple):
    """Strength of every random factor; 0 switches one off, 1 is the default."""

    light: float = 1.0
    wind: float = 1.0
    ball: float = 1.0


class Factors(NamedTuple):
    """The ground truth of the random factors, per future and frame."""

    light: Float[Array, "F T 3"]  # gain of red, green and blue
    wind: Float[Array, "F T 2"]  # force on the hair along x and z, in metres per second squared
    ball: Float[Array, "F T 2"]  # x and height of the ball's centre, in metres


BALL_RADIUS = 0.075
_GRAVITY = 9.81


def draw_factors(
    rngs: list[np.random.Generator], frames: int, *, fps: float, strengths: Strengths, ball_start: float, reach: float
) -> Factors:
    """Draw the factors of one clip, one future per generator.

    Args:
        rngs: one generator per future.
        frames: number of frames T.
        fps: frames a second.
        strengths: strength of every factor.
        ball_start: where the ball lies in the first frame, metres from the middle.
        reach: where the walls are that the ball bounces off, metres from the middle.
    """
    pairs = [rng.spawn(2) for rng in rngs]  # one for each, so that a longer clip begins with the shorter one
    draws = np.stack([first.standard_normal((frames, 6)) for first, _ in pairs])
    chances = np.stack([second.random((frames, 3)) for _, second in pairs])
    return Factors(
        light=_light(draws[..., :2], chances[..., 0], fps, strengths.light),
        wind=_wind(draws[..., 2:4], chances[..., 1], fps, strengths.wind),
        ball=_ball(draws[..., 4:], chances[..., 2], fps, strengths.ball, ball_start, reach),
    )


def _light(
    draws: Float[Array, "F T 2"], chances: Float[Array, "F T"], fps: float, strength: float
) -> Float[Array, "F T 3"]:
    """Brightness and warmth jump to new levels at random moments (0.8 a second) and settle within 0.15 s."""
    levels = draws * np.array([0.14, 0.05]) * strength
    jumps = chances < 0.8 / fps
    jumps[:, 0] = False
    held = np.maximum.accumulate(np.where(jumps, np.arange(draws.shape[1]), 0), axis=1)
    target = np.where((held > 0)[..., None], np.take_along_axis(levels, held[..., None], axis=1), 0.0)
    keep = np.exp(-1 / (0.15 * fps))
    level = np.zeros_like(target)
    for frame in range(1, target.shape[1]):
        level[:, frame] = keep * level[:, frame - 1] + (1 - keep) * target[:, frame]
    brightness, warmth = level[..., 0], level[..., 1]
    gain: Array = np.clip(1 + np.stack([brightness + warmth, brightness, brightness - warmth], axis=-1), 0.5, 1.5)
    return gain


def _wind(
    draws: Float[Array, "F T 2"], chances: Float[Array, "F T"], fps: float, strength: float
) -> Float[Array, "F T 2"]:
    """Gusts start at random moments (0.8 a second) and die away with a time constant of 0.5 s."""
    gusts = draws * (chances < 0.8 / fps)[..., None] * np.array([12.0, 6.0]) * strength
    gusts[:, 0] = 0
    keep = np.exp(-1 / (0.5 * fps))
    wind: Array = np.zeros_like(gusts)
    for frame in range(1, gusts.shape[1]):
        wind[:, frame] = keep * wind[:, frame - 1] + gusts[:, frame]
    return wind


def _ball(
    draws: Float[Array, "F T 2"],
    chances: Float[Array, "F T"],
    fps: float,
    strength: float,
    start: float,
    reach: float,
) -> Float[Array, "F T 2"]:
    """A ball under gravity, kicked at random moments (0.7 a second), that bounces off floor and walls."""
    futures, frames = chances.shape
    kicks = (chances < 0.7 / fps) & (strength > 0)
    x, y = np.full(futures, start), np.full(futures, BALL_RADIUS)
    vx, vy = np.zeros(futures), np.zeros(futures)
    path = np.empty((futures, frames, 2))
    substeps = 2
    dt = 1 / (fps * substeps)
    resting = -2.5 * _GRAVITY * dt  # slower than gravity makes it while it lies
    for frame in range(frames):
        if frame:
            kick = kicks[:, frame]
            vx = np.where(kick, draws[:, frame, 0] * 0.9 * strength, vx)
            vy = np.where(kick, (2.0 + np.abs(draws[:, frame, 1])) * strength**0.5, vy)
            for _ in range(substeps):
                x, y = x + vx * dt, y + vy * dt
                vy = vy - _GRAVITY * dt
                bounce = y < BALL_RADIUS
                y = np.where(bounce, BALL_RADIUS, y)
                vy = np.where(bounce, np.where(vy < resting, -0.72 * vy, 0.0), vy)
                vx = np.where(bounce, 0.96 * vx, vx)
                wall = np.abs(x) > reach
                x = np.clip(x, -reach, reach)
                vx = np.where(wall, -0.8 * vx, vx)
        path[:, frame, 0], path[:, frame, 1] = x, y
    return path


def swing_hair(
    root: Float[Array, "T 3"], wind: Float[Array, "F T 2"], *, segments: int, length: float, fps: float
) -> Float[Array, "F T N 3"]:
    """Points of a hanging chain (a ponytail, a scarf) whose root follows the body.

    Every segment is a damped pendulum in two planes, driven by the root's acceleration, the wind and the segment above:
    angle'' = -k (angle - 0.8 angle above) - c angle' + (wind - root'') / segment length.

    Args:
        root: where the chain hangs.
        wind: force of the wind along x and z; zero leaves the swing that the dance itself causes.
        segments: number of segments N - 1.
        length: of the whole chain, metres.
        fps: frames a second.
    """
    futures, frames, _ = wind.shape
    flat = root[:, [0, 2]]
    pull = np.zeros((frames, 2))
    pull[2:] = (flat[2:] - 2 * flat[1:-1] + flat[:-2]) * fps**2  # of the past, so that no frame knows the next
    force = (np.clip(wind, -25, 25) - np.clip(pull, -12, 12)) * (0.5 / length)
    weight = np.linspace(0.6, 1.3, segments)
    angle, speed = np.zeros((futures, 2, segments)), np.zeros((futures, 2, segments))
    above = np.zeros_like(angle)
    angles = np.empty((frames, futures, 2, segments))
    substeps = 2
    dt = 1 / (fps * substeps)
    for frame in range(frames):
        if frame:
            drive = force[:, frame, :, None] * weight
            for _ in range(substeps):
                above[..., 1:] = 0.8 * angle[..., :-1]
                speed = (speed + dt * (drive - 70.0 * (angle - above))) * np.exp(-5.0 * dt)
                angle = np.clip(angle + dt * speed, -1.9, 1.9)
        angles[frame] = angle
    sideways, forward = np.moveaxis(angles, 2, 0)
    step = np.stack([np.sin(sideways), -np.cos(sideways) * np.cos(forward), np.sin(forward)], axis=-1)
    step = np.moveaxis(step, 0, 1) * (length / segments)
    chain = np.concatenate([np.zeros_like(step[:, :, :1]), np.cumsum(step, axis=2)], axis=2)
    points: Array = root[None, :, None] + chain
    return points
