"""What the data is, in tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def print_statistics(splits: Mapping[str, Mapping[str, Any]]) -> None:
    """One column per split, of the statistics of ``vidpred.data.statistics`` by name."""
    table = Table(title="Data", title_justify="left")
    table.add_column("")
    for split in splits:
        table.add_column(split, justify="right")
    columns = list(splits.values())
    table.add_row("sequences", *(str(column["sequences"]) for column in columns))
    table.add_row("frames", *(str(column["frames"]) for column in columns))
    table.add_row("seconds", *(f"{column['seconds']:.1f}" for column in columns))
    table.add_row("moving pixels", *(f"{column['moving']:.1%}" for column in columns))
    for title, name in (("the first frame", "copy_first"), ("any frame", "copy_any")):
        for horizon in sorted({horizon for column in columns for horizon in column[name]}):
            scores = (column[name].get(horizon) for column in columns)
            shown = ("-" if score is None else f"{score:.1f} dB" for score in scores)
            table.add_row(f"copy {title}, {horizon} ahead", *shown)
    Console().print(table)


def print_preparation(report: Mapping[str, Any], out: Path) -> None:
    """What was done with every film, and where the data is."""
    table = Table(title="Films", title_justify="left")
    for name in ("film", "frames", "kept", "stretches", "interpolated", "cut", "window"):
        table.add_column(name, justify="left" if name == "film" else "right", overflow="fold")
    for film in report["films"]:
        x, y, width, height = film["window"]
        counts = (str(film[name]) for name in ("frames", "kept", "stretches", "interpolated", "cut"))
        table.add_row(Path(film["film"]).name, *counts, f"{width}x{height} at {x},{y}")
    console = Console()
    console.print(table)
    cut = sum(film["cut"] for film in report["films"])
    if cut:
        console.print(f"{cut} frames were cut out, since no person was found in them for longer than max_gap.")
    console.print(
        f"data     {out}\npreview  {out / 'preview.gif'}, {out / 'preview.png'}", highlight=False, soft_wrap=True
    )
    console.print(f"\nNext:\n  python -m vidpred.run data=packed data.root={out}", highlight=False, soft_wrap=True)
