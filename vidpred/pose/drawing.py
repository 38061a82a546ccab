"""Anti-aliased capsules, and pose maps drawn with them.

A capsule is the set of points within a radius of a segment; with two radii it tapers. Its coverage of a pixel is
``clip(radius - distance + 1/2, 0, 1)``, distances in pixels between pixel centre and segment. All arrays are NumPy
and hold one capsule per frame, so that a whole clip is drawn by one call.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray as Array

from vidpred.pose.skeletons import Skeleton


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


def draw_limbs(
    keypoints: Float[Array, "T J 2"], skeleton: Skeleton, size: tuple[int, int], *, thickness: float
) -> UInt8[Array, "T 3 H W"]:
    """Draw every limb of a skeleton as a coloured line on black: the RGB pose map.

    Args:
        keypoints: x, y of every joint in pixels.
        skeleton: limbs and their colours, drawn in order; where two cross, the brighter channel value stays.
        size: height and width of the map.
        thickness: width of a line, in pixels.

    Raises:
        ValueError: if the number of joints is not the skeleton's, or ``thickness`` is not positive.
    """
    if keypoints.shape[1] != len(skeleton.joints):
        raise ValueError(f"expected {len(skeleton.joints)} joints as in the skeleton, got {keypoints.shape[1]}")
    if thickness <= 0:
        raise ValueError(f"thickness must be > 0, got {thickness}")
    radius = np.full(len(keypoints), thickness / 2, dtype=np.float32)
    channels = [np.zeros((len(keypoints), *size), dtype=np.uint8) for _ in range(3)]
    for (first, second), color in zip(skeleton.limbs, skeleton.colors, strict=True):
        stroke = rasterize_capsule(keypoints[:, first], keypoints[:, second], radius, radius, size)
        for channel, level in zip(channels, color, strict=True):
            if level:
                shade = (stroke.coverage * np.float32(level) + np.float32(0.5)).astype(np.uint8)
                flat = channel.reshape(-1)
                flat[stroke.pixels] = np.maximum(flat[stroke.pixels], shade)
    return np.stack(channels, axis=1)
