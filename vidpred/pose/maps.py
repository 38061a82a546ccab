"""Pose maps: what a network sees of the keypoints.

Lengths are in pixels per 64 rows: ``thickness=1.5`` is a line 1.5 pixels wide in a picture 64 pixels high and 6
pixels wide in one 256 high, so that maps of every size look alike. Joints that are missing (x or y not finite, or
confidence 0) are not drawn, nor are their limbs; what lies outside of the picture is cut off.
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray as Array

from vidpred.pose.drawing import draw_limbs
from vidpred.pose.keypoints import check_joints, present
from vidpred.pose.skeletons import Skeleton

_ROWS = 64  # the picture height that lengths are given for
_REACH = 3.6  # in σ: beyond, 255 · exp(−d² / 2σ²) rounds to 0


@runtime_checkable
class PoseMap(Protocol):
    """A way to draw keypoints as pictures of P channels."""

    def channels(self, skeleton: Skeleton) -> int:
        """P, the channels of a map of this skeleton."""
        ...

    def __call__(
        self, keypoints: Float[Array, "T J c"], skeleton: Skeleton, size: tuple[int, int]
    ) -> UInt8[Array, "T P H W"]:
        """Draw a map for every frame.

        Args:
            keypoints: x, y in pixels of a picture of this size, and maybe confidence.
            skeleton: whose joints they are.
            size: height and width of the maps.

        Raises:
            ValueError: if there are no frames, or not as many joints as in the skeleton.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Limbs:
    """Every limb as a line of its colour on black, P = 3: red, green, blue; see ``draw_limbs``.

    Args:
        thickness: width of a line, in pixels per 64 rows. Below 1 pixel lines turn darker.

    Raises:
        ValueError: if ``thickness`` is not positive.
    """

    thickness: float = 1.5

    def __post_init__(self) -> None:
        _check_length("thickness", self.thickness)

    def channels(self, skeleton: Skeleton) -> int:
        """P = 3, whatever the skeleton."""
        return 3

    def __call__(
        self, keypoints: Float[Array, "T J c"], skeleton: Skeleton, size: tuple[int, int]
    ) -> UInt8[Array, "T 3 H W"]:
        """Draw a map for every frame; see ``PoseMap``."""
        _check_drawing(keypoints, skeleton, size)
        return draw_limbs(keypoints, skeleton, size, thickness=self.thickness * size[0] / _ROWS)


@dataclass(frozen=True, kw_only=True)
class Heatmaps:
    """Every joint as a channel of its own, P = J: 255 · exp(−d² / 2σ²) at distance d from the joint.

    The confidence only tells missing joints; it does not scale the peak, since a dark map could not be told from one
    of a joint that lies between pixels, and estimators' scales differ.

    Args:
        sigma: σ in pixels per 64 rows.

    Raises:
        ValueError: if ``sigma`` is not positive.
    """

    sigma: float = 1.5

    def __post_init__(self) -> None:
        _check_length("sigma", self.sigma)

    def channels(self, skeleton: Skeleton) -> int:
        """P = J, one for each joint."""
        return len(skeleton.joints)

    def __call__(
        self, keypoints: Float[Array, "T J c"], skeleton: Skeleton, size: tuple[int, int]
    ) -> UInt8[Array, "T J H W"]:
        """Draw a map for every frame; see ``PoseMap``."""
        _check_drawing(keypoints, skeleton, size)
        sigma = self.sigma * size[0] / _ROWS
        x, y = keypoints[..., 0], keypoints[..., 1]
        maps = np.zeros((len(keypoints), len(skeleton.joints), *size), dtype=np.uint8)
        frame, joint = np.nonzero(present(keypoints) & _near(x, size[1], sigma) & _near(y, size[0], sigma))
        column, across = _bell(x[frame, joint], sigma)
        row, down = _bell(y[frame, joint], sigma)
        level = (255 * down[:, :, None] * across[:, None, :] + np.float32(0.5)).astype(np.uint8)
        pixel = ((frame * len(skeleton.joints) + joint)[:, None, None] * size[0] + row[:, :, None]) * size[1]
        pixel = pixel + column[:, None, :]
        inside = ((row >= 0) & (row < size[0]))[:, :, None] & ((column >= 0) & (column < size[1]))[:, None, :]
        maps.reshape(-1)[pixel[inside]] = level[inside]
        return maps


def _near(center: Float[Array, "T J"], pixels: int, sigma: float) -> Bool[Array, "T J"]:
    """Whether a bell at ``center`` reaches into a row or column."""
    return np.asarray((center > -_REACH * sigma) & (center < pixels + _REACH * sigma))


def _bell(center: Float[Array, " M"], sigma: float) -> tuple[Int[Array, "M n"], Float[Array, "M n"]]:
    """Pixels of a row or column up to ``_REACH`` σ from every center, and exp(−d² / 2σ²) there."""
    first = np.ceil(center - _REACH * sigma).astype(np.int64)
    pixel = first[:, None] + np.arange(math.floor(2 * _REACH * sigma) + 1)
    distance = (pixel - center[:, None]) / sigma
    return pixel, np.exp(-(distance**2) / 2).astype(np.float32)


def _check_length(name: str, length: float) -> None:
    if not (math.isfinite(length) and length > 0):
        raise ValueError(f"{name} must be > 0 pixels per {_ROWS} rows, got {length}")


def _check_drawing(keypoints: Float[Array, "T J c"], skeleton: Skeleton, size: tuple[int, int]) -> None:
    check_joints(keypoints, skeleton)
    if len(keypoints) == 0:
        raise ValueError(f"a pose map needs at least one frame, got keypoints of shape {keypoints.shape}")
    if min(size) < 1:
        raise ValueError(f"size must be (height, width) >= 1, got {size}")
