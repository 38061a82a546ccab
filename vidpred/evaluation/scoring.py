"""Scores of predicted frames against true ones, under a protocol."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from vidpred.metrics import (
    MS_SSIM_SIZE,
    SSIM_SIZE,
    average,
    mean_squared_error,
    moving_pixels,
    ms_ssim,
    psnr,
    psnr_of_error,
    ssim_map,
)
from vidpred.metrics.lpips import Lpips
from vidpred.metrics.protocol import Protocol

Scores = dict[str, Float[Tensor, "R s"]]
METRICS = ("psnr", "ssim", "ms_ssim", "mse", "mae", "lpips")
REGIONS = ("inside", "outside")
LARGER_IS_BETTER = {
    f"{metric}{region}": metric in ("psnr", "ssim", "ms_ssim")
    for region in ("", *(f"_{region}" for region in REGIONS))
    for metric in METRICS
}
_LPIPS_SIZE = 32  # smallest side that AlexNet's strides leave something of
_LIMB_RADIUS = 3  # pixels around a pose map's marks, per 64 rows


@dataclass(frozen=True)
class Scorer:
    """Scores frames: PSNR, SSIM, MS-SSIM, MSE, MAE and LPIPS, and all but MS-SSIM inside and outside of a mask too.

    MS-SSIM has no value at a pixel: its coarsest window is as large as the frame. SSIM and LPIPS count in a region as
    the mean of their maps over its pixels, although a window there sees some pixels beyond. A value that is not finite
    counts as the worst that its pixel can have: it is never dropped.

    Args:
        protocol: says how.
        lpips: the perceptual metric; None leaves it out.
        metrics: those wanted, with their regions.
    """

    protocol: Protocol
    lpips: Lpips | None = None
    metrics: Collection[str] = METRICS

    def __call__(
        self,
        predicted: Float[Tensor, "R s C H W"],
        target: Float[Tensor, "R s C H W"],
        poses: Float[Tensor, "R s P H W"],
        context: Float[Tensor, "R C H W"],
    ) -> Scores:
        """Every metric of every frame that its size allows.

        Args:
            predicted: frames, as the model gives them.
            target: true frames in [0, 1].
            poses: pose maps of the same frames.
            context: the last context frame.

        Raises:
            ValueError: if true frames leave [0, 1].
        """
        check_range(target)
        frames = self.clean(predicted, target)
        missing = self.missing(*frames.shape[-2:])
        wanted = {name for name in self.metrics if name not in missing}
        moving = self.protocol.mask == "moving"
        inside = moving_pixels(target, context) if moving else limb_pixels(poses)
        maps = self._maps(frames, target, wanted)
        scores = {name: average(values) for name, values in maps.items()}
        for region, pixels in zip(REGIONS, (inside, ~inside), strict=True):
            scores |= {f"{name}_{region}": average(values, pixels) for name, values in maps.items()}
            if "psnr" in wanted:
                error = mean_squared_error(frames, target, pixels)
                scores[f"psnr_{region}"] = psnr_of_error(error, data_range=1.0)
        if "psnr" in wanted:
            scores["psnr"] = psnr(frames, target, data_range=1.0, per_channel=self.protocol.per_channel)
        if "ms_ssim" in wanted:
            scores["ms_ssim"] = ms_ssim(frames, target, data_range=1.0)
        return scores

    def _maps(
        self, frames: Float[Tensor, "R s C H W"], target: Float[Tensor, "R s C H W"], wanted: Collection[str]
    ) -> dict[str, Float[Tensor, "R s _ _ _"]]:
        """The metrics that have a value at every pixel."""
        maps = {}
        if "mse" in wanted:
            maps["mse"] = (frames - target).square()
        if "mae" in wanted:
            maps["mae"] = (frames - target).abs()
        if "ssim" in wanted:
            span, window = self.protocol.ssim_range, self.protocol.ssim_window
            maps["ssim"] = ssim_map(frames, target, data_range=span, window=window)
        if "lpips" in wanted and self.lpips is not None:
            maps["lpips"] = self.lpips(frames, target)
        return maps

    def missing(self, height: int, width: int) -> dict[str, str]:
        """Metrics that frames of a size are too small for, and why."""
        sizes = {"ssim": SSIM_SIZE[self.protocol.ssim_window], "ms_ssim": MS_SSIM_SIZE}
        sizes |= {"lpips": _LPIPS_SIZE} if self.lpips is not None else {}
        return {name: f"{name.upper().replace('_', '-')} is left out: it needs frames of {size}x{size} pixels, these "
                      f"have {height}x{width}."
                for name, size in sizes.items() if min(height, width) < size}  # fmt: skip

    def clean(
        self, predicted: Float[Tensor, "R s C H W"], target: Float[Tensor, "R s C H W"]
    ) -> Float[Tensor, "R s C H W"]:
        """Predictions in [0, 1], in 256 levels where the protocol says so; what is not finite is as wrong as can be."""
        worst = (target < 0.5).to(target.dtype)
        frames = torch.where(predicted.isfinite(), predicted.to(target.dtype), worst).clamp(0, 1)
        return (255 * frames).round() / 255 if self.protocol.quantize else frames


def check_range(frames: Float[Tensor, "*B C H W"]) -> None:
    """Refuse true frames that are not in [0, 1]: scores would be in other units.

    Raises:
        ValueError: that says where they lie.
    """
    low, high = (float(value) for value in frames.aminmax())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"true frames must lie in [0, 1], got {low:.4g} to {high:.4g}: divide bytes by 255")


def limb_pixels(poses: Float[Tensor, "R s P H W"]) -> Bool[Tensor, "R s 1 H W"]:
    """Pixels within a few of a mark of the pose map, in any of its channels."""
    marks = (poses.amax(dim=2, keepdim=True) > 0.1).float().flatten(0, 1)
    radius = max(1, round(_LIMB_RADIUS * poses.shape[-2] / 64))
    near = functional.max_pool2d(marks, 2 * radius + 1, stride=1, padding=radius) > 0
    return rearrange(near, "(r s) c h w -> r s c h w", r=len(poses))
