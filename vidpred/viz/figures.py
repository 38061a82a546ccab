"""Figures with matplotlib's object interface: nothing global is touched, no display is needed."""

from itertools import cycle

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray as Array

_COLORS = ("#1b6ca8", "#d1495b", "#3c9d6b", "#8d6cab", "#b07d2b", "#5b6770", "#2a9d8f")


def psnr_figure(curves: dict[str, Float[Array, "B S"]], *, context_frames: int) -> Figure:
    """PSNR per predicted frame, mean over clips with a band of their quartiles, and the overall mean in the legend.

    Args:
        curves: by name, per clip and frame in dB; NaN where a clip has ended.
        context_frames: K, number of the first predicted frame.
    """
    figure = Figure(figsize=(8.4, 3.4), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for color, (name, scores) in zip(cycle(_COLORS), curves.items(), strict=False):
        frames = np.arange(context_frames, context_frames + scores.shape[1])
        mean = np.nanmean(np.nanmean(scores, axis=1))
        axes.plot(frames, np.nanmean(scores, axis=0), color=color, linewidth=1.6, label=f"{name}  (mean {mean:.2f} dB)")
        if len(scores) > 2:
            low, high = np.nanquantile(scores, [0.25, 0.75], axis=0)
            axes.fill_between(frames, low, high, color=color, alpha=0.13, linewidth=0)
    axes.set_xlabel("frame")
    axes.set_ylabel("PSNR (dB)")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
