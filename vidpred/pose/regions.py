"""Regions of interest: rotated squares of a frame, cut out for a network and mapped back.

Coordinates here are continuous: a frame of width W spans 0 to W, and its first pixel's centre is at 1/2. In a region,
positions run from 0 to 1 along its own axes. With centre c, side s and rotation φ (y points down, so φ > 0 turns
clockwise on the screen), position (u, v) of the region lies at

    c + s · R(φ) · (u − 1/2, v − 1/2),    R(φ) = [[cos φ, −sin φ], [sin φ, cos φ]].
"""

import math
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num, UInt8
from numpy import ndarray as Array

Outside = Literal["zeros", "border"]


class Region(NamedTuple):
    """A rotated square of a frame."""

    x: float  # of the centre, in pixels
    y: float
    side: float  # in pixels
    rotation: float = 0.0  # in radians

    @property
    def box(self) -> Float[Array, " 4"]:
        """Left, top, right, bottom of the square without its rotation."""
        half = self.side / 2
        return np.array([self.x - half, self.y - half, self.x + half, self.y + half])


def upright_region(start: Float[Array, " 2"], end: Float[Array, " 2"], *, scale: float) -> Region:
    """The square around ``start`` in which ``end`` lies straight above it.

    Its side is 2 · scale · |end − start|, so that ``end`` is at (1/2, 1/2 − 1/(2 · scale)) of the region.
    """
    dx, dy = (float(d) for d in end - start)
    return Region(float(start[0]), float(start[1]), 2 * scale * math.hypot(dx, dy), math.atan2(dx, -dy))


def to_frame(points: Float[Array, "*N 2"], region: Region) -> Float[Array, "*N 2"]:
    """Map positions in a region, 0 to 1, to the frame's pixels."""
    return np.asarray((points - 0.5) @ (region.side * _rotation(region.rotation).T) + (region.x, region.y))


def crop(frame: UInt8[Array, "H W 3"], region: Region, size: int, *, outside: Outside) -> Float[Array, "size size 3"]:
    """Resample a region to a square picture, bilinearly, values in [0, 1].

    Where the region is k or more times larger than the picture, k ≥ 2 a whole number, the frame is first averaged over
    blocks of k × k pixels, so that no pixel is overlooked.

    Args:
        frame: what to cut from.
        region: where.
        size: side of the picture, in pixels.
        outside: what lies beyond the frame: "zeros" (black), or "border" (the nearest pixel of the frame).
    """
    block = max(1, min(int(region.side / size), *frame.shape[:2]))
    start, stop = _extent(region, frame.shape[:2], margin=2 * block)  # with the neighbours that interpolation looks at
    picture = _average(frame[start[1] : stop[1], start[0] : stop[0]], block)
    matrix = region.side / block * _rotation(region.rotation)
    shift = (np.array([region.x, region.y]) - start) / block - 0.5
    axis = (np.arange(size) + 0.5) / size - 0.5
    columns = (matrix[0, 0] * axis + shift[0])[None, :] + (matrix[0, 1] * axis)[:, None]
    rows = (matrix[1, 0] * axis + shift[1])[None, :] + (matrix[1, 1] * axis)[:, None]
    return np.asarray(_sample(picture, columns.astype(np.float32), rows.astype(np.float32), outside) / np.float32(255))


def _extent(region: Region, size: tuple[int, ...], *, margin: int) -> tuple[Int[Array, " 2"], Int[Array, " 2"]]:
    """First and last corner (x, y) of the part of a frame that a region covers; at least one pixel."""
    corners = to_frame(np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=float), region)
    limits = np.array([size[1], size[0]])
    start = np.clip(np.floor(corners.min(axis=0)).astype(int) - margin, 0, limits - 1)
    stop = np.clip(np.ceil(corners.max(axis=0)).astype(int) + margin, start + 1, limits)
    return start, stop


def _average(picture: UInt8[Array, "H W 3"], block: int) -> Num[Array, "h w 3"]:
    """Means of blocks of pixels; those that reach beyond the picture are filled with its last pixels."""
    if block == 1:
        return picture
    height, width = picture.shape[:2]
    whole = np.pad(picture, ((0, -height % block), (0, -width % block), (0, 0)), mode="edge")
    rows = whole.reshape(-1, block, whole.shape[1], 3).sum(axis=1, dtype=np.float32)
    return np.asarray(rows.reshape(len(rows), -1, block, 3).sum(axis=2) / np.float32(block * block))


def _sample(
    picture: Num[Array, "h w 3"], columns: Float[Array, "S S"], rows: Float[Array, "S S"], outside: Outside
) -> Float[Array, "S S 3"]:
    """Bilinear interpolation between pixel centres at whole numbers."""
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="constant" if outside == "zeros" else "edge")
    x, y = np.clip(columns, -1, width) + 1, np.clip(rows, -1, height) + 1
    left, top = np.minimum(x.astype(np.intp), width), np.minimum(y.astype(np.intp), height)
    right, down = (x - left).astype(np.float32), (y - top).astype(np.float32)
    pixels, first = padded.reshape(-1, 3), top * (width + 2) + left
    sampled = np.zeros((*columns.shape, 3), dtype=np.float32)
    for step, weight in (
        (0, (1 - right) * (1 - down)),
        (1, right * (1 - down)),
        (width + 2, (1 - right) * down),
        (width + 3, right * down),
    ):
        sampled += pixels.take(first + step, axis=0, mode="clip") * weight[..., None]
    return sampled


def _rotation(angle: float) -> Float[Array, "2 2"]:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])
