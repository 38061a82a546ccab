"""Metrics, per clip and frame."""

from vidpred.metrics.psnr import MAX_PSNR, psnr

__all__ = ["MAX_PSNR", "psnr"]
