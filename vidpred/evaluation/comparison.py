"""Two models on the same clips: the difference clip by clip, which tells them apart where their scores alone do not."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vidpred.evaluation.assessment import Assessment
from vidpred.evaluation.guards import EvaluationError
from vidpred.evaluation.scoring import LARGER_IS_BETTER
from vidpred.statistics import interval


def compare(
    first: Assessment, second: Assessment, *, names: tuple[str, str], data: tuple[str, str] = ("", ""), seed: int = 0
) -> dict[str, Any]:
    """The difference of two models, second less first, of every metric, with its interval, and a sentence on PSNR.

    Args:
        first: of one model.
        second: of the other, on the same clips, with the same seed.
        names: of the models.
        data: fingerprints of the data that each was scored on.
        seed: of the bootstrap.

    Raises:
        EvaluationError: if clips, data or protocol differ.
    """
    same: Mapping[str, tuple[Any, Any]] = {
        "data": data,
        "clips": (first.windows, second.windows),
        "protocol": (first.protocol.fingerprint, second.protocol.fingerprint),
        "context": (first.context_frames, second.context_frames),
    }
    for what, (one, two) in same.items():
        if one != two:
            raise EvaluationError(f"{names[0]} and {names[1]} cannot be compared: they were scored with other {what}")
    metrics = {}
    for metric in LARGER_IS_BETTER:
        if metric in first.curves and metric in second.curves:
            pairs = zip(first.curves[metric], second.curves[metric], strict=True)
            values = np.array([np.nanmean(two) - np.nanmean(one) for one, two in pairs if np.isfinite(one).any()])
            metrics[metric] = interval(values, seed=seed)._asdict()
    return {
        "names": list(names),
        "differences": metrics,
        "clips": len(first.clips),
        "sentence": _sentence(metrics["psnr"], names, len(first.clips)),
    }


def _sentence(psnr: Mapping[str, float], names: tuple[str, str], clips: int) -> str:
    better, worse = (names[1], names[0]) if psnr["mean"] > 0 else names
    low, high = sorted(abs(psnr[side]) for side in ("low", "high"))
    by = f"{abs(psnr['mean']):.2f} dB"
    if psnr["low"] > 0 or psnr["high"] < 0:
        return f"{better} is better than {worse} by {by} (95 % interval {low:.2f} to {high:.2f}, {clips} clips)."
    if psnr["mean"] == 0:
        return f"{names[0]} and {names[1]} score alike on these {clips} clips."
    return (f"{names[0]} and {names[1]} cannot be told apart on these {clips} clips: {better} is ahead by {by} (95 % "
            f"interval of the second less the first {psnr['low']:+.2f} to {psnr['high']:+.2f}).")  # fmt: skip
