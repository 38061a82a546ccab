"""Finds run folders and reads what is in them: of what cannot be read the reader says so, and goes on."""

import os
from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy import ndarray as Array

from vidpred.limits import check_inside, read_text
from vidpred.reporting.runs import Run
from vidpred.runfolder import RunFolder, RunFolderError

_ASIDE = ("run_dir", "resume", "logger", "callbacks", "hydra")  # differ from run to run and say nothing
_MOST_CONFIG = 250_000  # bytes
_NUMBER = (int, float)
_ABOUT = {"choices": dict, "versions": dict, "data": str, "protocol": str, "git": str, "command": str, "seed": int}
_SUMMARY = {"protocol": str, "way_to_oracle": {"db": _NUMBER}, "ssim_best": _NUMBER, "skipped_steps": int}
_DOCTOR = {"sentence": str, "worth_db": _NUMBER, "rate": _NUMBER}


def find_runs(patterns: Sequence[str]) -> list[Run]:
    """The runs of run folders, at or below other folders, or below what patterns match; in the order of their names.

    One whose ``run.json`` cannot be read is ``unreadable``, and does not keep the others from being read.

    Raises:
        RunFolderError: if there is none, with the pattern that has none; or if none of them can be read.
    """
    folders: dict[Path, None] = {}
    for pattern in patterns:
        places = _places(pattern)
        found = [file.parent for place in places for file in sorted(place.rglob("run.json"))]
        if not found:
            raise RunFolderError(f"runs={pattern}: there is no run {'in this folder' if places else 'of this name'}")
        folders |= dict.fromkeys(folder.resolve() for folder in found)
    names = _short_names(list(folders))
    runs = [_try_run(folder, name) for folder, name in zip(folders, names, strict=True)]
    if all(run.unreadable for run in runs):
        raise RunFolderError(str(runs[0].unreadable))
    return runs


def _try_run(folder: Path, name: str) -> Run:
    try:
        return read_run(folder, name=name)
    except RunFolderError as error:
        return Run(name, RunFolder(folder), {}, {}, [], {}, {}, {}, [], {}, {}, unreadable=str(error))


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

    about, summary = folder.read_json("run.json"), read("summary.json", folder.read_json, {})
    return Run(
        name=name,
        folder=folder,
        about=_sound(about, _ABOUT, problems, folder.path / "run.json"),
        config=read("config.yaml", lambda _: _read_config(folder), {}),
        rows=read("metrics.csv", lambda _: folder.read_rows(), []),
        summary=_sound(summary, _SUMMARY, problems, folder.path / "summary.json"),
        psnr=read("psnr.npz", lambda _: _read_curves(folder), {}),
        validations=read("validations.npz", lambda _: _read_validations(folder), {}),
        courses=_read_courses(read("schedules.json", folder.read_json, {})),
        doctor=_sound(read("doctor.json", folder.read_json, {}), _DOCTOR, problems, folder.path / "doctor.json"),
        evaluation=read("evaluation/metrics.json", lambda _: _read_evaluation(folder), {}),
        failure=str(failed["error"]) if "error" in (failed := read("failed.json", folder.read_json, {})) else None,
        problems=problems,
    )


def _sound(values: dict[str, Any], kinds: dict[str, Any], problems: list[str], file: Path) -> dict[str, Any]:
    """The values without those of a kind that nobody would write, which are noted: somebody has edited the file."""
    wrong = [name for name, kind in kinds.items() if values.get(name) is not None and not _is(values[name], kind)]
    problems += [f"{file}: {name} is {str(values[name])[:40]!r}, which is not understood" for name in wrong]
    return {name: value for name, value in values.items() if name not in wrong}


def _is(value: Any, kind: Any) -> bool:
    if isinstance(kind, dict):
        return isinstance(value, dict) and all(_is(value.get(name), inner) for name, inner in kind.items())
    return isinstance(value, kind) and not isinstance(value, bool)


def _read_curves(folder: RunFolder) -> dict[str, Array]:
    """``psnr.npz``, whose arrays are of as many clips and frames."""
    arrays = folder.read_arrays("psnr.npz")
    model, clips, known = (arrays.get(name) for name in ("model", "clips", "context_frames"))
    sound = model is not None and model.ndim == 2 and model.size and np.isfinite(model).any(axis=1).all()
    if not sound or clips is None or clips.shape != (len(arrays["model"]),) or known is None or known.size != 1:
        raise RunFolderError(f"{folder.path / 'psnr.npz'} cannot be read: it does not hold the scores of a run")
    return arrays


def _read_validations(folder: RunFolder) -> dict[str, Array]:
    """``validations.npz``, whose arrays are of as many validations and clips."""
    arrays = folder.read_arrays("validations.npz")
    shape = (len(arrays.get("epochs", [])), len(arrays.get("clips", [])))
    if 0 in shape or any(arrays[name].shape != shape for name in ("psnr", "ssim") if name in arrays):
        raise RunFolderError(f"{folder.path / 'validations.npz'} cannot be read: it does not hold validations")
    return arrays


def _read_evaluation(folder: RunFolder) -> dict[str, Any]:
    """``evaluation/metrics.json``, whose diagnoses have questions and sentences."""
    held = folder.read_json("evaluation/metrics.json")
    diagnoses, left_out = held.get("diagnoses", []), held.get("left_out", [])
    told = isinstance(diagnoses, list) and all(_is(one, {"question": str, "sentence": str}) for one in diagnoses)
    told = told and all(one.keys() >= {"question", "sentence"} for one in diagnoses)
    if not told or not isinstance(left_out, list) or not all(isinstance(one, str) for one in left_out):
        raise RunFolderError(f"{folder.path / 'evaluation/metrics.json'} cannot be read: it is no evaluation")
    return held


def _read_courses(held: dict[str, Any]) -> list[dict[str, Any]]:
    """The schedules that have a name, a sentence, and numbers or nothing."""
    courses = held.get("courses")
    return [
        one for one in (courses if isinstance(courses, list) else [])
        if _is(one, {"name": str, "sentence": str})
        and (one.get("values") is None or _are_numbers(one["values"]))
    ]  # fmt: skip


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(_is(value, _NUMBER) for value in values)


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
        file = folder.path / "config.yaml"
        check_inside(file, folder.path)
        text = read_text(file, most=_MOST_CONFIG)
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ValueError("it has aliases, which no run writes")  # a few lines of them make billions of values
        config = yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise RunFolderError(f"{file} cannot be read: {' '.join(str(error).split())[:200]}") from None
    if config is not None and not isinstance(config, dict):
        raise RunFolderError(f"{folder.path / 'config.yaml'} cannot be read: it is no configuration")
    return _flatten({key: value for key, value in (config or {}).items() if key not in _ASIDE})


def _flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}".removesuffix("._target_")] = value
    return flat
