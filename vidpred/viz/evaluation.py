"""Figures of an evaluation: by horizon, clip and pixel, and what samples and conditions are worth."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy import ndarray as Array

from vidpred.viz.figures import COLORS, annotate, draw_curves, tidy

Curves = dict[str, Float[Array, "B S"]]  # by name, per clip and frame in dB; NaN where a clip has ended
_GREY = "#5b6770"


def horizon_figure(model: Float[Array, "B S"], others: Curves, *, context_frames: int, note: str = "") -> Figure:
    """What a longer horizon costs: mean PSNR up to each frame; and the model's lead on every baseline at each frame.

    Args:
        model: PSNR per clip and frame.
        others: the same of the baselines.
        context_frames: K, number of the first predicted frame.
        note: below the figure.
    """
    figure = Figure(figsize=(10.4, 3.4), dpi=120, layout="constrained")
    so_far, lead = figure.subplots(1, 2)
    draw_curves(so_far, {"model": _so_far(model), **{name: _so_far(scores) for name, scores in others.items()}},
                context_frames=context_frames)  # fmt: skip
    so_far.set_ylabel("mean PSNR up to the frame (dB)")
    lead.set_prop_cycle(color=COLORS)
    draw_curves(lead, {"model": np.zeros((1, model.shape[1])),
                       **{name: model - scores for name, scores in others.items()}},
                context_frames=context_frames)  # fmt: skip
    lead.set_ylabel("model less baseline (dB)")
    lead.legend(*so_far.get_legend_handles_labels(), frameon=False, fontsize=8, loc="upper left",
                bbox_to_anchor=(1.0, 1.0))  # fmt: skip
    annotate(figure, note)
    return figure


def clips_figure(scores: Float[Array, "B S"], *, context_frames: int, note: str = "") -> Figure:
    """PSNR of every clip (rows, the worst on top) and frame, as a heat map."""
    order = np.argsort(np.nanmean(scores, axis=1))
    figure = Figure(figsize=(6.4, 1.8 + min(4.0, 0.16 * len(scores))), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    extent = (context_frames - 0.5, context_frames + scores.shape[1] - 0.5, len(scores) - 0.5, -0.5)
    image = axes.imshow(scores[order], aspect="auto", extent=extent, cmap="viridis", interpolation="nearest")
    axes.set_xlabel("frame")
    axes.set_ylabel("clips, worst first")
    axes.set_yticks([])
    figure.colorbar(image, ax=axes, label="PSNR (dB)")
    annotate(figure, note)
    return figure


def error_figure(error: Float[Array, "H W"], *, note: str = "") -> Figure:
    """Root of the mean squared error at every pixel."""
    figure = Figure(figsize=(4.2, 0.6 + 3.2 * min(1.5, error.shape[0] / error.shape[1])), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(np.sqrt(error), cmap="magma", vmin=0)
    axes.set_axis_off()
    figure.colorbar(image, ax=axes, label="root mean squared error", shrink=0.9)
    annotate(figure, note)
    return figure


def samples_figure(curves: dict[str, list[float]], reliability: Float[Array, "bins 3"], *, note: str = "") -> Figure:
    """The best of k samples; and squared error against the variance of samples, on the diagonal if they agree.

    Args:
        curves: PSNR, and SSIM and LPIPS where they are known, of the best of k samples for k = 1 … N.
        reliability: bins of pixels: their number, sum of variances, sum of squared errors.
        note: below the figure.
    """
    shown = {"psnr": "PSNR (dB)", "ssim": "SSIM", "lpips": "LPIPS"}
    names = [name for name in shown if name in curves]
    figure = Figure(figsize=(2.9 * (len(names) + 1), 3.0), dpi=120, layout="constrained")
    *panels, spread = figure.subplots(1, len(names) + 1)
    for axes, name in zip(panels, names, strict=True):
        axes.plot(np.arange(1, len(curves[name]) + 1), curves[name], color=COLORS[0], marker="o", markersize=3)
        axes.ticklabel_format(useOffset=False)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("samples k")
        axes.set_ylabel(f"{shown[name]}, best of k")
    filled = reliability[reliability[:, 0] > 0]
    variance, error = (np.sqrt(filled[:, column] / filled[:, 0]) for column in (1, 2))
    seen = np.concatenate([variance, error])
    ends = [max(1e-3, seen.min()), max(2e-3, seen.max())]
    spread.loglog(ends, ends, color=_GREY, linewidth=1, linestyle="--", label="agreement")
    spread.loglog(np.maximum(variance, ends[0]), np.maximum(error, ends[0]), color=COLORS[1], marker="o", markersize=4,
                  label="pixels, by spread")  # fmt: skip
    for axis in (spread.xaxis, spread.yaxis):
        axis.set_minor_formatter(FuncFormatter(lambda value, place: ""))
    spread.set_xlabel("standard deviation of samples")
    spread.set_ylabel("error of their mean")
    spread.legend(frameon=False, fontsize=8)
    for axes in (*panels, spread):
        tidy(axes)
    annotate(figure, note)
    return figure


def conditions_figure(panels: dict[str, Curves], *, context_frames: int, note: str = "") -> Figure:
    """PSNR per frame of rollouts under changed conditions, a panel for each question.

    Args:
        panels: by question, the curves of the conditions.
        context_frames: K, number of the first predicted frame.
        note: below the figure.
    """
    figure = Figure(figsize=(3.7 * len(panels), 3.4), dpi=120, layout="constrained")
    for axes, (question, curves) in zip(figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True):
        draw_curves(axes, curves, context_frames=context_frames)
        axes.set_title(question, fontsize=10)
        axes.legend(frameon=False, fontsize=8)
    figure.axes[0].set_ylabel("PSNR (dB)")
    annotate(figure, note)
    return figure


def _so_far(scores: Float[Array, "B S"]) -> Float[Array, "B S"]:
    """Of every clip the mean up to each frame."""
    return np.asarray(np.cumsum(scores, axis=1) / np.arange(1, scores.shape[1] + 1))
