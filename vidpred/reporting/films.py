"""The films of runs as sheets of pictures, which a page moves through with one scrubber."""

import base64
import io
from collections.abc import Sequence
from math import ceil, sqrt
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from numpy import ndarray as Array
from PIL import Image

from vidpred.reporting.charts import Look, choose
from vidpred.reporting.comparison import Field
from vidpred.reporting.runs import Run
from vidpred.runfolder import RunFolderError
from vidpred.viz.films import strip

GAIN = 4  # on errors: a quarter of the range is at the end of the colours
_STILLS = 8  # moments of the picture that stands for a film on paper


class Tile(NamedTuple):
    """One of the films that play together."""

    label: str
    run: str | None  # None for truth and pose
    sheet: str  # data URI of the frames, row by row
    error: str | None  # likewise of the error's maps
    psnr: list[float | None] | None  # of every frame shown, dB


class Film(NamedTuple):
    """A validation clip as several runs predict it."""

    clip: int
    title: str
    frames: int
    first: int  # number of its first frame
    every: int  # 1 if all frames are there, k for every k-th
    size: tuple[int, int]  # width and height of a frame, pixels
    columns: int  # of frames in a sheet
    tiles: Sequence[Tile]
    still: str  # data URI of a strip


def make_films(field: Field, look: Look, *, most: int) -> list[Film]:
    """The clips that runs have kept: those that all of them share first, then each run's best and worst.

    Args:
        field: of runs.
        look: their names.
        most: runs that are shown, the best of each setting first.
    """
    runs = choose(field, most, lambda run: (run.folder.path / "films.npz").is_file())
    kept: dict[str, dict[str, Array]] = {}
    for run in runs:
        try:
            kept[run.name] = _read_films(run)
        except RunFolderError as error:
            run.problems.append(str(error))
    runs = [run for run in runs if run.name in kept]
    clips = list(dict.fromkeys(int(clip) for run in runs for clip in kept[run.name]["clips"]))
    holders = {clip: _alike([run for run in runs if clip in kept[run.name]["clips"]], clip, kept) for clip in clips}
    clips.sort(key=lambda clip: -len(holders[clip]))
    return [_make_film(clip, holders[clip], kept, look) for clip in clips]


def _alike(runs: Sequence[Run], clip: int, kept: dict[str, dict[str, Array]]) -> list[Run]:
    """Those that have kept as many frames of the same size as the first."""
    shapes = {run.name: kept[run.name][f"truth_{clip}"].shape for run in runs}
    return [run for run in runs if shapes[run.name] == shapes[runs[0].name]]


def _read_films(run: Run) -> dict[str, Array]:
    """``films.npz``, whose clips have truth, pose and prediction of one shape.

    Raises:
        RunFolderError: if it cannot be read, or is something else.
    """
    arrays = run.folder.read_arrays("films.npz")
    clips = arrays.get("clips", np.empty(0))
    numbers = [f"every_{clip}" for clip in clips.ravel().tolist()] + ["best", "worst"]
    sound = clips.ndim == 1 and clips.dtype.kind in "iu" and all(_is_number(arrays.get(name)) for name in numbers)
    for clip in clips.tolist() if sound else []:
        films = [arrays.get(f"{kind}_{clip}") for kind in ("truth", "pose", "prediction")]
        shapes = {None if film is None or film.dtype != np.uint8 else film.shape for film in films}
        shape = shapes.pop()
        sound = sound and not shapes and shape is not None and len(shape) == 4 and shape[3] == 3 and 0 not in shape
        sound = sound and int(arrays[f"every_{clip}"]) >= 1
    if not sound:
        raise RunFolderError(f"{run.folder.path / 'films.npz'} cannot be read: it does not hold the films of a run")
    return arrays


def _is_number(array: Array | None) -> bool:
    return array is not None and array.ndim == 0 and array.dtype.kind in "iu"


def _make_film(clip: int, runs: Sequence[Run], kept: dict[str, dict[str, Array]], look: Look) -> Film:
    own = kept[runs[0].name]
    truth, pose, every = own[f"truth_{clip}"], own[f"pose_{clip}"], int(own[f"every_{clip}"])
    frames, (height, width) = len(truth), truth.shape[1:3]
    columns = ceil(sqrt(frames * height / width))
    tiles = [
        Tile("truth", None, _sheet(truth, columns), None, None),
        Tile("pose", None, _sheet(pose, columns), None, None),
    ]
    rows = {"truth": truth, "pose": pose}
    for run in runs:
        predicted = kept[run.name][f"prediction_{clip}"]
        tiles.append(Tile(look.label(run), run.name, _sheet(predicted, columns),
                          _sheet(error_map(predicted, truth), columns), _psnr_of(run, clip, every)))  # fmt: skip
        rows[look.label(run)] = predicted
    roles = [_tell_role(role, [look.label(run) for run in runs if int(kept[run.name][role]) == clip], len(runs))
             for role in ("best", "worst")]  # fmt: skip
    title = ": ".join([f"clip {clip}", ", ".join(role for role in roles if role)]).removesuffix(": ")
    still = _uri(strip(rows, columns=_STILLS))
    return Film(clip, title, frames, int(runs[0].psnr["context_frames"]) if runs[0].psnr else 1, every,
                (width, height), columns, tiles, still)  # fmt: skip


def _tell_role(role: str, labels: Sequence[str], runs: int) -> str:
    """Of which runs a clip is the best or the worst."""
    if not labels:
        return ""
    if runs == 1:
        return role
    if len(labels) == runs:
        return f"{role} of all"
    return f"{role} of {labels[0] if len(labels) == 1 else f'{len(labels)} runs'}"


def error_map(predicted: UInt8[Array, "T H W 3"], truth: UInt8[Array, "T H W 3"]) -> UInt8[Array, "T H W 3"]:
    """Mean absolute error over the channels, ``GAIN`` times, in the colours of magma: black is none."""
    error = np.abs(predicted.astype(np.int16) - truth).mean(axis=3) * GAIN
    colors = (mpl.colormaps["magma"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
    shown: Array = colors[np.minimum(error, 255).astype(np.uint8)]
    return shown


def _sheet(film: UInt8[Array, "T H W 3"], columns: int) -> str:
    """Frames in rows of so many, as WebP."""
    rows = ceil(len(film) / columns)
    padded = np.concatenate([film, np.zeros((rows * columns - len(film), *film.shape[1:]), np.uint8)])
    return _uri(rearrange(padded, "(r c) h w ch -> (r h) (c w) ch", c=columns))


def _uri(picture: UInt8[Array, "H W 3"]) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="WEBP", quality=88, method=4)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _psnr_of(run: Run, clip: int, every: int) -> list[float | None] | None:
    """Of the frames that are shown; None where the clip was not scored."""
    if "model" not in run.psnr or clip not in run.psnr["clips"]:
        return None
    scores: Any = run.psnr["model"][list(run.psnr["clips"]).index(clip)][::every]
    return [round(float(score), 2) if np.isfinite(score) else None for score in scores]
