"""What an evaluation says: numbers under a protocol, with their intervals, next to baselines on the same clips."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from torch import Tensor

from vidpred.data.clips import Window
from vidpred.data.datamodule import ClipDataModule
from vidpred.data.source import Split
from vidpred.evaluation.baselines import Frames, score_baselines
from vidpred.evaluation.guards import EvaluationError, check_shape
from vidpred.evaluation.outcome import as_matrix, way_to_oracle
from vidpred.evaluation.sampling import SampledClip, sample_clips
from vidpred.evaluation.scoring import LARGER_IS_BETTER, Scorer
from vidpred.metrics.protocol import Choice, Protocol
from vidpred.predictor import Predictor
from vidpred.statistics import Interval, best_of_k, interval

Curves = dict[str, list[Float[Array, " S"]]]  # per metric and clip


class AssessedClip(NamedTuple):
    """Scores of the model's samples of a clip, and of every baseline by metric."""

    sampled: SampledClip
    baselines: dict[str, dict[str, Float[Array, " S"]]]


@dataclass(frozen=True)
class Assessment:
    """Scores of a model and of the baselines on the same clips.

    Args:
        protocol: that they hold under.
        context_frames: K that rollouts were given.
        clips: what each of them scored.

    Attributes:
        curves: the model's scores, per metric, clip and frame, after the protocol's choice among samples.
        baselines: the same of every baseline.

    Raises:
        EvaluationError: if samples cannot be chosen as the protocol says.
    """

    protocol: Protocol
    context_frames: int
    clips: Sequence[AssessedClip]
    curves: Curves = field(init=False)
    baselines: dict[str, Curves] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "curves", choose(_by_metric(one.scores for one in self.sampled), self.protocol.choice))
        names = list(self.clips[0].baselines)
        baselines = {name: _by_metric(clip.baselines[name] for clip in self.clips) for name in names}
        object.__setattr__(self, "baselines", baselines)

    @property
    def sampled(self) -> list[SampledClip]:
        """What the samples of every clip scored."""
        return [clip.sampled for clip in self.clips]

    @property
    def windows(self) -> list[Window]:
        """The clips."""
        return [one.window for one in self.sampled]

    @property
    def error_image(self) -> Float[Array, "H W"]:
        """Squared error by pixel, averaged over samples, frames and channels, then clips."""
        return np.asarray(np.mean([one.error_image for one in self.sampled], axis=0))

    @property
    def reliability(self) -> Float[Array, "bins 3"] | None:
        """Pixels by the variance of samples, of all clips; None of a single sample."""
        spreads = [one.spread.reliability for one in self.sampled if one.spread is not None]
        return np.asarray(np.sum(spreads, axis=0)) if spreads else None

    @property
    def mean_psnr(self) -> float:
        """Of the model, in dB: over frames, then clips."""
        return float(np.mean([clip.mean() for clip in self.curves["psnr"]]))

    def summarize(self, *, seed: int) -> dict[str, Any]:
        """Means over clips of means over frames, with intervals, as plain containers.

        Args:
            seed: of the bootstrap.
        """
        scores = _by_metric(one.scores for one in self.sampled)
        spreads = [one.spread.variance for one in self.sampled if one.spread is not None]
        return {
            "clips": len(self.clips),
            "frames": sum(window.length - self.context_frames for window in self.windows),
            "scores": _intervals(self.curves, seed),
            "samples": {name: spread(clips) for name, clips in scores.items() if np.isfinite(clips[0]).any()},
            "best_of_k": self.best_of_k(),
            "diversity": float(np.mean([variance.mean() for variance in spreads])) if spreads else None,
            "baselines": {name: _intervals(curves, seed) for name, curves in self.baselines.items()},
            "skill": self.skill(seed=seed)._asdict(),
            "loses_to": {name: self.loses_to(name) for name in self.baselines},
            "way_to_oracle": way_to_oracle({"model": as_matrix(self.curves["psnr"]), **self.psnr_of_baselines()}),
            "broken_frames": sum(one.broken for one in self.sampled),
        }

    def best_of_k(self) -> dict[str, list[float]]:
        """Of every metric of whole frames, the best of k samples for k = 1 … N, without bias, averaged over clips."""
        scores = _by_metric(one.scores for one in self.sampled)
        found = {}
        for name in (name for name in scores if "side" not in name):
            means = np.stack([clip.mean(axis=1) for clip in scores[name]])
            sign = 1 if LARGER_IS_BETTER[name] else -1
            found[name] = (sign * best_of_k(sign * means)).tolist()
        return found

    def psnr_of_baselines(self) -> dict[str, Float[Array, "B S"]]:
        """Per clip and frame."""
        return {name: as_matrix(curves["psnr"]) for name, curves in self.baselines.items()}

    def skill(self, *, seed: int) -> Interval:
        """1 − MSE / MSE of copying the context frame, both averaged over a clip: 0 is copying, 1 is perfect."""
        model, copying = (np.array([clip.mean() for clip in curves["mse"]])
                          for curves in (self.curves, self.baselines["copy_context"]))  # fmt: skip
        return interval(1 - model / np.maximum(copying, 1e-12), seed=seed)

    def loses_to(self, baseline: str) -> int | None:
        """The first frame of the clip where the baseline has the higher mean PSNR; None if there is none."""
        model, other = (np.nanmean(as_matrix(curves["psnr"]), axis=0)
                        for curves in (self.curves, self.baselines[baseline]))  # fmt: skip
        behind = np.flatnonzero(model < other)
        return int(behind[0]) + self.context_frames if len(behind) else None


def assess_clips(
    predictor: Predictor, data: ClipDataModule, split: Split, windows: Sequence[Window], scorer: Scorer, *,
    context_frames: int, seed: int = 0, advance: Callable[[int], None] = lambda frames: None,
) -> list[AssessedClip]:  # fmt: skip
    """Roll out clips, and score them and the baselines.

    Args:
        predictor: the model.
        data: serves the clips.
        split: of the clips.
        windows: the clips.
        scorer: of the frames, with its protocol.
        context_frames: K.
        seed: of the samples.
        advance: is told of every frame that has been predicted.

    Raises:
        EvaluationError: if the data has not the model's shape.
    """
    check_shape(predictor, data)
    sampled = sample_clips(predictor, data, split, windows, scorer, context_frames=context_frames, seed=seed,
                           advance=advance)  # fmt: skip

    def score(predicted: Frames, target: Frames, number: int) -> dict[str, Float[Tensor, " S"]]:
        clip = data.clips(split).__getitems__([windows[number]])
        poses, context = (value.float() / 255 for value in (clip.poses[:, context_frames:],
                                                            clip.frames[:, context_frames - 1]))  # fmt: skip
        return {name: values[0] for name, values in scorer(predicted[None], target[None], poses, context).items()}

    baselines = score_baselines(data, split, windows, score, context_frames=context_frames)
    return [
        AssessedClip(one, {name: {metric: values[number] for metric, values in metrics.items()}
                           for name, metrics in baselines.items()})
        for number, one in enumerate(sampled)
    ]  # fmt: skip


def choose(scores: Mapping[str, Sequence[Float[Array, "N S"]]], choice: Choice) -> Curves:
    """Of every clip's samples their mean, the one with the best SSIM, or every metric's own best.

    Raises:
        EvaluationError: if SSIM is to choose, and frames are too small for it.
    """
    if choice == "best_ssim" and "ssim" not in scores:
        raise EvaluationError("the protocol chooses samples by SSIM, for which frames of this size are too small")
    curves: Curves = {}
    for name, clips in scores.items():
        for number, clip in enumerate(clips):
            judge, larger = (scores["ssim"][number], True) if choice == "best_ssim" else (clip, LARGER_IS_BETTER[name])
            means = _mean(judge.T)
            means = np.where(np.isfinite(means), means, -np.inf if larger else np.inf)
            best = clip[int(means.argmax() if larger else means.argmin())]
            curves.setdefault(name, []).append(_mean(clip) if choice == "mean" else best)
    return curves


def spread(clips: Sequence[Float[Array, "N S"]]) -> dict[str, float]:
    """Of every clip's samples the mean, the highest and the lowest, averaged over clips."""
    means = [[float(_mean(sample)) for sample in clip] for clip in clips]
    return {
        "mean": float(_mean(np.array([np.mean(clip) for clip in means]))),
        "highest": float(_mean(np.array([max(clip) for clip in means]))),
        "lowest": float(_mean(np.array([min(clip) for clip in means]))),
    }


def _by_metric(clips: Iterable[Mapping[str, Array]]) -> dict[str, list[Array]]:
    found: dict[str, list[Array]] = {}
    for scores in clips:
        for name, values in scores.items():
            found.setdefault(name, []).append(values)
    return found


def _intervals(curves: Curves, seed: int) -> dict[str, dict[str, float]]:
    found = {}
    for name, clips in curves.items():
        values = np.array([_mean(clip) for clip in clips])
        if np.isfinite(values).any():  # a mask may be empty in a whole clip
            found[name] = interval(values[np.isfinite(values)], seed=seed)._asdict()
    return found


def _mean(values: Array) -> Any:
    """Over the first axis, NaN left out: they stand where a mask is empty; a prediction has none, see the scorer."""
    counted = np.isfinite(values)
    total, count = np.where(counted, values, 0).sum(axis=0), counted.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
