"""What the folder of a run holds; written by training and evaluation, read by reporting.

=========================  ==============================================================================
file                       what
=========================  ==============================================================================
``config.yaml``            the configuration, resolved
``run.json``               when, where and with what: seed, command, git revision, data, protocol of its validations,
                           versions
``data.json``              of every split: frames, share of moving pixels, PSNR of copying at several horizons
``schedules.json``         ``courses`` over ``epochs``: of every schedule its name, its sentence and, at up to 500
                           places spread evenly over the run, its values, or null where they follow the training
``schedules.png``          beta, forcing probability, learning rate and clip length over the run
``metrics.csv``            one row per epoch: epoch, step, seconds, and every logged metric's mean
``psnr.npz``               validation PSNR of the best epoch: ``clips`` (B,), ``model`` (B, S) in dB, NaN past
                           a clip's end, and ``context_frames``; ``model_sample`` or ``model_mean`` with the
                           other z, and every baseline under its own name
``validations.npz``        of every validation (V) ``epochs`` and ``steps`` before it, and of every clip (B) the means
                           over its frames: ``clips`` (B,), ``psnr`` (V, B) in dB, ``ssim`` (V, B)
``films.npz``              at the best epoch the numbers of the shown ``clips``, of the ``best`` and the ``worst``, and
                           of clip N ``pose_N``, ``truth_N``, ``prediction_N`` (T, H, W, 3), uint8, and ``every_N``:
                           1 for all its frames, k for every k-th
``summary.json``           status, best and last scores, baselines
``failed.json``            ``error``: why the run ended before its time; not there otherwise
``doctor.json``            does z live: numbers and verdict of the last validation
``film.gif``               truth, pose and prediction of a few validation clips, at the best epoch
``strip.png``              the same as a still picture
``psnr.png``               PSNR per frame of the model and the baselines
``checkpoints/``           ``best.ckpt`` by validation PSNR, ``last.ckpt`` and the one before it, ``previous.ckpt``
``tensorboard/``           event files, for TensorBoard alone
=========================  ==============================================================================
"""

import contextlib
import csv
import io
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray as Array

from vidpred.limits import check_archive, check_inside, read_json, read_text

FORMAT = 3
_MOST_TABLE, _MOST_ARRAYS = 64_000_000, 2_000_000_000  # bytes
BASELINES = {
    "copy_context": "copy the context frame",
    "nearest_pose": "training frame with the nearest pose",
    "mean_frame": "mean training frame",
    "copy_previous": "copy the last true frame (sees more than the model)",
    "oracle": "mean of drawings with fresh random factors",
}
_SHORT = {"model_mean": "model, z at the prior's mean", "model_sample": "model, one draw of z", "oracle": "oracle"}
Row = dict[str, int | float]  # of metrics.csv: one epoch


class RunFolderError(ValueError):
    """A folder is not that of a run that this version can read."""


@dataclass(frozen=True)
class RunFolder:
    """Names the files of a run and writes them whole, or not at all."""

    path: Path

    def __getitem__(self, name: str) -> Path:
        """The path of a file; its folder is made."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    @property
    def best(self) -> Path:
        """The checkpoint of the best validation PSNR."""
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def last(self) -> Path:
        """The checkpoint of the last epoch."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def previous(self) -> Path:
        """The one before it."""
        return self.path / "checkpoints" / "previous.ckpt"

    def resume_points(self, resume: str | None) -> list[Path]:
        """Checkpoints that a run may continue from, the newest first: the next one counts if one cannot be read.

        Args:
            resume: None starts anew; "auto" takes this folder's checkpoints, if there are any; a path is a checkpoint,
                or the folder of a run.

        Raises:
            RunFolderError: if the path holds no checkpoint.
        """
        if resume is None:
            return []
        path = self.path if resume == "auto" else Path(resume).expanduser()
        run = RunFolder(path)
        places = [path] if path.is_file() else [run.last, run.previous, run.best]
        found = [place for place in places if place.is_file()]
        if not found and resume != "auto":
            raise RunFolderError(f"resume={resume}: there is no checkpoint {places[0]}")
        return found

    def write(self, name: str, content: bytes | str) -> Path:
        """Write a file under a temporary name and move it in place.

        Raises:
            OSError: that names the file, if it cannot be written; what was there before stays.
        """
        data = content.encode() if isinstance(content, str) else content
        target = self.path / name
        temporary = target.with_name(f".{target.name}-{os.getpid()}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            os.replace(temporary, target)
        except OSError as error:
            raise OSError(f"{target} could not be written: {error.strerror or error}") from error
        finally:
            with contextlib.suppress(OSError):  # its folder may be gone
                temporary.unlink(missing_ok=True)
        return target

    def write_json(self, name: str, values: dict[str, Any]) -> None:
        """Write a JSON file with the format's number; NaN and infinity become null."""
        self.write(name, json.dumps({"format": FORMAT, **_finite(values)}, indent=2) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of this format.

        Raises:
            RunFolderError: if it is missing, unreadable or of a newer format.
        """
        file = self.path / name
        try:
            check_inside(file, self.path)
            values: Any = read_json(file)
        except FileNotFoundError:
            raise RunFolderError(f"{self.path} is not the folder of a run: {name} is missing") from None
        except (OSError, ValueError) as error:
            raise RunFolderError(f"{file} cannot be read: {_reason(error)}") from None
        if not isinstance(values, dict) or not isinstance(values.get("format", 0), int):
            raise RunFolderError(f"{file} cannot be read: it is not what a run writes")
        if values.pop("format", 0) > FORMAT:
            raise RunFolderError(f"{file} was written by a newer vidpred; this one reads format {FORMAT}")
        return values

    def write_rows(self, rows: list[Row]) -> None:
        """Write ``metrics.csv``: one row per epoch; the columns are all names that occur, in their order."""
        columns = list(dict.fromkeys(name for row in rows for name in row))
        stream = io.StringIO()
        writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.write("metrics.csv", stream.getvalue())

    def read_rows(self) -> list[Row]:
        """Read ``metrics.csv``; empty fields are left out. No file is no rows.

        Raises:
            RunFolderError: if it is no table of numbers.
        """
        file = self.path / "metrics.csv"
        if not file.is_file():
            return []
        try:
            check_inside(file, self.path)
            lines = read_text(file, most=_MOST_TABLE).splitlines()
            return [{name: _number(value) for name, value in row.items() if value} for row in csv.DictReader(lines)]
        except (OSError, ValueError, TypeError, csv.Error) as error:
            raise RunFolderError(f"{file} cannot be read: {_reason(error)}") from None

    def write_arrays(self, name: str, **arrays: Array) -> None:
        """Write a compressed npz file."""
        stream = io.BytesIO()
        np.savez_compressed(stream, allow_pickle=False, **arrays)
        self.write(name, stream.getvalue())

    def read_arrays(self, name: str) -> dict[str, Array]:
        """Read an npz file; nothing in it is executed.

        Raises:
            RunFolderError: if it is missing or unreadable.
        """
        file = self.path / name
        if not file.is_file():
            raise RunFolderError(f"{self.path} has no {name}: the run has not been validated yet")
        try:
            check_inside(file, self.path)
            check_archive(file, most=_MOST_ARRAYS)
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                return {key: arrays[key] for key in arrays.files}
        except Exception as error:  # a broken zip raises of a dozen kinds
            reason = f": {error}" if type(error) is ValueError else ""
            raise RunFolderError(f"{file} cannot be read: {type(error).__name__}{reason}") from error


def short_name(curve: str) -> str:
    """What a legend calls a curve of ``psnr.npz``."""
    return _SHORT.get(curve) or BASELINES.get(curve, curve).partition(" (")[0]


def _reason(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200]


def _number(text: str) -> int | float:
    return int(text) if text.isdigit() else float(text)


def home_of(checkpoint: Path) -> Path:
    """The folder of the run that a checkpoint lies in; elsewhere the checkpoint's own folder."""
    if checkpoint.is_dir():
        return checkpoint
    return checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
