"""An evaluation as files: ``metrics.json``, tables, figures and films.

``metrics.json`` holds

===============  =======================================================================================
key              what
===============  =======================================================================================
``format``       of the run folder's files
``checkpoint``   that was scored, and ``chosen_on``: the split that it was chosen on, if that is the one scored
``data``         fingerprint of the data; ``split``, ``clips``, ``frames`` (predicted, of all clips)
``protocol``     every setting, ``definition`` and ``fingerprint``
``scores``       per metric ``mean``, ``low``, ``high``: over clips, with a 95 % bootstrap interval
``samples``      per metric ``mean``, ``highest``, ``lowest`` of a clip's samples, averaged over clips
``best_of_k``    PSNR of the best of k samples, k = 1 … N, without bias
``diversity``    variance of a clip's samples, averaged over pixels, frames and clips; null for one sample
``baselines``    per baseline what ``scores`` holds
``skill``        1 − MSE / MSE of copying the context frame, with its interval
``loses_to``     per baseline the first frame where it is ahead of the model, or null
``diagnoses``    question, sentence and numbers of each
``left_out``     what could not be measured, and why
===============  =======================================================================================

PSNR is in dB, errors in units of the squared range [0, 1].
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from vidpred.data.clips import Window
from vidpred.data.datamodule import ClipDataModule
from vidpred.data.source import Split
from vidpred.evaluation.assessment import Assessment
from vidpred.evaluation.diagnoses import Diagnosis
from vidpred.evaluation.outcome import as_matrix
from vidpred.evaluation.statistics import best_of_k
from vidpred.metrics.protocol import Protocol
from vidpred.networks import rollout
from vidpred.predictor import Predictor
from vidpred.runfolder import RunFolder
from vidpred.seeds import clip_generators
from vidpred.viz.evaluation import best_of_k_figure, clips_figure, error_figure
from vidpred.viz.figures import psnr_figure
from vidpred.viz.films import encode_gif, save_png, side_by_side, strip, to_pixels

_EXACT = 60.0  # dB; curves above it would flatten the others
_SCALE = 3  # of films


def record(
    folder: RunFolder, assessment: Assessment, diagnoses: Sequence[Diagnosis], *, protocol: Protocol,
    about: Mapping[str, Any], left_out: Sequence[str], seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Write numbers, tables and figures; what ``metrics.json`` holds.

    Args:
        folder: to write to.
        assessment: the scores.
        diagnoses: what explains them.
        protocol: that they hold under.
        about: checkpoint, data and split.
        left_out: what could not be measured.
        seed: of the bootstrap.
    """
    metrics = {
        **about,
        "protocol": {**asdict(protocol), "fingerprint": protocol.fingerprint},
        **assessment.summarize(seed=seed),
        "diagnoses": [diagnosis._asdict() for diagnosis in diagnoses],
        "left_out": list(left_out),
    }
    folder.write_json("metrics.json", metrics)
    _write_tables(folder, assessment)
    _draw(folder, assessment)
    return metrics


def record_films(
    folder: RunFolder, assessment: Assessment, predictor: Predictor, data: ClipDataModule, split: Split, *, z: str,
    seed: int,
) -> None:  # fmt: skip
    """Write the best, the median and the worst clip, by PSNR, as strips and films: truth, pose, prediction, error."""
    scores = [float(clip.mean()) for clip in assessment.curves["psnr"]]
    order = np.argsort(scores)
    chosen = {"worst": order[0], "median": order[len(order) // 2], "best": order[-1]}
    for name, number in chosen.items():
        rows = _roll_out(predictor, data, split, assessment.windows[int(number)], assessment.context_frames, z, seed)
        folder.write(f"{name}.gif", encode_gif(side_by_side(rows, scale=_SCALE), fps=data.fps))
        save_png(strip(rows, scale=2), folder[f"{name}.png"])


def _roll_out(
    predictor: Predictor, data: ClipDataModule, split: Split, window: Window, known: int, z: str, seed: int
) -> dict[str, np.ndarray]:
    """Sample 0 of a clip, again: it is a function of seed and clip."""
    clip = data.clips(split).__getitems__([window])
    frames, poses = (value.float().to(predictor.device) / 255 for value in (clip.frames, clip.poses))
    generators = clip_generators(seed, [window.sequence])
    predicted = rollout(predictor.model, frames[:, :known], poses, z=z, generators=generators).clamp(0, 1)
    error = (predicted - frames[:, known:]).abs().mean(dim=2, keepdim=True) * 4  # a quarter of the range is white
    rows = {"truth": frames[:, known:], "pose": poses[:, known:], "prediction": predicted, "error x4": error}
    return {name: to_pixels(torch.nan_to_num(value[0], nan=1.0)) for name, value in rows.items()}


def _write_tables(folder: RunFolder, assessment: Assessment) -> None:
    """``clips.csv``, ``frames.csv`` and ``psnr.npz``."""
    every = {"model": assessment.curves, **assessment.baselines}
    clips = [{"clip": window.sequence, **{f"{name}/{metric}": f"{np.nanmean(values[number]):.6g}" for name, curves in
              every.items() for metric, values in curves.items() if np.isfinite(values[number]).any()}}
             for number, window in enumerate(assessment.windows)]  # fmt: skip
    matrices = {f"{name}/{metric}": as_matrix(values) for name, curves in every.items() for metric, values in
                curves.items()}  # fmt: skip
    steps = next(iter(matrices.values())).shape[1]
    frames = [{"frame": assessment.context_frames + step, **{name: f"{np.nanmean(matrix[:, step]):.6g}" for name, matrix
               in matrices.items() if np.isfinite(matrix[:, step]).any()}} for step in range(steps)]  # fmt: skip
    for name, rows in (("clips.csv", clips), ("frames.csv", frames)):
        folder.write(name, _to_csv(rows))
    numbers = np.array([window.sequence for window in assessment.windows])
    psnr = {name: matrices[f"{name}/psnr"] for name in every}
    folder.write_arrays("psnr.npz", clips=numbers, context_frames=np.array(assessment.context_frames), **psnr)


def _to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _draw(folder: RunFolder, assessment: Assessment) -> None:
    known, sampled = assessment.context_frames, assessment.sampled
    curves = {"model": as_matrix(assessment.curves["psnr"]), **assessment.psnr_of_baselines()}
    shown = {name: curve for name, curve in curves.items() if np.nanmean(curve) < _EXACT}
    psnr_figure(shown, context_frames=known).savefig(folder["psnr.png"])
    clips_figure(curves["model"], context_frames=known).savefig(folder["psnr_by_clip.png"])
    error_figure(sampled.error_image).savefig(folder["error.png"])
    samples = np.stack([clip.mean(axis=1) for clip in sampled.scores["psnr"]])
    if samples.shape[1] > 1:
        best_of_k_figure(best_of_k(samples), sampled.reliability).savefig(folder["samples.png"])
