"""What a training says at its end."""

import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from vidpred.runfolder import RunFolder

_MEANING = {
    "copy_context": "copy the context frame",
    "nearest_pose": "training frame with the nearest pose",
    "mean_frame": "mean training frame",
    "copy_previous": "copy the last true frame (sees more than the model)",
    "oracle": "mean of drawings with fresh random factors",
}


def print_outcome(folder: RunFolder, console: Console | None = None) -> None:
    """Print scores, files and next commands of a finished run."""
    console = console or Console()
    summary = folder.read_json("summary.json")
    console.print(outcome_table(summary))
    for line in _sentences(summary):
        console.print(line)
    place = _short(folder.path)
    files = {"checkpoint": folder.best, "film": folder.path / "film.gif", "figure": folder.path / "psnr.png"}
    for name, file in files.items():
        console.print(f"{name:<11}{_short(file)}", soft_wrap=True, highlight=False)
    console.print("\nNext:", highlight=False)
    for command in (
        f"python -m vidpred.evaluate ckpt={place}",
        f"python -m vidpred.predict ckpt={place}",
        f"tensorboard --logdir {_short(folder.path / 'tensorboard')}",
        f"python -m vidpred.run resume={place} trainer.max_epochs=…",
    ):
        console.print(f"  {command}", soft_wrap=True, highlight=False)


def outcome_table(summary: dict[str, Any]) -> Table:
    """Validation PSNR of the model and of every baseline, best first."""
    scores = {"model (best epoch)": summary["psnr_best"], **summary["baselines"]}
    table = Table(title="Validation rollout: mean PSNR per frame")
    table.add_column("prediction")
    table.add_column("dB", justify="right")
    for name, score in sorted(scores.items(), key=lambda item: -item[1]):
        label = f"{name}: {_MEANING[name]}" if name in _MEANING else name
        value = "exact" if score > 60 else f"{score:.2f}"
        table.add_row(label, value, style="bold green" if name.startswith("model") else "")
    return table


def _sentences(summary: dict[str, Any]) -> list[str]:
    lines = []
    copying = summary["baselines"].get("copy_context")
    if copying is not None:
        gain = summary["psnr_best"] - copying
        lines.append(f"The model is {gain:+.2f} dB from copying the context frame.")
    if summary["way_to_oracle"] is not None:
        lines.append(f"It has gone {summary['way_to_oracle']:.0%} of the way from copying to the oracle.")
    if summary["frames_per_second"] is not None:
        lines.append(
            f"{summary['steps']} steps in {summary['seconds']:.0f} s: {summary['frames_per_second']:.0f} predicted frames "
            f"a second; waiting for data took {summary['loader_share']:.1%} of the time."
        )
    if summary["skipped_steps"]:
        lines.append(f"{summary['skipped_steps']} steps were not finite and did not change the weights.")
    return lines


def _short(path: Path) -> str:
    """A path as seen from here, where it is below."""
    here = Path.cwd()
    return os.path.relpath(path, here) if path.resolve().is_relative_to(here) else str(path)
