"""The outcome of a training: its best validation next to the baselines on the same clips."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.data.datamodule import ClipDataModule
from vidpred.evaluation.baselines import psnr_of_baselines
from vidpred.evaluation.sampling import sample_clips
from vidpred.evaluation.scoring import Scorer
from vidpred.metrics.protocol import Latent, Protocol
from vidpred.predictor import Predictor
from vidpred.runfolder import Row, RunFolder, short_name
from vidpred.viz.figures import psnr_figure

EXACT = 60.0  # dB; above it a prediction is the truth itself, but for rounding


def record_outcome(
    folder: RunFolder, data: ClipDataModule, *, baselines: bool, best: Predictor | None, z: Latent, skipped_steps: int
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
        and one per baseline, in dB; ``ssim_…`` and ``kl_…`` (the training's term) at the best and the last epoch.
    """
    arrays = folder.read_arrays("psnr.npz")
    known = int(arrays["context_frames"])
    curves = {"model": arrays["model"]}
    other: Latent = "sample" if z == "mean" else "mean"
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
    scores = {"psnr_best": means.pop("model"), **_course(rows)}
    if best is not None:
        scores[f"psnr_{other}"] = means.pop(f"model_{other}")
    summary = {
        "status": "finished",
        **scores,
        "z": z,
        "protocol": validation_protocol(z).fingerprint,
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


def _course(rows: list[Row]) -> dict[str, float]:
    """PSNR of the last validation; SSIM and KL of the last and of that with the best PSNR, where they were measured."""
    validated = [row for row in rows if "psnr/val" in row]
    chosen = {"best": max(validated, key=lambda row: row["psnr/val"]), "last": validated[-1]}
    measured = {"ssim": "ssim/val", "kl": "train/kl"}
    return {"psnr_last": chosen["last"]["psnr/val"]} | {
        f"{short}_{when}": row[name] for short, name in measured.items() for when, row in chosen.items() if name in row
    }


def psnr_of_rollouts(predictor: Predictor, data: ClipDataModule, *, z: Latent) -> dict[int, Float[Array, " S"]]:
    """PSNR of the model's validation rollouts, by the clip's number, per predicted frame, in dB.

    Args:
        predictor: the model, with the seed of its training.
        data: serves the clips.
        z: "mean" of the prior, or a "sample" of it.
    """
    scorer = Scorer(validation_protocol(z), metrics=("psnr",))
    windows = data.eval_sampler("val").windows
    found = sample_clips(predictor, data, "val", windows, scorer, context_frames=predictor.context_frames,
                         seed=predictor.config["seed"])  # fmt: skip
    return {clip.window.sequence: clip.scores["psnr"][0] for clip in found}


def validation_protocol(z: Latent) -> Protocol:
    """What validation in training does, as a protocol: one rollout a clip, mean PSNR of its frames, then of clips."""
    return Protocol(name="validation", z=z)


def as_matrix(rows: Sequence[Float[Array, " _"]]) -> Float[Array, "B S"]:
    """Scores of clips in rows, padded with NaN past a clip's end."""
    matrix = np.full((len(rows), max(len(row) for row in rows)), np.nan, dtype=np.float32)
    for number, row in enumerate(rows):
        matrix[number, : len(row)] = row
    return matrix


def _draw(folder: RunFolder, curves: dict[str, Float[Array, "B S"]], means: dict[str, float], known: int) -> None:
    """The figure of all curves but those that are exact, which would flatten the others."""
    shown = {short_name(name): curve for name, curve in curves.items() if means[name] < EXACT}
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
    if db["oracle"] > EXACT:
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
