"""What a training says at its end."""

import json
import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from vidpred.runfolder import BASELINES, RunFolder

Z = {"mean": "z at the prior's mean", "sample": "one draw of z from the prior"}


def print_outcome(folder: RunFolder, console: Console | None = None, *, next_steps: bool = True) -> None:
    """Print scores of a finished run, and where its files are and what to do next."""
    console = console or Console(highlight=False, soft_wrap=True)
    summary = folder.read_json("summary.json")
    scores = {f"model: best epoch, {Z[summary['z']]}": summary["psnr_best"], **summary["baselines"]}
    scores |= {f"the same, {Z[z]}": summary[f"psnr_{z}"] for z in Z if f"psnr_{z}" in summary}
    table = scores_table("Validation rollouts: mean PSNR per frame", scores)
    table.caption = f"protocol validation {summary['protocol']}: one rollout a clip, mean over frames, then clips"
    console.print(table)
    for line in [*_verdict(summary["psnr_best"], summary), *_costs(summary)]:
        console.print(line)
    if not next_steps:
        return
    place = shorten(folder.path)
    for name, file in {"checkpoint": "checkpoints/best.ckpt", "film": "film.gif", "figure": "psnr.png"}.items():
        console.print(f"{name:<11}{place}/{file}")
    commands = [
        f"python -m vidpred.report runs={place}",
        f"python -m vidpred.evaluate ckpt={place}",
        f"python -m vidpred.predict ckpt={place}",
        f"python -m vidpred.run init_from={place}/checkpoints/best.ckpt",
    ]
    if (folder.path / "tensorboard").is_dir():
        commands.append(f"tensorboard --logdir {place}/tensorboard")
    console.print("\nNext:")
    for command in commands:
        console.print(f"  {command}")


def finished_score(folder: RunFolder, choices: dict[str, Any]) -> float | None:
    """The best validation PSNR of a run that is finished and was made with these choices, in dB; else None."""
    if not (folder.path / "summary.json").is_file() or not (folder.path / "run.json").is_file():
        return None
    summary, made = folder.read_json("summary.json"), folder.read_json("run.json").get("choices")
    same = made == json.loads(json.dumps(choices))
    return float(summary["psnr_best"]) if same and summary.get("status") == "finished" else None


def print_changes(folder: RunFolder, choices: dict[str, Any], console: Console | None = None) -> None:
    """Say in what a run that is continued differs from what it was so far; nothing where that is not known."""
    console = console or Console(highlight=False, soft_wrap=True)
    if not (folder.path / "run.json").is_file():
        return
    before = folder.read_json("run.json").get("choices", {})
    changed = [f"{name} was {before[name]}, is {value}" for name, value in choices.items()
               if name in before and before[name] != value]  # fmt: skip
    if changed:
        console.print(f"Resumed with other options: {'; '.join(changed)}. Schedules are laws of the whole run: epochs "
                      f"that are done keep what they had, the others follow the new law.")  # fmt: skip


def scores_table(title: str, scores: dict[str, float]) -> Table:
    """Mean PSNR of the model and of every baseline, best first."""
    table = Table(title=title)
    table.add_column("prediction")
    table.add_column("dB", justify="right")
    for name, score in sorted(scores.items(), key=lambda item: -item[1]):
        label = f"{name}: {BASELINES[name]}" if name in BASELINES else name
        value = "exact" if score > 60 else f"{score:.2f}"
        table.add_row(label, value, style="bold green" if name.startswith("model:") else "")
    return table


def _verdict(score: float, summary: dict[str, Any]) -> list[str]:
    lines = []
    copying = summary["baselines"].get("copy_context")
    if copying is not None:
        lines.append(f"The model is {score - copying:+.2f} dB from copying the context frame.")
    if summary["way_to_oracle"] is not None:
        way = summary["way_to_oracle"]
        lines.append(f"Of the way from copying to the oracle it has gone {way['db']:.0%} in dB, "
                     f"{way['squared_error']:.0%} in squared error.")  # fmt: skip
    if summary.get("doctor"):
        lines.append(summary["doctor"]["sentence"])
    if summary["overlap_allowed"]:
        lines.append("Splits were allowed to share frames (data.allow_overlap=true): scores may be memory.")
    return lines


def _costs(summary: dict[str, Any]) -> list[str]:
    lines = []
    if summary["frames_per_second"] is not None:
        lines.append(
            f"{summary['steps']} steps in {summary['seconds']:.0f} s: {summary['frames_per_second']:.0f} predicted "
            f"frames a second; waiting for data took {summary['loader_share']:.1%} of the time."
        )
    if summary["skipped_steps"]:
        lines.append(f"{summary['skipped_steps']} steps were not finite and did not change the weights.")
    return lines


def shorten(path: Path) -> str:
    """A path as seen from here, where it is below."""
    here = Path.cwd()
    return os.path.relpath(path, here) if path.resolve().is_relative_to(here) else str(path)
