"""Reconstruction: the error ρ of every pixel, weighed by the pose, and summed or averaged over a frame.

A frame's reconstruction is Σ w ρ(x̂, x) over channels and pixels, or that divided by C·H·W, where the weights w of a
frame have the mean 1.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.image import structural_similarity_index_measure

Frames = Float[Tensor, "B S C H W"]
Reduction = Literal["sum", "mean"]

_ROWS = 64  # the picture height that lengths are given for


@runtime_checkable
class PixelError(Protocol):
    """ρ(x̂, x) of every channel of every pixel, of frames in [0, 1]."""

    @property
    def per_square(self) -> float | None:
        """c, where ρ = c · (x̂ − x)² for every error; None where there is no such c."""

    def __call__(self, predicted: Frames, target: Frames) -> Frames:
        """The error map."""


@dataclass(frozen=True, kw_only=True)
class SquaredError:
    """ρ = (x̂ − x)²: a Gaussian likelihood."""

    per_square = 1.0

    def __call__(self, predicted: Frames, target: Frames) -> Frames:
        """The error map."""
        return (predicted - target).square()


@dataclass(frozen=True, kw_only=True)
class AbsoluteError:
    """ρ = |x̂ − x|: a Laplace likelihood, which forgives large errors."""

    per_square = None

    def __call__(self, predicted: Frames, target: Frames) -> Frames:
        """The error map."""
        return (predicted - target).abs()


@dataclass(frozen=True, kw_only=True)
class Huber:
    """ρ = ½ e² up to |e| = delta, delta · (|e| − ½ delta) beyond (Huber 1964); e = x̂ − x.

    Args:
        delta: where the parabola becomes a line, in units of the frame's range [0, 1].

    Raises:
        ValueError: if ``delta`` is not positive.
    """

    delta: float = 0.1

    per_square = None

    def __post_init__(self) -> None:
        if self.delta <= 0:
            raise ValueError(f"reconstruction.error.delta must be > 0, got {self.delta}")

    def __call__(self, predicted: Frames, target: Frames) -> Frames:
        """The error map."""
        return functional.huber_loss(predicted, target, reduction="none", delta=self.delta)


@dataclass(frozen=True, kw_only=True)
class SsimMix:
    """ρ = alpha · (1 − SSIM) / 2 + (1 − alpha) · |x̂ − x|, in the manner of Zhao et al. 2017, arXiv 1511.08861.

    SSIM of every pixel from a Gaussian window of σ = 1.5 pixels, 11 wide, with data range 1; beyond the border, the
    picture is mirrored. It is computed in full precision: variances are small differences of squares.

    Args:
        alpha: the part of SSIM, 0 to 1; 0.84 in the paper.

    Raises:
        ValueError: if ``alpha`` is not in [0, 1]; when called, for frames with less than 6 rows or columns.
    """

    alpha: float = 0.84

    per_square = None

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"reconstruction.error.alpha must lie in [0, 1], got {self.alpha}")

    def __call__(self, predicted: Frames, target: Frames) -> Frames:
        """The error map."""
        if min(target.shape[-2:]) < 6:
            raise ValueError(f"reconstruction=ssim needs frames of at least 6x6 pixels, got {(*target.shape[-2:],)}")
        predicted = predicted.to(target.dtype)
        with torch.autocast(target.device.type, enabled=False):
            _, similarity = structural_similarity_index_measure(
                rearrange(predicted, "b s c h w -> (b s) c h w"), rearrange(target, "b s c h w -> (b s) c h w"),
                data_range=1.0, reduction="none", return_full_image=True,
            )  # fmt: skip
        dissimilarity = (1 - rearrange(similarity, "(b s) c h w -> b s c h w", s=target.shape[1])) / 2
        return self.alpha * dissimilarity + (1 - self.alpha) * (predicted - target).abs()


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """The error of every frame: ρ of its pixels, those near the drawn pose weighing more, summed or averaged.

    Args:
        error: ρ.
        pose_weight: how much more a pixel on the pose weighs than one far from it; see ``weigh_pixels``.
        pose_radius: how far from the drawn pose a pixel still weighs so, in pixels per 64 rows.

    Raises:
        ValueError: if ``pose_weight`` or ``pose_radius`` is negative.
    """

    error: PixelError = SquaredError()
    pose_weight: float = 0.0
    pose_radius: float = 2.0

    def __post_init__(self) -> None:
        for name in ("pose_weight", "pose_radius"):
            if getattr(self, name) < 0:
                raise ValueError(f"reconstruction.{name} must be >= 0, got {getattr(self, name)}")

    def __call__(
        self, predicted: Frames, target: Frames, poses: Float[Tensor, "B S P H W"], *, reduction: Reduction
    ) -> Float[Tensor, "B S"]:
        """Σ w ρ over channels and pixels, or that divided by C·H·W.

        Args:
            predicted: x̂, frames.
            target: x, true frames in [0, 1].
            poses: their pose maps in [0, 1].
            reduction: "sum" or "mean" over channels and pixels.
        """
        errors = self.error(predicted, target)
        if self.pose_weight > 0:
            radius = round(self.pose_radius * poses.shape[-2] / _ROWS)
            errors = errors * weigh_pixels(poses, weight=self.pose_weight, radius=radius).to(errors.dtype)
        return reduce(errors, "b s c h w -> b s", reduction)


def weigh_pixels(poses: Float[Tensor, "B S P H W"], *, weight: float, radius: int) -> Float[Tensor, "B S 1 H W"]:
    """Weights (1 + weight · mask) / mean(1 + weight · mask), of mean 1 over every frame.

    The mask is the pose map's brightest channel, widened by ``radius`` pixels to all sides: 1 on and near what is drawn
    in full colour, 0 where the map is black around.
    """
    brightest = reduce(poses, "b s p h w -> (b s) 1 h w", "max")
    mask = functional.max_pool2d(brightest, kernel_size=2 * radius + 1, stride=1, padding=radius)
    raw = 1 + weight * rearrange(mask, "(b s) 1 h w -> b s 1 h w", s=poses.shape[1])
    return raw / reduce(raw, "b s 1 h w -> b s 1 1 1", "mean")
