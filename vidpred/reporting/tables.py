"""Tables as data, and as what they are read in: terminal, CSV, Markdown; the report's page has its own template."""

import csv
import io
import sys
from collections.abc import Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table as RichTable
from rich.text import Text


class Cell(NamedTuple):
    """What stands in a table, and what it is sorted by."""

    text: str
    value: float | None = None  # None is sorted by its text


class Column(NamedTuple):
    """The head of a column."""

    title: str
    unit: str = ""
    numeric: bool = True
    drop: int = 0  # where a terminal is narrow, columns of the highest number go first; those of 0 stay


class Table(NamedTuple):
    """Rows of cells below their columns."""

    key: str  # of its files
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


def number(value: float | int | None, form: str = ".2f", *, missing: str = "-") -> Cell:
    """A cell of a number; a dash where there is none."""
    return Cell(missing, None) if value is None else Cell(f"{value:{form}}", float(value))


def to_csv(table: Table) -> str:
    """Numbers in full; names with their units."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_head(column) for column in table.columns)
    for row in table.rows:
        writer.writerow(cell.text if cell.value is None else f"{cell.value:.7g}" for cell in row)
    return stream.getvalue()


def to_markdown(table: Table) -> str:
    """As people read it, the numbers on the right; what Markdown or HTML would take for its own is escaped."""
    rule = ["---:" if column.numeric else "---" for column in table.columns]
    rows = [[_head(column) for column in table.columns], rule, *([cell.text for cell in row] for row in table.rows)]
    lines = [
        "| " + " | ".join(row if row in ("---", "---:") else _escape(row) for row in cells) + " |" for cells in rows
    ]
    return (
        "\n".join([f"**{_escape(table.title)}**", "", *lines, *(["", _escape(table.note)] if table.note else [])])
        + "\n"
    )


def print_table(table: Table, console: Console | None = None) -> None:
    """The columns that a terminal has room for; where there is none, all of them without frames, however long."""
    console = console or make_console()
    plain = not console.is_terminal
    shown = range(len(table.columns)) if plain else _fitting(table, console.width)
    rich = RichTable(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for place in shown:
        column = table.columns[place]
        head = _head(column) if plain else "\n".join(_head_lines(column))
        side: JustifyMethod = "right" if column.numeric else "left"
        rich.add_column(Text(head), overflow="fold", no_wrap=plain, justify=side)
    for row in table.rows:
        rich.add_row(*(Text(row[place].text) for place in shown))
    console.print(Text(table.title, style="italic"))
    console.print(rich)
    if table.note:
        console.print(Text(table.note))


def _fitting(table: Table, width: int) -> list[int]:
    """Places of the columns that fit: those that matter least are left out."""
    shown = list(range(len(table.columns)))
    wide = [max(len(text) for text in (*_head_lines(column), *(row[place].text for row in table.rows)))
            for place, column in enumerate(table.columns)]  # fmt: skip
    while sum(wide[place] + 3 for place in shown) + 2 > width:  # with what is drawn between and around them
        least = max(shown, key=lambda place: table.columns[place].drop)
        if not table.columns[least].drop:
            break
        shown.remove(least)
    return shown


def _head_lines(column: Column) -> list[str]:
    return [line for line in (*column.title.split("\n"), column.unit) if line]


def make_console() -> Console:
    """Where results are printed: lines are not broken, and where there is no terminal tables are not either."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 2000)


def _head(column: Column) -> str:
    title = column.title.replace(".\n", ".").replace("\n", " ")
    return f"{title} ({column.unit})" if column.unit else title


def _escape(text: str) -> str:
    for special in ("\\", "|", "*", "_", "`", "<", "["):
        text = text.replace(special, f"\\{special}")
    return text.replace("\n", " ")
