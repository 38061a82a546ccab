"""The outcome of a training: its best validation next to the baselines on the same clips."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.data.clips import Window
from vidpred.data.datamodule import ClipDataModule
from vidpred.evaluation.baselines import score_baselines
from vidpred.runfolder import RunFolder
from vidpred.viz.figures import psnr_figure


def record_outcome(folder: RunFolder, data: ClipDataModule, *, baselines: bool, skipped_steps: int) -> dict[str, float]:
    """Score the baselines, draw the PSNR figure and write ``summary.json``.

    Args:
        folder: of the run, with ``psnr.npz`` of its best validation.
        data: of the run.
        baselines: whether to score them.
        skipped_steps: that the non-finite guard undid.

    Returns:
        The scores: ``psnr_best``, ``psnr_last`` and one per baseline, in dB.
    """
    arrays = folder.read_arrays("psnr.npz")
    known = int(arrays["context_frames"])
    curves = {"model": arrays["model"]}
    if baselines:
        windows = _windows(data, arrays["clips"])
        scored = score_baselines(data, "val", windows, context_frames=known)
        curves |= {name: _pad([row.numpy() for row in rows]) for name, rows in scored.items()}
    folder.write_arrays("psnr.npz", clips=arrays["clips"], context_frames=arrays["context_frames"], **curves)
    psnr_figure(curves, context_frames=known).savefig(folder["psnr.png"])

    means = {name: float(np.nanmean(curve, axis=1).mean()) for name, curve in curves.items()}
    rows = folder.read_rows()
    validated = [row["psnr/val"] for row in rows if "psnr/val" in row]
    scores = {"psnr_best": means.pop("model"), "psnr_last": validated[-1]}
    summary = {
        "status": "finished",
        **scores,
        "baselines": means,
        "way_to_oracle": _way_to_oracle(scores["psnr_best"], means),
        "epochs": len(rows),
        "steps": int(rows[-1]["step"]),
        "seconds": rows[-1]["seconds"],
        "skipped_steps": skipped_steps,
        "frames_per_second": _mean(rows, "speed/frames_per_second"),
        "loader_share": _mean(rows, "speed/loader_share"),
    }
    folder.write_json("summary.json", summary)
    return scores | means


def _way_to_oracle(score: float, baselines: dict[str, float]) -> float | None:
    """(model − copying) / (oracle − copying) in dB; None without an oracle, or where it is the truth itself."""
    copying, oracle = baselines.get("copy_context"), baselines.get("oracle")
    if copying is None or oracle is None or oracle > 60:
        return None
    return (score - copying) / (oracle - copying)


def _windows(data: ClipDataModule, clips: Array) -> list[Window]:
    windows = {window.sequence: window for window in data.eval_sampler("val").windows}
    return [windows[int(clip)] for clip in clips]


def _pad(rows: list[Float[Array, " S"]]) -> Float[Array, "B S"]:
    padded = np.full((len(rows), max(len(row) for row in rows)), np.nan, dtype=np.float32)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded


def _mean(rows: list[dict[str, float]], name: str) -> float | None:
    values = [row[name] for row in rows if name in row]
    return float(np.mean(values)) if values else None
