"""Figures with matplotlib's object interface: nothing global is touched, no display is needed."""

from itertools import cycle

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray as Array

from vidpred.statistics import interval_band

COLORS = ("#1b6ca8", "#d1495b", "#3c9d6b", "#8d6cab", "#b07d2b", "#5b6770", "#2a9d8f")


def psnr_figure(curves: dict[str, Float[Array, "B S"]], *, context_frames: int, note: str = "") -> Figure:
    """PSNR per predicted frame, mean over clips with its 95 % bootstrap interval, and the overall mean in the legend.

    Args:
        curves: by name, per clip and frame in dB; NaN where a clip has ended.
        context_frames: K, number of the first predicted frame.
        note: below the figure: what the numbers hold under.
    """
    alone = len(curves) == 1 and not note  # as in every validation: a constrained layout draws twice
    figure = Figure(figsize=(6.4, 3.4) if alone else (8.4, 3.4), dpi=120, layout=None if alone else "constrained")
    axes = figure.add_subplot()
    named = {f"{name}  (mean {np.nanmean(np.nanmean(scores, axis=1)):.2f} dB)": scores
             for name, scores in curves.items()}  # fmt: skip
    draw_curves(axes, named, context_frames=context_frames)
    axes.set_ylabel("PSNR (dB)")
    if alone:
        figure.subplots_adjust(left=0.1, right=0.98, bottom=0.15, top=0.97)
        axes.legend(frameon=False, fontsize=8, loc="upper right")
    else:
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    annotate(figure, note)
    return figure


def draw_curves(axes: Axes, curves: dict[str, Float[Array, "B S"]], *, context_frames: int) -> None:
    """Per frame the mean over clips, with a band of its 95 % bootstrap interval."""
    for color, (name, scores) in zip(cycle(COLORS), curves.items(), strict=False):
        frames = np.arange(context_frames, context_frames + scores.shape[1])
        axes.plot(frames, np.nanmean(scores, axis=0), color=color, linewidth=1.6, label=name)
        if len(scores) > 2:
            axes.fill_between(frames, *interval_band(scores), color=color, alpha=0.15, linewidth=0)
    axes.set_xlabel("frame")
    tidy(axes)


def tidy(axes: Axes) -> None:
    """A light grid, and no box."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def annotate(figure: Figure, note: str) -> None:
    """Small print below a figure."""
    if note:
        figure.supxlabel(note, fontsize=7, color="#5b6770", x=0.01, ha="left")
