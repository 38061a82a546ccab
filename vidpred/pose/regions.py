"""Regions of interest: rotated squares of a frame, cut out for a network and mapped back.

Coordinates here are continuous: a frame of width W spans 0 to W, and its first pixel's centre is at 1/2. In a region,
positions run from 0 to 1 along its own axes. With centre c, side s and rotation φ (y points down, so φ > 0 turns
clockwise on the screen), position (u, v) of the region lies at

    c + s · R(φ) · (u − 1/2, v − 1/2),    R(φ) = [[cos φ, −sin φ], [sin φ, cos φ]].
"""

import math
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy import ndarray as Array
from torch.nn import functional

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
    corners = to_frame(np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=float), region)
    block = max(1, min(int(region.side / size), *frame.shape[:2]))
    limits = np.array([frame.shape[1], frame.shape[0]])
    margin = 2 * block  # the neighbours that interpolation looks at
    start = np.clip(np.floor(corners.min(axis=0)).astype(int) - margin, 0, limits - 1)
    stop = np.clip(np.ceil(corners.max(axis=0)).astype(int) + margin, start + 1, limits)
    window = np.ascontiguousarray(frame[start[1] : stop[1], start[0] : stop[0]].transpose(2, 0, 1))
    picture = torch.from_numpy(window)[None].float() / 255
    if block > 1:
        picture = functional.avg_pool2d(picture, block, ceil_mode=True, count_include_pad=False)
    extent = block * np.array([picture.shape[3], picture.shape[2]])
    matrix = torch.from_numpy(_affine(region, start, extent))[None]
    grid = functional.affine_grid(matrix, [1, 3, size, size], align_corners=False)
    sampled = functional.grid_sample(picture, grid, mode="bilinear", padding_mode=outside, align_corners=False)
    return np.ascontiguousarray(sampled[0].numpy().transpose(1, 2, 0))


def _affine(region: Region, start: Int[Array, " 2"], extent: Int[Array, " 2"]) -> Float[Array, "2 3"]:
    """From the region's axes to those of a window that begins at ``start``, both −1 to 1, as torch has them."""
    turned = region.side * _rotation(region.rotation)
    shift = 2 * (np.array([region.x, region.y]) - start)
    matrix = np.column_stack([turned, shift]) / extent[:, None]
    matrix[:, 2] -= 1
    return np.asarray(matrix, dtype=np.float32)


def _rotation(angle: float) -> Float[Array, "2 2"]:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])
