"""The report as one HTML file: it asks no network, and reads without JavaScript."""

import json
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy import ndarray as Array

from vidpred import __version__
from vidpred.reporting.comparison import Field
from vidpred.reporting.films import GAIN, Film
from vidpred.reporting.tables import Table
from vidpred.viz.charts import SMOOTHING, Chart, Panel

_ASSETS = files("vidpred.reporting") / "assets"
_INLINE = ("report.css", "report.js", "uPlot.min.css", "uPlot.iife.min.js")


class Picture(NamedTuple):
    """A chart and its drawing."""

    chart: Chart
    svg: str


class Part(NamedTuple):
    """What the page says of runs that can be compared."""

    field: Field
    verdict: str
    colors: dict[str, str]  # by run
    labels: dict[str, str]  # likewise
    tables: dict[str, Table]
    pictures: dict[str, Picture]
    sentences: Sequence[str]  # on schedules
    heat: str  # SVG; empty without validation
    films: Sequence[Film]
    left_out: str  # which runs are not shown closely


def render_page(parts: Sequence[Part], *, title: str, mixture: Sequence[str], made: datetime) -> str:
    """The whole page.

    Args:
        parts: of runs that can be compared, the largest first.
        title: of the page.
        mixture: what to know where runs are of several kinds or versions.
        made: when.
    """
    environment = Environment(loader=FileSystemLoader(str(_ASSETS)), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    return environment.get_template("report.html").render(
        title=title, parts=parts, mixture=mixture, made=made, version=__version__, gain=GAIN,
        assets={name: Markup(_read(name)) for name in _INLINE},
        data=_script_data({
            "smoothing": SMOOTHING,
            "charts": {f"{part.field.name}-{key}": _chart_data(picture.chart)
                       for part in parts for key, picture in part.pictures.items()},
            "films": {part.field.name: [film._asdict() | {"tiles": [tile._asdict() for tile in film.tiles]}
                                        for film in part.films] for part in parts},
        }),
    )  # fmt: skip


def _read(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _script_data(values: dict[str, Any]) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(values, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _chart_data(chart: Chart) -> dict[str, Any]:
    return {"across": chart.across, "columns": chart.columns, "panels": [_panel_data(panel) for panel in chart.panels]}


def _panel_data(panel: Panel) -> dict[str, Any]:
    """The lines on one axis, as uPlot wants them: what a line does not know there is null."""
    across = np.unique(np.concatenate([line.x for line in panel.lines]))
    lines = []
    for line in panel.lines:
        places = np.searchsorted(across, line.x)
        band = {side: _spread(values, places, len(across))
                for side, values in zip(("low", "high"), line.band or (), strict=False)}  # fmt: skip
        lines.append({"label": line.label, "color": line.color, "dash": line.dash, "run": line.run, "group": line.group,
                      "y": _spread(line.y, places, len(across)), **band})  # fmt: skip
    return {"title": panel.title, "unit": panel.unit, "log": panel.log, "noisy": panel.noisy,
            "x": [_short(value) for value in across.tolist()], "lines": lines}  # fmt: skip


def _spread(values: Array, places: Array, length: int) -> list[float | int | None]:
    out: list[float | int | None] = [None] * length
    for place, value in zip(places.tolist(), values.tolist(), strict=True):
        if np.isfinite(value):
            out[place] = _short(value)
    return out


def _short(value: float | int) -> float | int:
    """Five digits: more than a screen shows."""
    rounded = float(f"{value:.5g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e6 else rounded
