"""Anti-aliased capsules, and pose maps drawn with them.

A capsule is the set of points within a radius of a segment; with two radii it tapers. Its coverage of a pixel is
``clip(radius - distance + 1/2, 0, 1)``, distances in pixels between pixel centre and segment. All arrays are NumPy
and hold one capsule per frame (``rasterize_capsule``) or all capsules of all frames in one list
(``cover_capsules``), so that a whole clip is drawn by one call.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray as Array

from vidpred.pose.keypoints import check_joints, present
from vidpred.pose.skeletons import Skeleton

_CHUNK = 64  # frames drawn together: bounds the memory


class Stroke(NamedTuple):
    """One capsule per frame, rasterized in a window of N pixels that moves along with it."""

    pixels: Int[Array, "T N"]  # index of the window's pixels in a flattened (T, H, W) picture
    coverage: Float[Array, "T N"]  # share of the pixel that is covered, 0 to 1
    along: Float[Array, "T N"]  # position along the axis, in pixels from the start
    across: Float[Array, "T N"]  # signed distance from the axis in radii, beyond -1 and 1 outside


def rasterize_capsule(
    start: Float[Array, "T 2"],
    end: Float[Array, "T 2"],
    start_radius: Float[Array, " T"],
    end_radius: Float[Array, " T"],
    size: tuple[int, int],
) -> Stroke:
    """Rasterize a (tapered) capsule in every frame.

    Args:
        start: x, y of one end of the axis, in pixels; pixel centres lie at whole numbers.
        end: x, y of the other end.
        start_radius: radius at ``start``, in pixels.
        end_radius: radius at ``end``, in pixels.
        size: height and width of the picture; what lies outside is cut off.
    """
    limits = np.array([size[1], size[0]])
    radius = np.maximum(start_radius, end_radius)[:, None] + 1
    corner = np.floor(np.minimum(start, end) - radius).astype(int)
    extent = (np.ceil(np.maximum(start, end) + radius).astype(int) - corner + 1).max(axis=0)
    width, height = (int(pixels) for pixels in np.minimum(extent, limits))
    corner = np.clip(corner, 0, limits - (width, height))
    rows, columns = (axis.ravel() for axis in np.indices((height, width)))
    first = (np.arange(len(start)) * size[0] + corner[:, 1]) * size[1] + corner[:, 0]
    pixels = first[:, None] + (rows * size[1] + columns)

    start, axis = start - corner, end - start
    length = np.hypot(axis[:, 0], axis[:, 1])
    point = length < 1e-4  # an axis without a direction is drawn as a disc; any direction will do
    ux = np.where(point, 1, axis[:, 0] / np.maximum(length, 1e-4))
    uy = np.where(point, 0, axis[:, 1] / np.maximum(length, 1e-4))
    half = length / 2
    # (distance along the axis from its middle, distance across it) are affine in (x, y): one matrix product for all
    to_along = np.stack([ux, uy, -(start[:, 0] * ux + start[:, 1] * uy) - half], axis=1)
    to_across = np.stack([-uy, ux, start[:, 0] * uy - start[:, 1] * ux], axis=1)
    grid = np.stack([columns, rows, np.ones_like(rows)]).astype(np.float32)
    along = to_along.astype(np.float32) @ grid
    across = to_across.astype(np.float32) @ grid

    half = half.astype(np.float32)[:, None]
    beyond = np.abs(along)
    beyond -= half
    np.maximum(beyond, 0, out=beyond)
    beyond *= beyond
    beyond += across * across
    distance = np.sqrt(beyond, out=beyond)
    along += half
    local_radius = start_radius.astype(np.float32)[:, None]
    taper = ((end_radius - start_radius) / np.maximum(length, 1e-4)).astype(np.float32)[:, None]
    if np.any(taper):
        local_radius = local_radius + np.minimum(np.maximum(along, 0), 2 * half) * taper
    across /= local_radius
    coverage = np.subtract(local_radius + np.float32(0.5), distance, out=distance)
    np.minimum(np.maximum(coverage, 0, out=coverage), 1, out=coverage)
    return Stroke(pixels, coverage, along, across)


class Cover(NamedTuple):
    """The N pixels that many capsules cover, all in one list."""

    capsule: Int[Array, " N"]  # which capsule
    row: Int[Array, " N"]
    column: Int[Array, " N"]
    coverage: Float[Array, " N"]  # share of the pixel that is covered, above 0 and up to 1


def cover_capsules(
    start: Float[Array, "M 2"], end: Float[Array, "M 2"], *, radius: float, size: tuple[int, int]
) -> Cover:
    """Rasterize M capsules of one radius, touching no more pixels than the strips along their axes.

    Where ``rasterize_capsule`` looks at a window, this walks along the rows: in each, a capsule's pixels lie between
    two columns, known in closed form. Thin lines are drawn faster so, above all those that move.

    Args:
        start: x, y of one end of every axis, in pixels; pixel centres lie at whole numbers.
        end: x, y of the other end.
        radius: in pixels.
        size: height and width of the picture; what lies outside is cut off.
    """
    start, end = start.astype(np.float64), end.astype(np.float64)
    axis = end - start
    length = np.hypot(axis[:, 0], axis[:, 1])
    ux = np.divide(axis[:, 0], length, out=np.ones_like(length), where=length > 0)  # a point has any direction
    uy = np.divide(axis[:, 1], length, out=np.zeros_like(length), where=length > 0)
    reach = radius + 0.5
    low, high = np.minimum(start, end) - reach, np.maximum(start, end) + reach

    of_row, row = _whole_numbers(low[:, 1], high[:, 1], size[0])
    slope = np.where(np.abs(uy) < 1e-9, 1e-9, uy)[of_row]
    middle = start[of_row, 0] + (row - start[of_row, 1]) * ux[of_row] / slope
    half = reach / np.abs(slope)
    of_pixel, column = _whole_numbers(
        np.maximum(low[of_row, 0], middle - half), np.minimum(high[of_row, 0], middle + half), size[1]
    )
    capsule, row = of_row[of_pixel], row[of_pixel]

    dx, dy, ux, uy = column - start[capsule, 0], row - start[capsule, 1], ux[capsule], uy[capsule]
    along = dx * ux + dy * uy
    beyond = along - np.minimum(np.maximum(along, 0), length[capsule])
    coverage = reach - np.hypot(beyond, dy * ux - dx * uy)
    touched = np.flatnonzero(coverage > 0)
    return Cover(capsule[touched], row[touched], column[touched], np.minimum(coverage[touched], 1))


def draw_limbs(
    keypoints: Float[Array, "T J c"], skeleton: Skeleton, size: tuple[int, int], *, thickness: float
) -> UInt8[Array, "T 3 H W"]:
    """Draw every limb of a skeleton as a coloured line on black: the RGB pose map.

    Args:
        keypoints: x, y of every joint in pixels, and its confidence if there are three channels. Limbs of missing
            joints, see ``present``, are not drawn.
        skeleton: limbs and their colours; where two cross, the brighter channel value stays.
        size: height and width of the map.
        thickness: width of a line, in pixels.

    Raises:
        ValueError: if the number of joints is not the skeleton's, or ``thickness`` is not positive.
    """
    check_joints(keypoints, skeleton)
    if thickness <= 0:
        raise ValueError(f"thickness must be > 0, got {thickness}")
    drawn = np.zeros((len(keypoints), 3, *size), dtype=np.uint8)
    for first in range(0, len(keypoints), _CHUNK):
        _draw_frames(drawn[first : first + _CHUNK], keypoints[first : first + _CHUNK], skeleton, thickness)
    return drawn


def _draw_frames(
    drawn: UInt8[Array, "T 3 H W"], keypoints: Float[Array, "T J c"], skeleton: Skeleton, thickness: float
) -> None:
    limbs = np.array(skeleton.limbs, dtype=np.int64).reshape(-1, 2)
    colors = np.array(skeleton.colors, dtype=np.float32).reshape(-1, 3)
    frame, limb = np.nonzero(present(keypoints)[:, limbs].all(axis=2))
    start, end = keypoints[frame, limbs[limb, 0], :2], keypoints[frame, limbs[limb, 1], :2]
    height, width = drawn.shape[2:]
    cover = cover_capsules(start, end, radius=thickness / 2, size=(height, width))
    pixel = ((3 * frame[cover.capsule]) * height + cover.row) * width + cover.column
    color, coverage = limb[cover.capsule], cover.coverage.astype(np.float32)
    flat = drawn.reshape(-1)
    for channel in range(3):
        shade = (coverage * colors[color, channel] + np.float32(0.5)).astype(np.uint8)
        np.maximum.at(flat, pixel + channel * height * width, shade)


def _whole_numbers(
    low: Float[Array, " M"], high: Float[Array, " M"], limit: int
) -> tuple[Int[Array, " N"], Int[Array, " N"]]:
    """All whole numbers from 0 to limit − 1 in M intervals [low, high]: each one's interval, and the number."""
    first = np.clip(np.ceil(low), 0, limit).astype(np.int64)
    counts = np.maximum(np.clip(np.floor(high) + 1, 0, limit).astype(np.int64) - first, 0)
    interval = np.repeat(np.arange(len(low)), counts)
    return interval, np.arange(len(interval)) + np.repeat(first - np.cumsum(counts) + counts, counts)
