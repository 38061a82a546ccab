"""A report of runs: a page, and every figure and table of it as files."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from vidpred.reporting.charts import Look, choose, heat_maps, losses_chart, psnr_chart, schedules_chart
from vidpred.reporting.comparison import Field, make_fields, summary_table, verdict
from vidpred.reporting.films import make_films
from vidpred.reporting.outcome import shorten
from vidpred.reporting.page import Part, Picture, render_page
from vidpred.reporting.runs import Run
from vidpred.reporting.tables import Table, to_csv, to_markdown
from vidpred.reporting.words import (
    config_table,
    notes_table,
    origin_table,
    settings_table,
    tell_left_out,
    tell_mixture,
    tell_schedules,
)
from vidpred.runfolder import RunFolder
from vidpred.viz.charts import chart_figure, heat_figure, to_svg


class Report(NamedTuple):
    """What was written."""

    page: Path
    files: Path  # folder of figures and tables

    def __str__(self) -> str:
        return f"report  {shorten(self.page)}\n        {shorten(self.files)}/  figures and tables"


def write_report(runs: Sequence[Run], out: Path, *, closely: int = 6) -> Report:
    """Write a page, and beside it a folder of its figures (PNG, SVG) and tables (CSV, Markdown).

    Args:
        runs: finished or not.
        out: the page; the folder has its name, without the suffix.
        closely: runs whose films and heat maps are shown, the best of each setting first.

    Raises:
        OSError: if it cannot be written.
    """
    folder = RunFolder(out.with_suffix(""))
    fields = make_fields(runs)
    parts = [_make_part(field, folder, prefix=f"{field.name}_" if len(fields) > 1 else "", closely=closely)
             for field in fields]  # fmt: skip
    mixture = [*tell_mixture(fields), *tell_left_out(runs)]
    page = render_page(parts, title=_title(runs), mixture=mixture, made=datetime.now())
    RunFolder(out.parent).write(out.name, page)
    return Report(out, folder.path)


def summary_tables(runs: Sequence[Run]) -> Iterator[Table]:
    """The ranking of the runs, a table for all that can be compared."""
    for field in make_fields(runs):
        yield summary_table(field)


def _title(runs: Sequence[Run]) -> str:
    names = [run.name for run in runs if run.unreadable is None]
    return f"Run {names[0]}" if len(names) == 1 else f"{len(names)} runs"


def _make_part(field: Field, folder: RunFolder, *, prefix: str, closely: int) -> Part:
    look = Look(field)
    note = f"data {field.data}, protocol validation {field.protocol}"
    charts = (schedules_chart(look, note=note), losses_chart(look, note=note),
              psnr_chart(look, note=f"{note}; bands are 95 % intervals of the mean over clips"))  # fmt: skip
    pictures = {chart.key: Picture(chart, _save(chart_figure(chart), folder, f"{prefix}{chart.key}"))
                for chart in charts if chart.panels}  # fmt: skip
    maps = heat_maps(look, most=closely)
    known = int(next((run.psnr["context_frames"] for run in field.runs if run.psnr), 1))
    heat = _save(heat_figure(maps, context_frames=known), folder, f"{prefix}psnr_by_clip") if maps else ""
    films = make_films(field, look, most=closely)  # before the notes: it may find files that cannot be read
    tables = {table.key: table for table in (summary_table(field), settings_table(field), notes_table(field),
                                             config_table(field), origin_table(field))}  # fmt: skip
    for key, table in tables.items():
        folder.write(f"tables/{prefix}{key}.csv", to_csv(table))
        folder.write(f"tables/{prefix}{key}.md", to_markdown(table))
    return Part(
        field=field, verdict=verdict(field), tables=tables, pictures=pictures, heat=heat, films=films,
        colors={run.name: look.color(run) for run in field.runs},
        labels={run.name: look.label(run) for run in field.runs},
        sentences=tell_schedules(field), left_out=_tell_left_out(field, closely),
    )  # fmt: skip


def _tell_left_out(field: Field, closely: int) -> str:
    shown = len(choose(field, closely, lambda run: bool(run.psnr)))
    scored = sum(bool(run.psnr) for run in field.runs)
    if shown == scored:
        return ""
    return (f"Of {scored} runs {shown} are shown here, the best of each setting first; the report of other runs, or "
            f"closely={scored}, shows the others.")  # fmt: skip


def _save(figure: Figure, folder: RunFolder, name: str) -> str:
    """Write a figure as PNG and SVG; the SVG for the page."""
    figure.savefig(folder[f"figures/{name}.png"])
    drawing = to_svg(figure)
    paper = drawing.replace("<svg ", '<svg color="black" ', 1)
    folder.write(f"figures/{name}.svg", f'<?xml version="1.0" encoding="utf-8"?>\n{paper}')
    return drawing
