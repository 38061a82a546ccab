import csv
import io

from rich.console import Console

from vidpred.reporting.tables import Cell, Column, Table, number, print_table, to_csv, to_markdown

TABLE = Table(
    key="t", title="a | b", note="<note>",
    columns=[Column("name", numeric=False), Column("best.\nPSNR", "dB"), Column("aside", drop=1)],
    rows=[[Cell("x|*y*"), number(22.123456), Cell("1")], [Cell("<script>"), number(None), Cell("2")]],
)  # fmt: skip


def printed(table: Table, **options) -> str:
    console = Console(file=io.StringIO(), soft_wrap=True, **options)
    print_table(table, console)
    return console.file.getvalue()


def test_csv_holds_numbers_in_full_and_units():
    rows = list(csv.reader(io.StringIO(to_csv(TABLE))))
    assert rows == [["name", "best.PSNR (dB)", "aside"], ["x|*y*", "22.12346", "1"], ["<script>", "-", "2"]]


def test_markdown_takes_nothing_in_a_table_for_its_own():
    text = to_markdown(TABLE)
    assert r"**a \| b**" in text
    assert "| --- | ---: | ---: |" in text
    assert r"| x\|\*y\* | 22.12 | 1 |" in text
    assert r"\<script>" in text
    assert all(line.count(" | ") == 2 for line in text.splitlines() if line.startswith("| "))


def test_without_a_terminal_tables_are_plain_and_unbroken():
    wide = TABLE._replace(columns=[Column(f"column {n}") for n in range(40)],
                          rows=[[Cell("value " * 3)] * 40])  # fmt: skip
    text = printed(wide, width=2000)
    assert len(text.splitlines()) == 4  # title, head, row, note
    assert text.isascii()


def test_a_terminal_shows_the_columns_that_fit_it():
    for width, fits in ((60, True), (20, False)):
        text = printed(TABLE, width=width, force_terminal=True, color_system=None)
        assert ("aside" in text) == fits
        assert "22.12" in text
        assert max(len(line.rstrip()) for line in text.splitlines()) <= width


def test_markup_in_a_name_is_shown_not_obeyed():
    table = TABLE._replace(rows=[[Cell("[bold]x[/bold]"), number(1.0), Cell("")]])
    assert "[bold]x[/bold]" in printed(table, width=200)
