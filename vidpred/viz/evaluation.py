"""Figures of an evaluation: where errors sit, clip by clip and pixel by pixel, and what samples are worth."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray as Array

_BLUE, _RED, _GREY = "#1b6ca8", "#d1495b", "#5b6770"


def clips_figure(scores: Float[Array, "B S"], *, context_frames: int) -> Figure:
    """PSNR of every clip (rows, the worst on top) and frame, as a heat map."""
    order = np.argsort(np.nanmean(scores, axis=1))
    figure = Figure(figsize=(6.4, 0.9 + min(4.0, 0.22 * len(scores))), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    extent = (context_frames - 0.5, context_frames + scores.shape[1] - 0.5, len(scores) - 0.5, -0.5)
    image = axes.imshow(scores[order], aspect="auto", extent=extent, cmap="viridis", interpolation="nearest")
    axes.set_xlabel("frame")
    axes.set_ylabel("clip, worst first")
    axes.set_yticks([])
    figure.colorbar(image, ax=axes, label="PSNR (dB)")
    return figure


def error_figure(error: Float[Array, "H W"]) -> Figure:
    """Root of the mean squared error at every pixel."""
    figure = Figure(figsize=(4.2, 0.6 + 3.2 * min(1.5, error.shape[0] / error.shape[1])), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(np.sqrt(error), cmap="magma", vmin=0)
    axes.set_axis_off()
    figure.colorbar(image, ax=axes, label="root mean squared error", shrink=0.9)
    return figure


def best_of_k_figure(curve: Float[Array, " N"], reliability: Float[Array, "bins 3"]) -> Figure:
    """PSNR of the best of k samples; and squared error against the variance of samples, on the diagonal if they agree.

    Args:
        curve: for k = 1 … N.
        reliability: bins of pixels: their number, sum of variances, sum of squared errors.
    """
    figure = Figure(figsize=(7.2, 3.0), dpi=120, layout="constrained")
    best, spread = figure.subplots(1, 2)
    best.plot(np.arange(1, len(curve) + 1), curve, color=_BLUE, marker="o", markersize=3)
    best.ticklabel_format(useOffset=False)
    best.set_ylim(curve[0] - 0.05, max(curve[-1], curve[0] + 0.2) + 0.05)
    best.set_xlabel("samples k")
    best.set_ylabel("PSNR of the best of k (dB)")
    filled = reliability[reliability[:, 0] > 0]
    variance, error = (np.sqrt(filled[:, column] / filled[:, 0]) for column in (1, 2))
    ends = [max(1e-4, min(variance.min(), error.min())), max(variance.max(), error.max())]
    spread.loglog(ends, ends, color=_GREY, linewidth=1, linestyle="--", label="agreement")
    spread.loglog(variance, error, color=_RED, marker="o", markersize=4, label="pixels, by spread")
    spread.set_xlabel("standard deviation of samples")
    spread.set_ylabel("error of their mean")
    spread.legend(frameon=False, fontsize=8)
    for axes in (best, spread):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
