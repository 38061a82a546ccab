"""Compare runs: ``python -m vidpred.report runs=multirun/… out=report.html``."""

from pathlib import Path
from typing import TYPE_CHECKING

from vidpred import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(cfg: "DictConfig") -> None:
    """Print the ranking of runs, and write a page with its figures and tables, unless ``format=text``."""
    from vidpred.reporting.reading import find_runs, latest
    from vidpred.reporting.report import summary_tables, write_report
    from vidpred.reporting.tables import print_table
    from vidpred.reporting.words import tell_left_out

    if cfg.format not in ("html", "text"):
        raise ValueError(f"format must be html or text, got {cfg.format!r}")
    if cfg.closely < 0:
        raise ValueError(f"closely must be >= 0, got {cfg.closely}")
    patterns = [str(latest())] if cfg.runs is None else cli.split_list(cfg.runs)
    runs = find_runs(patterns)
    for table in summary_tables(runs):
        print_table(table)
    for sentence in tell_left_out(runs):
        print(sentence)
    if cfg.format == "text":
        return
    place = Path(patterns[0]).expanduser()
    home = place if len(patterns) == 1 and place.is_dir() else Path()
    out = home / "report.html" if cfg.out is None else Path(cfg.out).expanduser()
    if out.suffix not in (".html", ".htm"):
        raise ValueError(f"out={out}: a report is an .html file")
    print(write_report(runs, out, closely=cfg.closely))


if __name__ == "__main__":
    cli.launch("report", main)
