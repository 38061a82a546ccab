"""Metrics, per clip and frame."""

from vidpred.metrics.errors import average, mean_absolute_error, mean_squared_error, moving_pixels
from vidpred.metrics.psnr import MAX_PSNR, psnr, psnr_of_error
from vidpred.metrics.ssim import MS_SSIM_SIZE, SSIM_SIZE, ms_ssim, ssim, ssim_map

__all__ = [
    "MAX_PSNR",
    "MS_SSIM_SIZE",
    "SSIM_SIZE",
    "average",
    "mean_absolute_error",
    "mean_squared_error",
    "moving_pixels",
    "ms_ssim",
    "psnr",
    "psnr_of_error",
    "ssim",
    "ssim_map",
]
