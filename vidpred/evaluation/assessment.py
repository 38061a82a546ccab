"""What an evaluation says: numbers under a protocol, with their intervals, next to baselines on the same clips."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from torch import Tensor

from vidpred.data.clips import Window
from vidpred.data.datamodule import ClipDataModule
from vidpred.data.source import SPLITS, Split
from vidpred.data.splits import check_apart
from vidpred.evaluation.baselines import Frames, score_baselines
from vidpred.evaluation.outcome import as_matrix, way_to_oracle
from vidpred.evaluation.sampling import EvaluationError, Sampled, choose_windows, sample_clips
from vidpred.evaluation.scoring import LARGER_IS_BETTER, Scorer
from vidpred.evaluation.statistics import Interval, best_of_k, interval
from vidpred.metrics.protocol import Choice
from vidpred.predictor import Predictor

Curves = dict[str, list[Float[Array, " S"]]]  # per metric and clip


@dataclass(frozen=True)
class Assessment:
    """Scores of a model and of the baselines on the same clips.

    Attributes:
        windows: the clips.
        context_frames: K that rollouts were given.
        sampled: all samples' scores.
        curves: the model's, per metric, clip and frame, after the protocol's choice among samples.
        baselines: the same of every baseline.
    """

    windows: list[Window]
    context_frames: int
    sampled: Sampled
    curves: Curves
    baselines: dict[str, Curves]

    def summarize(self, *, seed: int) -> dict[str, Any]:
        """Means over clips of means over frames, with intervals, as plain containers.

        Args:
            seed: of the bootstrap.
        """
        psnr = self.sampled.scores["psnr"]
        samples = np.stack([clip.mean(axis=1) for clip in psnr])
        return {
            "clips": len(self.windows),
            "frames": sum(window.length - self.context_frames for window in self.windows),
            "scores": _intervals(self.curves, seed),
            "samples": {
                name: spread(values) for name, values in self.sampled.scores.items() if np.isfinite(values[0]).any()
            },
            "best_of_k": best_of_k(samples).tolist(),
            "diversity": float(np.mean([clip.mean() for clip in self.sampled.spread])) if self.sampled.spread else None,
            "baselines": {name: _intervals(curves, seed) for name, curves in self.baselines.items()},
            "skill": self.skill(seed=seed)._asdict(),
            "loses_to": {name: self.loses_to(name) for name in self.baselines},
            "way_to_oracle": way_to_oracle({"model": as_matrix(self.curves["psnr"]), **self.psnr_of_baselines()}),
            "broken_frames": self.sampled.broken,
        }

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


def assess(
    predictor: Predictor, data: ClipDataModule, split: Split, scorer: Scorer, *, z: str = "sample", seed: int = 0,
    advance: Callable[[int], None] = lambda frames: None,
) -> Assessment:  # fmt: skip
    """Roll out, score and choose among samples as the protocol says; score the baselines on the same clips.

    Args:
        predictor: the model.
        data: serves the clips.
        split: of the clips.
        scorer: of the frames, with its protocol.
        z: "sample" from the prior, or its "mean".
        seed: of the samples.
        advance: is told of every frame that has been predicted.

    Raises:
        EvaluationError: if a clip is too short for the protocol, or the data has not the model's shape.
    """
    if predictor.model.shape != data.shape:
        raise EvaluationError(f"the model was built for {predictor.model.shape}, the data has {data.shape}")
    protocol = scorer.protocol
    known = protocol.context_frames or predictor.context_frames
    windows = choose_windows(data, split, context_frames=known, frames=protocol.frames)
    samples = protocol.samples if z == "sample" else 1
    sampled = sample_clips(predictor, data, split, windows, scorer, context_frames=known, samples=samples, z=z,
                           seed=seed, advance=advance)  # fmt: skip

    def score(predicted: Frames, target: Frames, number: int) -> dict[str, Float[Tensor, " S"]]:
        clip = data.clips(split).__getitems__([windows[number]])
        poses, context = (value.float() / 255 for value in (clip.poses[:, known:], clip.frames[:, known - 1]))
        found = scorer(predicted[None], target[None], poses, context)
        return {name: values[0] for name, values in found.items()}

    baselines = score_baselines(data, split, windows, score, context_frames=known)
    return Assessment(windows, known, sampled, choose(sampled.scores, protocol.choice), baselines)


def choose(scores: dict[str, list[Float[Array, "N S"]]], choice: Choice) -> Curves:
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
            means = np.nan_to_num(np.nanmean(judge, axis=1), nan=-np.inf if larger else np.inf)
            best = clip[int(means.argmax() if larger else means.argmin())]
            curves.setdefault(name, []).append(_mean(clip) if choice == "mean" else best)
    return curves


def compare(first: Assessment, second: Assessment, *, names: tuple[str, str], seed: int = 0) -> dict[str, Any]:
    """The difference of two models on the same clips and seeds, clip by clip, with its interval and a sentence."""
    pairs = [(one.mean(), two.mean()) for one, two in zip(first.curves["psnr"], second.curves["psnr"], strict=True)]
    difference = interval(np.array([two - one for one, two in pairs]), seed=seed)
    sure = difference.low > 0 or difference.high < 0
    better, worse = (names[1], names[0]) if difference.mean > 0 else names
    by = f"{abs(difference.mean):.2f} dB (95 % interval {difference.low:+.2f} to {difference.high:+.2f})"
    unsure = f"{names[0]} and {names[1]} cannot be told apart on these {len(pairs)} clips: {better} is ahead by {by}."
    sentence = f"{better} is better than {worse} by {by}." if sure else unsure
    return {"names": list(names), "psnr": difference._asdict(), "sentence": sentence}


def check_split(data: ClipDataModule, split: Split, *, allow_selection_split: bool) -> None:
    """Refuse scores that would flatter: on the split that chose the checkpoint, or on frames that training has seen.

    Raises:
        EvaluationError: for the split that checkpoints are chosen on, or for one that the data has not.
        SplitError: if splits share frames.
    """
    if split == "val" and not allow_selection_split:
        raise EvaluationError(
            "the best checkpoint of a run is chosen on val: its score there is too good. Use split=test, or, where the "
            "data has no test split, insist with allow_selection_split=true; every table then says so"
        )
    if split == "train":
        raise EvaluationError("split=train was trained on: use split=test")
    if not data.source.allow_overlap:
        present = {name: data.store(name).sequences for name in SPLITS if name in ("train", split)}
        check_apart(present)


def spread(clips: list[Float[Array, "N S"]]) -> dict[str, float]:
    """Of every clip's samples the mean, the highest and the lowest, averaged over clips."""
    means = [[float(_mean(sample)) for sample in clip] for clip in clips]
    return {
        "mean": float(_mean(np.array([np.mean(clip) for clip in means]))),
        "highest": float(_mean(np.array([max(clip) for clip in means]))),
        "lowest": float(_mean(np.array([min(clip) for clip in means]))),
    }


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
