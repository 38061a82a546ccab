"""An evaluation as files: ``metrics.json``, tables, figures and films.

``metrics.json`` holds

===================  ===================================================================================
key                  what
===================  ===================================================================================
``format``           of the run folder's files
``checkpoint``       that was scored
``chosen_on``        the split that it was chosen on, if that is the one scored; else null
``data``             fingerprint of the data, and ``overlap_allowed``: whether its splits may share frames
``split``            that was scored; ``clips`` and ``frames`` (predicted, of all clips) of it
``seed``             of samples and intervals
``protocol``         every setting, ``definition`` and ``fingerprint``
``scores``           per metric ``mean``, ``low``, ``high``: over clips, with a 95 % bootstrap interval
``samples``          per metric ``mean``, ``highest``, ``lowest`` of a clip's samples, averaged over clips
``best_of_k``        per metric the best of k samples, k = 1 … N, without bias
``diversity``        variance of a clip's samples, averaged over pixels, frames, clips; null for one sample
``baselines``        per baseline what ``scores`` holds
``skill``            1 − MSE / MSE of copying the context frame, with its interval
``loses_to``         per baseline the first frame where it is ahead of the model, or null
``way_to_oracle``    part of the way from copying to the oracle, in ``db`` and ``squared_error``, or null
``broken_frames``    predicted frames with values that are not finite; they count as the worst there are
``diagnoses``        ``question``, ``sentence`` and ``numbers`` of each
``left_out``         what could not be measured, and why
===================  ===================================================================================

PSNR is in dB, errors in units of the squared range [0, 1]; ``_inside`` and ``_outside`` are of the protocol's mask.
``clips.csv`` and ``frames.csv`` hold every metric of the model and the baselines as a mean per clip and per frame, with
the protocol's fingerprint in every row, ``psnr.npz`` the PSNR of every clip and frame, ``conditions.npz`` likewise of
the rollouts behind the diagnoses. A comparison of several checkpoints is in ``comparison.json`` of all but the first.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.evaluation.assessment import Assessment
from vidpred.evaluation.conditions import POSE_CHANGES, ExaminedClip
from vidpred.evaluation.diagnoses import Diagnosis
from vidpred.evaluation.films import FILMS
from vidpred.evaluation.outcome import EXACT, as_matrix
from vidpred.runfolder import RunFolder, short_name
from vidpred.viz.evaluation import clips_figure, conditions_figure, error_figure, horizon_figure, samples_figure
from vidpred.viz.figures import psnr_figure

_CONDITIONS = {  # of conditions.png, by question: the rollouts and their names in the legend
    "pose": {"normal": "as asked for", **{f"pose {name}": name for name in POSE_CHANGES}},
    "z": {"z mean": "prior's mean", "normal": "prior's sample", "z zero": "zero",
          "z posterior": "posterior (sees target)", "z shuffled": "posterior, shuffled"},
    "exposure": {"forced": "true frame before each", "z mean": "own frames"},
}  # fmt: skip


FILES = ("metrics.json", "comparison.json", "clips.csv", "frames.csv", "psnr.npz", "conditions.npz", "psnr.png",
         "horizon.png", "psnr_by_clip.png", "error.png", "samples.png", "conditions.png", *FILMS)  # fmt: skip


def clear(folder: RunFolder) -> None:
    """Remove what an earlier evaluation wrote: this one may write less.

    Raises:
        OSError: if the folder cannot be written to, before anything was computed.
    """
    folder.write("metrics.json", "")
    for name in FILES:
        (folder.path / name).unlink(missing_ok=True)


def record(
    folder: RunFolder, assessment: Assessment, examined: Sequence[ExaminedClip], diagnoses: Sequence[Diagnosis], *,
    about: Mapping[str, Any], left_out: Sequence[str], seed: int,
) -> None:  # fmt: skip
    """Write numbers, tables and figures.

    Args:
        folder: to write to.
        assessment: the scores.
        examined: clips under changed conditions; empty if there are none.
        diagnoses: what explains the scores.
        about: checkpoint, data and split.
        left_out: what could not be measured.
        seed: of the bootstrap.
    """
    protocol = assessment.protocol
    summary = assessment.summarize(seed=seed)
    folder.write_json("metrics.json", {
        **about,
        "protocol": {**asdict(protocol), "definition": protocol.definition, "fingerprint": protocol.fingerprint},
        **summary,
        "diagnoses": [diagnosis._asdict() for diagnosis in diagnoses],
        "left_out": list(left_out),
    })  # fmt: skip
    _write_tables(folder, assessment)
    note = f"protocol {protocol.name} {protocol.fingerprint}, {len(assessment.clips)} clips; bands are 95 % intervals"
    _draw(folder, assessment, summary["best_of_k"], note)
    if examined:
        _record_conditions(folder, examined, assessment.context_frames, note)


def _write_tables(folder: RunFolder, assessment: Assessment) -> None:
    """``clips.csv``, ``frames.csv`` and ``psnr.npz``."""
    every = {"model": assessment.curves, **assessment.baselines}
    matrices = {f"{name}/{metric}": as_matrix(values) for name, curves in every.items()
                for metric, values in curves.items()}  # fmt: skip
    protocol = {"protocol": assessment.protocol.fingerprint}
    clips = [{"clip": window.sequence, **protocol, **_means({name: rows[number] for name, rows in matrices.items()})}
             for number, window in enumerate(assessment.windows)]  # fmt: skip
    frames = [{"frame": assessment.context_frames + step, **protocol,
               **_means({name: matrix[:, step] for name, matrix in matrices.items()})}
              for step in range(matrices["model/psnr"].shape[1])]  # fmt: skip
    for name, rows in (("clips.csv", clips), ("frames.csv", frames)):
        folder.write(name, _to_csv(rows))
    folder.write_arrays(
        "psnr.npz",
        clips=np.array([window.sequence for window in assessment.windows]),
        context_frames=np.array(assessment.context_frames),
        protocol=np.array(assessment.protocol.fingerprint),
        **{name: matrices[f"{name}/psnr"] for name in every},
    )


def _means(scores: Mapping[str, Float[Array, " _"]]) -> dict[str, str]:
    """Means of what is there; a mask may be empty everywhere."""
    return {name: f"{np.nanmean(values):.6g}" for name, values in scores.items() if np.isfinite(values).any()}


def _to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _draw(folder: RunFolder, assessment: Assessment, best_of_k: dict[str, list[float]], note: str) -> None:
    """The figures of the scores; curves that are exact would flatten the others."""
    known, model = assessment.context_frames, as_matrix(assessment.curves["psnr"])
    others = {short_name(name): curve for name, curve in assessment.psnr_of_baselines().items()
              if np.nanmean(curve) < EXACT}  # fmt: skip
    psnr_figure({"model": model, **others}, context_frames=known, note=note).savefig(folder["psnr.png"])
    horizon_figure(model, others, context_frames=known, note=note).savefig(folder["horizon.png"])
    clips_figure(model, context_frames=known, note=note.partition(";")[0]).savefig(folder["psnr_by_clip.png"])
    error_figure(assessment.error_image, note=note.partition(",")[0]).savefig(folder["error.png"])
    if assessment.reliability is not None:
        samples_figure(best_of_k, assessment.reliability, note=note.partition(";")[0]).savefig(folder["samples.png"])


def _record_conditions(folder: RunFolder, examined: Sequence[ExaminedClip], known: int, note: str) -> None:
    """``conditions.npz`` and ``conditions.png``."""
    curves = {name: as_matrix([clip.psnr[name] for clip in examined]) for name in examined[0].psnr}
    arrays = {name.replace(" ", "_"): curve for name, curve in curves.items()}
    folder.write_arrays("conditions.npz", context_frames=np.array(known), **arrays)
    panels = {question: {label: curves[name] for name, label in named.items()}
              for question, named in _CONDITIONS.items()}  # fmt: skip
    bands = f"one rollout a clip, {note.rpartition(', ')[2]}"
    conditions_figure(panels, context_frames=known, note=bands).savefig(folder["conditions.png"])
