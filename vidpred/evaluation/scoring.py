"""Scores of predicted frames against true ones, under a protocol."""

from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from vidpred.metrics import (
    MS_SSIM_SIZE,
    mean_absolute_error,
    mean_squared_error,
    moving_pixels,
    ms_ssim,
    psnr,
    psnr_of_error,
    ssim,
)
from vidpred.metrics.lpips import Lpips
from vidpred.metrics.protocol import Protocol

Mask = Literal["moving", "limbs"]
Scores = dict[str, Float[Tensor, "R s"]]
LARGER_IS_BETTER = {
    "psnr": True, "ssim": True, "ms_ssim": True, "mse": False, "mae": False, "lpips": False,
    "psnr_inside": True, "psnr_outside": True,
}  # fmt: skip
_SSIM_SIZE = 11  # pixels of its window
_LIMB_RADIUS = 3  # pixels around a pose map's marks, per 64 rows


@dataclass(frozen=True)
class Scorer:
    """Scores frames: PSNR, SSIM, MS-SSIM where frames are large enough, MSE, MAE, LPIPS, and PSNR in and out of a mask.

    A value that is not finite counts as the worst that its pixel can have: it is never dropped.

    Args:
        protocol: says how.
        mask: "moving", where the true frame is no longer the context frame, or "limbs", around the marks of the pose.
        lpips: the perceptual metric; None leaves it out.
    """

    protocol: Protocol
    mask: Mask = "moving"
    lpips: Lpips | None = None

    def __call__(
        self,
        predicted: Float[Tensor, "R s C H W"],
        target: Float[Tensor, "R s C H W"],
        poses: Float[Tensor, "R s P H W"],
        context: Float[Tensor, "R C H W"],
    ) -> Scores:
        """Every metric of every frame.

        Args:
            predicted: frames, as the model gives them.
            target: true frames in [0, 1].
            poses: pose maps of the same frames.
            context: the last context frame.
        """
        frames = self.clean(predicted, target)
        inside = moving_pixels(target, context) if self.mask == "moving" else limb_pixels(poses)
        scores = {
            "psnr": psnr(frames, target, data_range=1.0, per_channel=self.protocol.per_channel),
            "mse": mean_squared_error(frames, target),
            "mae": mean_absolute_error(frames, target),
            "psnr_inside": psnr_of_error(mean_squared_error(frames, target, inside), data_range=1.0),
            "psnr_outside": psnr_of_error(mean_squared_error(frames, target, ~inside), data_range=1.0),
        }
        side = min(frames.shape[-2:])
        if side >= _SSIM_SIZE:
            window, span = self.protocol.ssim_window, self.protocol.ssim_range
            scores["ssim"] = ssim(frames, target, data_range=span, window=window)
        if side >= MS_SSIM_SIZE:
            scores["ms_ssim"] = ms_ssim(frames, target, data_range=1.0)
        if self.lpips is not None:
            scores["lpips"] = self.lpips(frames, target)
        return scores

    def clean(
        self, predicted: Float[Tensor, "R s C H W"], target: Float[Tensor, "R s C H W"]
    ) -> Float[Tensor, "R s C H W"]:
        """Predictions in [0, 1], in 256 levels where the protocol says so; what is not finite is as wrong as can be."""
        worst = (target < 0.5).to(target.dtype)
        frames = torch.where(predicted.isfinite(), predicted.to(target.dtype), worst).clamp(0, 1)
        return (255 * frames).round() / 255 if self.protocol.quantize else frames


def limb_pixels(poses: Float[Tensor, "R s P H W"]) -> Bool[Tensor, "R s 1 H W"]:
    """Pixels within a few of a mark of the pose map, in any of its channels."""
    marks = (poses.amax(dim=2, keepdim=True) > 0.1).float().flatten(0, 1)
    radius = max(1, round(_LIMB_RADIUS * poses.shape[-2] / 64))
    near = functional.max_pool2d(marks, 2 * radius + 1, stride=1, padding=radius) > 0
    return rearrange(near, "(r s) c h w -> r s c h w", r=len(poses))
