"""Charts as data: drawn here as pictures, and by the report's page as something to zoom into."""

import io
from collections.abc import Sequence
from itertools import cycle
from typing import Literal, NamedTuple

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy import ndarray as Array

from vidpred.viz.figures import annotate, tidy

PALETTE = ("#3b82c4", "#d1495b", "#3c9d6b", "#9b6dc9", "#c9862b", "#2a9d9d", "#c75ca8", "#8a8f3c")
GREY = "#8a949c"
SMOOTHING = 0.6  # weight of what came before
_DASHES: dict[str, tuple[float, ...]] = {"solid": (), "dashed": (5, 3), "dotted": (1.5, 2)}
_LEGEND = 12  # names that fit
_POINTS = 250  # of a line in a picture


class Line(NamedTuple):
    """One curve."""

    label: str
    x: Float[Array, " N"]  # rising
    y: Float[Array, " N"]  # NaN where it is not known
    color: str
    dash: Literal["solid", "dashed", "dotted"] = "solid"
    run: str | None = None  # lines of one run are shown and hidden together
    group: str = ""  # that legends name where there are too many lines
    band: tuple[Float[Array, " N"], Float[Array, " N"]] | None = None  # low and high


class Panel(NamedTuple):
    """Curves on one pair of axes."""

    title: str
    unit: str
    lines: Sequence[Line]
    log: bool = False  # whether values spread over orders of magnitude
    noisy: bool = False  # whether a smoothed curve helps the eye


class Chart(NamedTuple):
    """Panels above each other, or side by side, on one horizontal axis."""

    key: str  # of its files
    title: str
    across: str  # what the horizontal axis counts
    panels: Sequence[Panel]
    columns: int = 1
    note: str = ""


def spread_over_orders(lines: Sequence[Line]) -> bool:
    """Whether a logarithmic axis helps: all values are positive, and the largest is 30 times the smallest."""
    values = np.concatenate([line.y[np.isfinite(line.y)] for line in lines]) if lines else np.empty(0)
    return len(values) > 1 and bool(values.min() > 0 and values.max() > 30 * values.min())


def smooth(values: Float[Array, " N"], weight: float = SMOOTHING) -> Float[Array, " N"]:
    """Exponential moving average without the bias of its start; NaN stay NaN.

    With w = weight, over the values that are there: s_n = Σ_i≤n w^(n−i) v_i / Σ_i≤n w^(n−i).
    """
    out, total, mass = np.full(len(values), np.nan), 0.0, 0.0
    for place in np.flatnonzero(np.isfinite(values)):
        total, mass = total * weight + float(values[place]), mass * weight + 1
        out[place] = total / mass
    return out


def chart_figure(chart: Chart) -> Figure:
    """A chart as a figure; raw values faint below smoothed ones where they are noisy."""
    rows = -(-len(chart.panels) // chart.columns)
    height = 3.4 if len(chart.panels) == 1 else 2.9 if chart.columns > 1 else 1.9
    figure = Figure(figsize=(9.6, 0.5 + height * rows), dpi=110, layout="constrained")
    grid = figure.subplots(rows, chart.columns, sharex=True, squeeze=False).flat
    many = len({line.label for panel in chart.panels for line in panel.lines}) > _LEGEND
    named: dict[str, Line2D] = {}
    for axes, panel in zip(grid, chart.panels, strict=False):
        drawn = _draw_panel(axes, panel)
        for line in panel.lines:
            named.setdefault((line.group if many else "") or line.label, drawn[line.label])
    for axes in grid[len(chart.panels) :]:
        axes.set_visible(False)
    for axes in grid[max(0, len(chart.panels) - chart.columns) : len(chart.panels)]:
        axes.set_xlabel(chart.across, fontsize=9)
        axes.tick_params(labelbottom=True)
    if len(named) > 1 or len(chart.panels) == 1:
        shown = dict(list(named.items())[:_LEGEND])
        more = f"… and {len(named) - _LEGEND} more" if len(named) > _LEGEND else None
        figure.legend(list(shown.values()), list(shown), title=more, frameon=False, fontsize=8, title_fontsize=8,
                      loc="outside right upper")  # fmt: skip
    annotate(figure, chart.note)
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> dict[str, Line2D]:
    """Draw the lines; what a legend needs of each."""
    named: dict[str, Line2D] = {}
    bands = sum(line.band is not None for line in panel.lines)
    for line in panel.lines:
        x, y, band = _thin(line)
        style = {"color": line.color, "linewidth": 1.5, "dashes": _DASHES[line.dash]}
        if panel.noisy and len(y) > 4:
            axes.plot(x, y, color=line.color, linewidth=0.8, alpha=0.3)
            y = smooth(y)
        marker = {"marker": "o", "markersize": 3} if np.isfinite(y).sum() < 3 else {}
        (named[line.label],) = axes.plot(x, y, **style, **marker)  # type: ignore[arg-type]
        if band is not None:
            axes.fill_between(x, *band, color=line.color, alpha=min(0.14, 0.3 / bands), linewidth=0)
    if panel.log:
        axes.set_yscale("log")
    axes.set_title(panel.title, fontsize=9, loc="left")
    axes.set_ylabel(panel.unit, fontsize=8)
    axes.tick_params(labelsize=8)
    tidy(axes)
    return named


def _thin(line: Line) -> tuple[Array, Array, tuple[Array, Array] | None]:
    """At most so many points of a line, spread evenly over those that are known."""
    known = np.flatnonzero(np.isfinite(line.y))
    places = known[np.unique(np.linspace(0, len(known) - 1, min(_POINTS, len(known))).round().astype(int))]
    band = None if line.band is None else (line.band[0][places], line.band[1][places])
    return line.x[places], line.y[places], band


def heat_figure(maps: dict[str, Float[Array, "B S"]], *, context_frames: int) -> Figure:
    """PSNR of every clip and frame, a panel a run, on one scale of colours; rows are the clips in their order."""
    columns = min(3, len(maps))
    rows = -(-len(maps) // columns)
    clips = max(len(scores) for scores in maps.values())
    figure = Figure(figsize=(9.6, 0.7 + rows * (0.7 + min(3.0, 0.16 * clips))), dpi=110, layout="constrained")
    everything = np.concatenate([scores[np.isfinite(scores)] for scores in maps.values()])
    low, high = np.quantile(everything, [0.01, 0.99])
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, (name, scores) in zip(grid.flat, maps.items(), strict=False):
        extent = (context_frames - 0.5, context_frames + scores.shape[1] - 0.5, len(scores) - 0.5, -0.5)
        image = axes.imshow(scores, aspect="auto", extent=extent, cmap="viridis", vmin=low, vmax=high,
                            interpolation="nearest")  # fmt: skip
        axes.set_title(name, fontsize=9, loc="left")
        axes.tick_params(labelsize=8)
        axes.yaxis.get_major_locator().set_params(integer=True)
    for axes in grid.flat[len(maps) :]:
        axes.set_visible(False)
    figure.supxlabel("frame", fontsize=9)
    figure.supylabel("validation clip", fontsize=9)
    figure.colorbar(image, ax=grid, label="PSNR (dB)", shrink=0.9, extend="both")
    return figure


def to_svg(figure: Figure) -> str:
    """A figure as SVG that stands inside an HTML page: text stays text, and black takes the page's own ink."""
    stream = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "vidpred", "font.family": "sans-serif"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawing = stream.getvalue()
    return drawing[drawing.index("<svg") :].replace("#000000", "currentColor")


def colors_of(names: Sequence[str]) -> dict[str, str]:
    """A colour for every name, in their order; after the palette's end they come again."""
    return dict(zip(names, cycle(PALETTE), strict=False))
