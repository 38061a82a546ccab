"""The outcome of a training: its best validation next to the baselines on the same clips."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.data.datamodule import ClipDataModule, to_batch
from vidpred.evaluation.baselines import psnr_of_baselines
from vidpred.metrics import psnr
from vidpred.networks import rollout
from vidpred.predictor import Predictor
from vidpred.runfolder import Row, RunFolder
from vidpred.seeds import clip_generators
from vidpred.viz.figures import psnr_figure

_EXACT = 60.0  # dB; above it a prediction is the truth itself, but for rounding


def record_outcome(
    folder: RunFolder, data: ClipDataModule, *, baselines: bool, best: Predictor | None, z: str, skipped_steps: int
) -> dict[str, float]:
    """Score baselines, and the model with the other z, on the validation clips; draw, write ``summary.json``.

    Args:
        folder: of the run, with ``psnr.npz`` of its best validation.
        data: of the run.
        baselines: whether to score them.
        best: the model of that validation, to be scored with the other z; None leaves it out.
        z: that validation used, "mean" or "sample".
        skipped_steps: that the non-finite guard undid.

    Returns:
        The scores: ``psnr_best``, ``psnr_last``, ``psnr_sample`` or ``psnr_mean`` of the best model with the other z,
        and one per baseline, in dB.
    """
    arrays = folder.read_arrays("psnr.npz")
    known = int(arrays["context_frames"])
    curves = {"model": arrays["model"]}
    other = "sample" if z == "mean" else "mean"
    if best is not None:
        scored = psnr_of_rollouts(best, data, z=other)
        curves[f"model_{other}"] = as_matrix([scored[int(clip)] for clip in arrays["clips"]])
    if baselines:
        windows = {window.sequence: window for window in data.eval_sampler("val").windows}
        chosen = [windows[int(clip)] for clip in arrays["clips"]]
        costless = psnr_of_baselines(data, "val", chosen, context_frames=known)
        curves |= {name: as_matrix(values) for name, values in costless.items()}
    folder.write_arrays("psnr.npz", clips=arrays["clips"], context_frames=arrays["context_frames"], **curves)
    means = mean_scores(curves)
    _draw(folder, curves, means, known)
    rows = folder.read_rows()
    validated = [row["psnr/val"] for row in rows if "psnr/val" in row]
    scores = {"psnr_best": means.pop("model"), "psnr_last": validated[-1]}
    if best is not None:
        scores[f"psnr_{other}"] = means.pop(f"model_{other}")
    summary = {
        "status": "finished",
        **scores,
        "z": z,
        "baselines": means,
        "way_to_oracle": way_to_oracle(curves),
        "doctor": _verdict(folder),
        "overlap_allowed": data.source.allow_overlap,
        "epochs": len(rows),
        "steps": int(rows[-1]["step"]),
        "seconds": rows[-1]["seconds"],
        "skipped_steps": skipped_steps,
        "frames_per_second": _mean(rows, "speed/frames_per_second"),
        "loader_share": _mean(rows, "speed/loader_share"),
    }
    folder.write_json("summary.json", summary)
    return scores | means


@torch.no_grad()
def psnr_of_rollouts(predictor: Predictor, data: ClipDataModule, *, z: str) -> dict[int, Float[Array, " S"]]:
    """PSNR of the model's validation rollouts, by the clip's number, per predicted frame, in dB.

    Args:
        predictor: the model, with the seed of its training.
        data: serves the clips.
        z: "mean" of the prior, or a "sample" of it.
    """
    known = predictor.context_frames
    scores: dict[int, Array] = {}
    for windows in data.eval_sampler("val"):
        batch = to_batch(data.clips("val").__getitems__(windows))
        frames, poses = batch.frames.to(predictor.device), batch.poses.to(predictor.device)
        clips = batch.sequence.tolist()
        generators = clip_generators(predictor.config["seed"], clips)
        predicted = rollout(predictor.model, frames[:, :known], poses, z=z, generators=generators)
        rows = psnr(predicted, frames[:, known:], data_range=1.0).cpu().numpy()
        scores |= dict(zip(clips, rows, strict=True))
    return scores


def as_matrix(rows: Sequence[Float[Array, " _"]]) -> Float[Array, "B S"]:
    """Scores of clips in rows, padded with NaN past a clip's end."""
    matrix = np.full((len(rows), max(len(row) for row in rows)), np.nan, dtype=np.float32)
    for number, row in enumerate(rows):
        matrix[number, : len(row)] = row
    return matrix


def _draw(folder: RunFolder, curves: dict[str, Float[Array, "B S"]], means: dict[str, float], known: int) -> None:
    """The figure of all curves but those that are exact, which would flatten the others."""
    shown = {name: curve for name, curve in curves.items() if means[name] < _EXACT}
    psnr_figure(shown, context_frames=known).savefig(folder["psnr.png"])


def mean_scores(curves: dict[str, Float[Array, "B S"]]) -> dict[str, float]:
    """Mean over clips of the mean over a clip's frames, in dB."""
    return {name: float(np.nanmean(curve, axis=1).mean()) for name, curve in curves.items()}


def way_to_oracle(curves: dict[str, Float[Array, "B _"]]) -> dict[str, float] | None:
    """How far the model has come from copying the context frame to the oracle: 0 is copying, 1 the oracle.

    Once on the scale of PSNR (``db``), which early frames dominate, where the oracle is nearly exact; and once on that
    of the mean squared error (``squared_error``), which is what the oracle minimizes: the share of the avoidable error
    that the model avoids. None without an oracle, or where it is the truth itself.
    """
    if not {"model", "copy_context", "oracle"} <= curves.keys():
        return None
    db = mean_scores({name: curves[name] for name in ("copy_context", "model", "oracle")})
    if db["oracle"] > _EXACT:
        return None
    error = {name: float(np.nanmean(10 ** (-curves[name] / 10), axis=1).mean()) for name in db}
    return {
        "db": (db["model"] - db["copy_context"]) / (db["oracle"] - db["copy_context"]),
        "squared_error": (error["copy_context"] - error["model"]) / (error["copy_context"] - error["oracle"]),
    }


def _verdict(folder: RunFolder) -> dict[str, str] | None:
    """The doctor's last; None where no doctor was called."""
    if not (folder.path / "doctor.json").is_file():
        return None
    told = folder.read_json("doctor.json")
    return {name: told[name] for name in ("state", "sentence")}


def _mean(rows: list[Row], name: str) -> float | None:
    values = [row[name] for row in rows if name in row]
    return float(np.mean(values)) if values else None
