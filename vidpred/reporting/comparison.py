"""Runs next to each other: where they differ, and how they score."""

from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from vidpred.runfolder import RunFolder, RunFolderError

_ASIDE = ("run_dir", "resume", "logger", "callbacks", "hydra")  # differ from run to run and say nothing


def find_runs(path: Path) -> list[RunFolder]:
    """The runs at or below a folder, finished or not, in the order of their names.

    Raises:
        RunFolderError: if there is none.
    """
    runs = [RunFolder(file.parent) for file in sorted(path.rglob("run.json"))]
    if not runs:
        raise RunFolderError(f"runs={path}: there is no run in this folder")
    return runs


def comparison_table(runs: list[RunFolder]) -> Table:
    """One row per run, best first: options in which the runs differ, scores, time."""
    options = differences([_options(run) for run in runs])
    table = Table(title=f"{len(runs)} run{'s' if len(runs) > 1 else ''}, best first")
    names = sorted({name for row in options for name in row})
    table.add_column("run")
    for name in names:
        longest = max(len(str(row.get(name, "-"))) for row in options)
        broken = name.replace(".", ".\n")
        width = max(longest, *(len(line) for line in broken.splitlines()))
        table.add_column(broken, overflow="fold", min_width=min(20, width))
    for name in ("best\ndB", "last\ndB", "to\noracle", "z worth\ndB", "KL\nnats", "min"):
        table.add_column(name, justify="right")
    rows = [(_summary(run), run, row) for run, row in zip(runs, options, strict=True)]
    for summary, run, row in sorted(rows, key=lambda entry: -(entry[0].get("psnr_best") or float("-inf"))):
        way = summary.get("way_to_oracle")
        scores = [f"{summary[key]:.2f}" if summary.get(key) is not None else "-" for key in ("psnr_best", "psnr_last")]
        minutes = f"{summary['seconds'] / 60:.1f}" if "seconds" in summary else "unfinished"
        table.add_row(run.path.name.partition("_")[0], *(str(row.get(name, "-")) for name in names), *scores,
                      "-" if way is None else f"{way['db']:.0%}", *_latents(run), minutes)  # fmt: skip
    return table


def differences(options: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each run's options those in which not all runs agree."""
    names = {name for row in options for name in row}
    differing = {name for name in names if len({repr(row.get(name)) for row in options}) > 1}
    return [{name: value for name, value in row.items() if name in differing} for row in options]


def _options(run: RunFolder) -> dict[str, Any]:
    """What tells a run from others; the whole configuration where the run does not say."""
    choices: dict[str, Any] | None = run.read_json("run.json").get("choices")
    if choices is not None:
        return choices
    file = run.path / "config.yaml"
    config = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return dict(_flatten({key: value for key, value in config.items() if key not in _ASIDE}))


def _flatten(config: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in config.items():
        if isinstance(value, dict):
            rows += _flatten(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}".removesuffix("._target_"), value))
    return rows


def _latents(run: RunFolder) -> list[str]:
    """What z is worth, and its KL a frame, at the last validation; dashes where no doctor was called."""
    try:
        told = run.read_json("doctor.json")
    except RunFolderError:
        return ["-", "-"]
    return [f"{told['worth_db']:.2f}", f"{told['rate']:.1f}"]


def _summary(run: RunFolder) -> dict[str, Any]:
    """The outcome; of a run that did not finish, what its rows tell."""
    try:
        return run.read_json("summary.json")
    except RunFolderError:
        scores = [row["psnr/val"] for row in run.read_rows() if "psnr/val" in row]
        return {"psnr_best": max(scores), "psnr_last": scores[-1]} if scores else {}
