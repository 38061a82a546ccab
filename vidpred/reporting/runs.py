"""Runs as their folders tell them, finished or not."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy import ndarray as Array

from vidpred.runfolder import Row, RunFolder


@dataclass(frozen=True)
class Run:
    """What the folder of a run holds; empty where a run has not come so far."""

    name: str  # no other run of the report has it
    folder: RunFolder
    about: dict[str, Any]  # run.json
    config: dict[str, Any]  # flat: a.b.c to value
    rows: list[Row]
    summary: dict[str, Any]
    psnr: dict[str, Array]  # psnr.npz
    validations: dict[str, Array]
    courses: list[dict[str, Any]]
    doctor: dict[str, Any]
    evaluation: dict[str, Any]
    failure: str | None = None  # why it ended before its time
    problems: list[str] = field(default_factory=list)  # files that could not be read
    unreadable: str | None = None  # why nothing is known of it: a report leaves it out, and says so

    @property
    def options(self) -> dict[str, Any]:
        """What tells it from other runs; the whole configuration where the run does not say."""
        choices: dict[str, Any] | None = self.about.get("choices")
        return self.config if choices is None else choices

    @property
    def epochs(self) -> int:
        """Epochs that are done."""
        return len(self.rows)

    @property
    def planned(self) -> int | None:
        """Epochs that were asked for."""
        return self.config.get("trainer.max_epochs")

    @property
    def status(self) -> str:
        """Finished, or how far it came."""
        if self.failure is None and self.summary:
            return "finished"
        return f"{'unfinished' if self.failure is None else 'failed'}, {self.epochs} of {self.planned or '?'} epochs"

    @property
    def clip_scores(self) -> Array:
        """Mean PSNR over the frames of every validation clip, at the best epoch, in dB (B,); empty if there is none."""
        return np.nanmean(self.psnr["model"], axis=1) if "model" in self.psnr else np.empty(0)

    @property
    def best(self) -> float | None:
        """The best validation's mean PSNR, in dB."""
        if len(self.clip_scores):
            return float(self.clip_scores.mean())
        return max((row["psnr/val"] for row in self.rows if "psnr/val" in row), default=None)

    def course(self, name: str) -> tuple[Array, Array]:
        """Epochs and values of a column of ``metrics.csv``, where it was measured."""
        points = [(row["epoch"], row[name]) for row in self.rows if name in row and "epoch" in row]
        return np.array([epoch for epoch, _ in points], float), np.array([value for _, value in points], float)


def differences(options: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each run's options those in which not all runs agree."""
    names = dict.fromkeys(name for row in options for name in row)
    differing = [name for name in names if len({repr(row.get(name)) for row in options}) > 1]
    return [{name: row[name] for name in differing if name in row} for row in options]
