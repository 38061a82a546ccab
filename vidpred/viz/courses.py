"""The courses of schedules over a run, as a figure and as characters."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray as Array

_BLOCKS = " ▁▂▃▄▅▆▇█"
_COLORS = {"beta": "#1b6ca8", "forcing_prob": "#d1495b", "learning rate": "#3c9d6b", "clip length": "#8d6cab"}


class Course(NamedTuple):
    """What a schedule does over a run."""

    name: str
    values: Float[Array, " N"] | None  # at positions spread evenly over the run; None where they are not known before
    sentence: str


def to_dict(course: Course, *, points: int = 500) -> dict[str, Any]:
    """The course for a JSON file; of more values than ``points`` as many, spread evenly from first to last."""
    values = course.values
    if values is not None and len(values) > points:
        values = values[np.linspace(0, len(values) - 1, points).round().astype(int)]
    return {**course._asdict(), "values": None if values is None else [float(f"{value:.6g}") for value in values]}


def courses_figure(courses: Sequence[Course], *, epochs: int) -> Figure:
    """One panel a schedule, on one time axis.

    Args:
        courses: those without values are left out.
        epochs: of the run.
    """
    known = [(course.name, course.values) for course in courses if course.values is not None]
    figure = Figure(figsize=(6.4, 0.7 + 1.15 * len(known)), dpi=120, layout="constrained")
    for row, (name, values) in enumerate(known, start=1):
        axes = figure.add_subplot(len(known), 1, row)
        edges = np.linspace(0, epochs, len(values) + 1)
        color = _COLORS.get(name, "#5b6770")
        axes.stairs(values, edges, color=color, linewidth=1.8, baseline=None)
        axes.stairs(values, edges, color=color, alpha=0.12, fill=True)
        axes.set_xlim(0, epochs)
        axes.set_ylim(0, (float(values.max()) or 1.0) * 1.12)
        axes.set_ylabel(name, fontsize=9)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelbottom=row == len(known), labelsize=8)
    axes.set_xlabel("epoch")
    return figure


def draw_blocks(values: Float[Array, " N"], *, width: int = 64, height: int = 4) -> list[str]:
    """A chart of block characters, from 0 to the largest value: lines from top to bottom.

    Args:
        values: none negative. Where there are more than columns, a column shows the value at its middle.
        width: columns.
        height: lines.
    """
    columns = values[((np.arange(width) + 0.5) * len(values) / width).astype(int)]
    eighths = np.rint(columns / max(float(values.max()), 1e-300) * 8 * height).astype(int)
    levels = [np.clip(eighths - 8 * line, 0, 8) for line in reversed(range(height))]
    return ["".join(_BLOCKS[level] for level in line) for line in levels]
