"""Compare runs: ``python -m vidpred.report runs=multirun/…``."""

from pathlib import Path
from typing import TYPE_CHECKING

from vidpred import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(cfg: "DictConfig") -> None:
    """Print the table of all runs below a folder."""
    from rich.console import Console

    from vidpred.reporting.comparison import comparison_table, find_runs

    Console().print(comparison_table(find_runs(Path(cfg.runs))))


if __name__ == "__main__":
    cli.launch("report", main)
