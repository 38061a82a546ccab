"""The room that the dancer is in: wall, skirting board, floor, and the light that falls on them.

Everything in it repeats or varies smoothly, so that what the dancer hides can be inferred from what is seen.
"""

import colorsys
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array


class Camera(NamedTuple):
    """Orthographic camera that looks down a little: metres of the stage to pixels."""

    scale: float  # pixels a metre
    center: float  # column of x = 0
    ground: float  # row of y = 0, z = 0
    tilt: float  # rows (in metres) that a point sinks when it comes one metre nearer

    def project(self, points: Float[Array, "*N 3"]) -> Float[Array, "*N 2"]:
        """Columns and rows of points."""
        x = self.center + self.scale * points[..., 0]
        y = self.ground - self.scale * (points[..., 1] - self.tilt * points[..., 2])
        return np.stack([x, y], axis=-1)


class Room(NamedTuple):
    """The still picture behind the dancer, and where the light comes from."""

    backdrop: Float[Array, "3 H W"]
    light: float  # direction of the light along x, -1 (left) to 1 (right)
    ball: tuple[float, float, float]
    ball_start: float


def set_camera(height: int, width: int) -> Camera:
    """The camera that shows a dancer of unit height with some air, whatever the aspect of the picture."""
    scale = min(height / 1.28, width / 0.98)
    ground = height / 2 + 0.53 * scale
    return Camera(scale=scale, center=(width - 1) / 2, ground=ground, tilt=0.2)


def furnish(rng: np.random.Generator, camera: Camera, size: tuple[int, int], reach: float) -> Room:
    """Draw a room.

    Args:
        rng: the clip's generator.
        camera: where the dancer stands in the picture.
        size: height and width.
        reach: how far from the middle the ball may lie, in metres.
    """
    height, width = size
    x = (np.arange(width) - camera.center)[None, :] / camera.scale
    y = (camera.ground - np.arange(height))[:, None] / camera.scale  # metres above the dancer's feet
    light = float(rng.uniform(-1, 1))
    hue = rng.random()
    wall = _color(hue, rng.uniform(0.08, 0.38), rng.uniform(0.5, 0.9))
    floor = _color(rng.choice([0.07, 0.09, 0.6, hue]), rng.uniform(0.15, 0.5), rng.uniform(0.3, 0.65))
    horizon = 0.13

    kind = rng.integers(4)
    period = rng.uniform(0.14, 0.32)
    offset = rng.random() * period
    contrast = rng.uniform(0.03, 0.1)
    stripes = _wave(x - offset, period, camera) + 0 * y
    pattern = (
        stripes,
        _wave(x - offset, period, camera) * _wave(y - offset, period, camera),
        _wave(x + y - offset, period, camera),
        np.where(y < 0.62, stripes, 0.6),
    )[kind]
    panel = wall[:, None, None] * (1 + contrast * pattern)
    depth = np.clip((horizon - y) / 0.3, 0, 1.2)
    planks = _wave(x / (1 + 0.5 * depth), 0.24, camera) * 0.045 - 0.16 * (1 - np.clip(depth, 0, 1))
    ground = floor[:, None, None] * (1 + planks)
    board = np.clip((y - horizon) * camera.scale + 0.5, 0, 1)
    trim = np.clip((y - horizon - 0.045) * camera.scale + 0.5, 0, 1)
    picture = ground * (1 - board) + (0.55 * wall[:, None, None] + 0.4) * (board - trim) + panel * trim

    fall = 1 + 0.12 * light * x / 0.6 - 0.10 * (x / 0.6) ** 2 + 0.1 * np.clip(y - 0.3, -1, 1)
    picture = np.clip(picture * fall, 0.02, 0.98)
    ball = _color(hue + 0.5, 0.75, 0.9)
    side = rng.choice([-1, 1])
    return Room(
        backdrop=picture.astype(np.float32),
        light=light,
        ball=(float(ball[0]), float(ball[1]), float(ball[2])),
        ball_start=float(side * rng.uniform(0.55, 0.9) * reach),
    )


def _wave(position: Float[Array, "H W"], period: float, camera: Camera) -> Float[Array, "H W"]:
    """A square wave whose edges are one pixel soft."""
    soft = np.sin(2 * np.pi * position / period) * camera.scale * period / np.pi
    return np.clip(soft, -1, 1)


def _color(hue: float, saturation: float, value: float) -> Float[Array, " 3"]:
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))
