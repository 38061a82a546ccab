"""What z carries, as a figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure


def latents_figure(
    rate_per_channel: Sequence[float], rate_per_step: Sequence[float], history: Sequence[tuple[float, float]]
) -> Figure:
    """KL per channel, KL over the frames of a clip, and rate against distortion over the run.

    Args:
        rate_per_channel: nats a frame.
        rate_per_step: nats of every predicted frame.
        history: rate in nats a frame and distortion as mean squared error, of every validation so far.
    """
    figure = Figure(figsize=(9.6, 2.8), dpi=110)
    # a constrained layout would draw twice, and ticks are what takes time
    figure.subplots_adjust(left=0.08, right=0.985, bottom=0.19, top=0.91, wspace=0.38)
    channels, steps, path = figure.subplots(1, 3)
    channels.bar(np.arange(len(rate_per_channel)), rate_per_channel, color="#1b6ca8")
    channels.set_xlabel("channel of z")
    channels.set_ylabel("KL (nats a frame)")
    steps.plot(np.arange(1, len(rate_per_step) + 1), rate_per_step, color="#1b6ca8", linewidth=1.6)
    steps.set_xlabel("predicted frame")
    steps.set_ylabel("KL (nats)")
    steps.set_ylim(bottom=0)
    rates, distortions = zip(*history, strict=True)
    path.plot(rates, distortions, color="#8d6cab", marker="o", markersize=3, linewidth=1)
    path.plot(rates[-1:], distortions[-1:], color="#d1495b", marker="o", linestyle="none", label="now")
    path.set_xlabel("rate: KL (nats a frame)")
    path.set_ylabel("distortion: MSE")
    path.legend(frameon=False, fontsize=8)
    for axes in (channels, steps, path):
        axes.locator_params(nbins=4)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
