"""What an evaluation found, in the terminal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from vidpred.reporting.outcome import shorten
from vidpred.runfolder import BASELINES, RunFolder

_UNITS = {"psnr": "PSNR dB", "psnr_inside": "inside dB", "psnr_outside": "outside dB", "ssim": "SSIM",
          "ms_ssim": "MS-SSIM", "mse": "MSE", "mae": "MAE", "lpips": "LPIPS"}  # fmt: skip
_EXACT = 60.0  # dB


def print_ranking(folders: Sequence[RunFolder], console: Console | None = None) -> None:
    """Print several checkpoints by PSNR, and what tells each from the first that was scored."""
    console = console or Console(highlight=False, soft_wrap=True)
    protocol = folders[0].read_json("metrics.json")["protocol"]
    table = Table(title="PSNR dB of all checkpoints", caption=f"protocol {protocol['name']} {protocol['fingerprint']}; "
                  "95 % intervals over clips, differences clip by clip")  # fmt: skip
    for name in ("checkpoint", "PSNR", "interval", "less the first", "interval"):
        table.add_column(name, justify="left" if name == "checkpoint" else "right", no_wrap=True)
    rows = []
    for folder in folders:
        metrics = folder.read_json("metrics.json")
        one, other = metrics["scores"]["psnr"], ("", "")
        if (folder.path / "comparison.json").is_file():
            difference = folder.read_json("comparison.json")["differences"]["psnr"]
            other = (f"{difference['mean']:+.2f}", _span(difference, "+.2f"))
        rows.append(
            (one["mean"], (shorten(Path(metrics["checkpoint"])), f"{one['mean']:.2f}", _span(one, ".2f"), *other))
        )
    for _, cells in sorted(rows, key=lambda row: -row[0]):
        table.add_row(*cells)
    console.print(table)


def _span(found: dict[str, Any], form: str) -> str:
    """Low and high of an interval; one clip has none."""
    return "" if found["low"] is None else f"{found['low']:{form}} to {found['high']:{form}}"


def print_comparison(folder: RunFolder, console: Console | None = None) -> None:
    """Print what tells a model from the first of an evaluation, if it is not the first."""
    console = console or Console(highlight=False, soft_wrap=True)
    if (folder.path / "comparison.json").is_file():
        console.print(folder.read_json("comparison.json")["sentence"])


def print_evaluation(folder: RunFolder, console: Console | None = None) -> None:
    """Print scores with their intervals, the protocol, what explains them, and where the rest is."""
    console = console or Console(highlight=False, soft_wrap=True)
    metrics = folder.read_json("metrics.json")
    console.print(_table(metrics))
    for line in _notes(metrics):
        console.print(line)
    if metrics["diagnoses"]:
        console.print()
    for diagnosis in metrics["diagnoses"]:
        console.print(f"[bold]{diagnosis['question']}[/bold] {diagnosis['sentence']}")
    console.print(f"\nwritten to {shorten(folder.path)}: metrics.json, clips.csv, frames.csv, figures and films")


def _table(metrics: dict[str, Any]) -> Table:
    """Model and baselines by metric, best first."""
    names = [name for name in _UNITS if name in metrics["scores"]]
    protocol = metrics["protocol"]
    clips = f"{metrics['clips']} {metrics['split']} clip{'s' * (metrics['clips'] > 1)}"
    table = Table(
        title=f"{clips}, {metrics['frames']} predicted frames",
        caption=f"protocol {protocol['name']} {protocol['fingerprint']}: {protocol['definition']}",
    )
    table.add_column("prediction", no_wrap=True)
    for name in names:
        table.add_column(_UNITS[name], justify="right", no_wrap=True)
    rows = {"model": metrics["scores"], **metrics["baselines"]}
    for label, scores in sorted(rows.items(), key=lambda row: -row[1]["psnr"]["mean"]):
        cells = [_cell(name, scores[name]["mean"]) if name in scores else "-" for name in names]
        table.add_row(label, *cells, style="bold green" if label == "model" else "")
    return table


def _cell(name: str, value: float) -> str:
    if name == "psnr" and value > _EXACT:
        return "exact"
    return f"{value:.{2 if name.startswith('psnr') else 5 if name == 'mse' else 3}f}"


def _notes(metrics: dict[str, Any]) -> list[str]:
    skill = metrics["skill"]
    lines = [", ".join(f"{name}: {BASELINES[name]}" for name in metrics["baselines"] if name in BASELINES) + "."]
    known = {name: metrics["scores"][name] for name in _UNITS
             if name in metrics["scores"] and metrics["scores"][name]["low"] is not None}  # fmt: skip
    if known:
        spans = [
            f"{_UNITS[name]} {_cell(name, one['low'])} to {_cell(name, one['high'])}" for name, one in known.items()
        ]
        lines.append(f"95 % intervals over clips: {', '.join(spans)}.")
    within = "" if skill["low"] is None else f" (95 % interval {skill['low']:.2f} to {skill['high']:.2f})"
    lines.append(f"Skill against copying the context frame, 1 − MSE / MSE of copying: {skill['mean']:.2f}{within}.")
    if metrics["way_to_oracle"] is not None:
        way = metrics["way_to_oracle"]
        lines.append(f"Of the way from copying to the oracle it has gone {way['db']:.0%} in dB, "
                     f"{way['squared_error']:.0%} in squared error.")  # fmt: skip
    lost = {name: frame for name, frame in metrics["loses_to"].items() if frame is not None}
    if lost:
        lines.append(
            "First frame at which a baseline is ahead: "
            + ", ".join(f"{name} {frame}" for name, frame in lost.items())
            + "."
        )
    curve = metrics["best_of_k"]["psnr"]
    if len(curve) > 1:
        lines.append(f"PSNR of the best of {len(curve)} samples: {curve[-1]:.2f} dB, of one: {curve[0]:.2f} dB.")
    if metrics["protocol"]["choice"] != "mean":
        lines.append("Samples were chosen by looking at the target: no forecast can do that.")
    if metrics["chosen_on"]:
        lines.append(f"The checkpoint was chosen on this split ({metrics['chosen_on']}): its score is too good.")
    if metrics["overlap_allowed"]:
        lines.append("Splits were allowed to share frames (data.allow_overlap=true): scores may be memory.")
    if metrics["broken_frames"]:
        lines.append(f"{metrics['broken_frames']} predicted frames held values that are not finite; they count as the "
                     f"worst there are.")  # fmt: skip
    return [*lines, *metrics["left_out"]]
