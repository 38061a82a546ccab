"""Runs as their folders tell them, finished or not."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy import ndarray as Array

from vidpred.runfolder import Row, RunFolder, RunFolderError

_ASIDE = ("run_dir", "resume", "logger", "callbacks", "hydra")  # differ from run to run and say nothing


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


def find_runs(patterns: Sequence[str]) -> list[Run]:
    """The runs of run folders, at or below other folders, or below what patterns match; in the order of their names.

    Raises:
        RunFolderError: if there is none, with the pattern that has none.
    """
    folders: dict[Path, None] = {}
    for pattern in patterns:
        places = _places(pattern)
        found = [file.parent for place in places for file in sorted(place.rglob("run.json"))]
        if not found:
            raise RunFolderError(f"runs={pattern}: there is no run {'in this folder' if places else 'of this name'}")
        folders |= dict.fromkeys(folder.resolve() for folder in found)
    names = _short_names(list(folders))
    return [read_run(folder, name=name) for folder, name in zip(folders, names, strict=True)]


def latest() -> Path:
    """The folder of the newest sweep or single run below ``multirun`` and ``outputs``.

    Raises:
        RunFolderError: if there is none.
    """
    places = [Path(file).parent for file in glob("outputs/*/*/run.json")]
    places += {Path(file).parent.parent for file in glob("multirun/*/*/*/run.json")}
    if not places:
        raise RunFolderError("there is no run below outputs and multirun: say runs=FOLDER")
    return max(places, key=lambda place: place.parts[-2:])


def read_run(path: Path, *, name: str) -> Run:
    """Read what there is; files that cannot be read are said in ``problems``.

    Raises:
        RunFolderError: if ``run.json`` cannot be read.
    """
    folder, problems = RunFolder(path), list[str]()

    def read(file: str, reader: Any, empty: Any) -> Any:
        if not (path / file).is_file():
            return empty
        try:
            return reader(file)
        except RunFolderError as error:
            problems.append(str(error))
            return empty

    return Run(
        name=name,
        folder=folder,
        about=folder.read_json("run.json"),
        config=read("config.yaml", lambda _: _read_config(folder), {}),
        rows=read("metrics.csv", lambda _: folder.read_rows(), []),
        summary=read("summary.json", folder.read_json, {}),
        psnr=read("psnr.npz", folder.read_arrays, {}),
        validations=read("validations.npz", folder.read_arrays, {}),
        courses=read("schedules.json", folder.read_json, {}).get("courses", []),
        doctor=read("doctor.json", folder.read_json, {}),
        evaluation=read("evaluation/metrics.json", folder.read_json, {}),
        failure=read("failed.json", folder.read_json, {}).get("error"),
        problems=problems,
    )


def differences(options: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each run's options those in which not all runs agree."""
    names = dict.fromkeys(name for row in options for name in row)
    differing = [name for name in names if len({repr(row.get(name)) for row in options}) > 1]
    return [{name: row[name] for name in differing if name in row} for row in options]


def _places(pattern: str) -> list[Path]:
    """The folder of a path, or those that a pattern matches."""
    path = Path(pattern).expanduser()
    if path.exists():
        return [path]
    literal = str(path).replace("[", "[[]")  # brackets are part of a name, * and ? are not
    return [Path(match) for match in sorted(glob(literal))]


def _short_names(folders: Sequence[Path]) -> list[str]:
    """The paths below what all have in common; of a sweep's job its number alone, where no two have the same."""
    if len(folders) == 1:
        return [folders[0].name]
    common = Path(os.path.commonpath([str(folder) for folder in folders]))
    full = [str(folder.relative_to(common)) if folder != common else folder.name for folder in folders]
    short = [_job_number(name) for name in full]
    return short if len(set(short)) == len(short) else full


def _job_number(name: str) -> str:
    head, slash, last = name.rpartition("/")
    number = last.partition("_")[0]
    return f"{head}{slash}{number}" if number.isdigit() else name


def _read_config(folder: RunFolder) -> dict[str, Any]:
    try:
        config = yaml.safe_load((folder.path / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        raise RunFolderError(f"{folder.path / 'config.yaml'} cannot be read") from None
    return _flatten({key: value for key, value in (config or {}).items() if key not in _ASIDE})


def _flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}".removesuffix("._target_")] = value
    return flat
