"""Rollouts of clips, several samples of each, scored piece by piece: memory grows neither with their length nor number.

What is found is a value per clip, whatever the clips and samples that were computed with it.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Float, Shaped, UInt8
from numpy import ndarray as Array
from torch import Tensor

from vidpred.data.clips import Window
from vidpred.data.datamodule import ClipDataModule
from vidpred.data.source import Split
from vidpred.evaluation.scoring import Scorer
from vidpred.networks.rollout import stream_rollout
from vidpred.predictor import Predictor
from vidpred.seeds import clip_generators
from vidpred.types import Clip


class Together(NamedTuple):
    """How much is computed at once: a few rows keep a processor's caches warm, many keep a GPU busy."""

    rollouts: int
    frames: int  # of each of them, scored together


BINS = 10  # of predicted spread, for calibration
TOGETHER = {"cpu": Together(8, 8), "cuda": Together(64, 32), "mps": Together(32, 16)}


class Spread(NamedTuple):
    """What the samples of a clip say together."""

    variance: Float[Array, " S"]  # unbiased, averaged over channels and pixels
    error_of_mean: Float[Array, " S"]  # squared error of the samples' mean, likewise
    reliability: Float[Array, "bins 3"]  # pixels by variance: their number, summed variance, summed squared error


class SampledClip(NamedTuple):
    """Scores of a clip's samples."""

    window: Window
    scores: dict[str, Float[Array, "N S"]]
    error_image: Float[Array, "H W"]  # squared error by pixel, averaged over samples, frames and channels
    broken: int  # frames with values that are not finite
    spread: Spread | None  # None of a single sample


@torch.no_grad()
def sample_clips(
    predictor: Predictor,
    data: ClipDataModule,
    split: Split,
    windows: Sequence[Window],
    scorer: Scorer,
    *,
    context_frames: int,
    seed: int = 0,
    advance: Callable[[int], None] = lambda frames: None,
) -> list[SampledClip]:
    """Roll out and score clips, as often as the protocol says.

    Args:
        predictor: the model.
        data: serves the clips.
        split: of the clips.
        windows: the clips.
        scorer: of the frames, with its protocol.
        context_frames: K that rollouts are given.
        seed: of the samples.
        advance: is told of every frame that has been predicted.
    """
    found: list[SampledClip] = []
    samples = scorer.protocol.samples
    for group in group_windows(windows, max(1, TOGETHER[predictor.device.type].rollouts // samples)):
        clips = Clip(*(value.to(predictor.device) for value in data.clips(split).__getitems__(group)))
        tallies = [_Tally(samples, window.length - context_frames) for window in group]
        for steps, blocks in _roll_out(predictor, clips, scorer, context_frames, seed):
            moments = _Moments()
            for predicted in blocks:
                _score_piece(predicted, clips, steps, scorer, context_frames, tallies, moments)
                advance(predicted.shape[0] * predicted.shape[1] * predicted.shape[2])
            if samples > 1:
                for tally, variance, error in zip(tallies, moments.variance(), moments.squared_error(), strict=True):
                    tally.add_spread(variance, error)
        found += [tally.result(window) for window, tally in zip(group, tallies, strict=True)]
    return found


def group_windows(windows: Sequence[Window], size: int) -> Iterator[list[Window]]:
    """Clips of one length, at most ``size`` together, in their order."""
    for _, same in groupby(windows, key=lambda window: window.length):
        group = list(same)
        yield from (group[first : first + size] for first in range(0, len(group), size))


def _roll_out(
    predictor: Predictor, clips: Clip, scorer: Scorer, known: int, seed: int
) -> Iterator[tuple[slice, Iterator[Float[Tensor, "B n s C H W"]]]]:
    """Some frames of all samples at a time: which frames, and the samples in blocks that are computed together."""
    count, length = clips.frames.shape[:2]
    together, samples = TOGETHER[predictor.device.type], scorer.protocol.samples
    size = max(1, together.rollouts // count)
    streams = [
        stream_rollout(
            predictor.model,
            _repeat(_to_float(clips.frames[:, :known]), len(block)),
            _repeat(clips.poses, len(block)),
            z=scorer.protocol.z,
            generators=clip_generators(seed, clips.sequence.tolist(), samples=block),
            chunk=together.frames,
        )
        for block in (range(first, min(first + size, samples)) for first in range(0, samples, size))
    ]
    for first in range(known, length, together.frames):
        pieces = (rearrange(next(stream), "(b n) s c h w -> b n s c h w", b=count) for stream in streams)
        yield slice(first, min(first + together.frames, length)), pieces


def _score_piece(
    predicted: Float[Tensor, "B n s C H W"], clips: Clip, steps: slice, scorer: Scorer, known: int,
    tallies: Sequence["_Tally"], moments: "_Moments",
) -> None:  # fmt: skip
    """Some frames of some samples of every clip."""
    count = predicted.shape[1]
    rows = rearrange(predicted, "b n s c h w -> (b n) s c h w")
    target, poses, context = (
        _repeat(_to_float(value), count)
        for value in (clips.frames[:, steps], clips.poses[:, steps], clips.frames[:, known - 1])
    )
    scores = {name: rearrange(score, "(b n) s -> b n s", n=count).cpu().numpy()
              for name, score in scorer(rows, target, poses, context).items()}  # fmt: skip
    error = rearrange(scorer.clean(rows, target) - target, "(b n) s c h w -> b n s c h w", n=count)
    images = reduce(error.square(), "b n s c h w -> b n s h w", "mean").sum(dim=(1, 2), dtype=torch.float64)
    broken = (~predicted.isfinite()).flatten(3).any(dim=3).sum(dim=(1, 2))
    place = slice(moments.samples, moments.samples + count), slice(steps.start - known, steps.stop - known)
    for number, (tally, image, lost) in enumerate(zip(tallies, images.cpu().numpy(), broken.tolist(), strict=True)):
        tally.add({name: score[number] for name, score in scores.items()}, place, image, lost)
    moments.add(error)


def _repeat(values: Shaped[Tensor, "B *rest"], times: int) -> Shaped[Tensor, "N *rest"]:
    """Every clip ``times`` times in a row; a single one without taking memory."""
    return values.expand(times, *values.shape[1:]) if len(values) == 1 else values.repeat_interleave(times, dim=0)


def _to_float(pixels: UInt8[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H W"]:
    return pixels.float() / 255


class _Moments:
    """Sums over samples, of the error of some frames and of its square: mean and variance without keeping samples."""

    def __init__(self) -> None:
        self.samples = 0
        self._sum = self._square = torch.zeros(())

    def add(self, error: Float[Tensor, "B n s C H W"]) -> None:
        """Take in some samples."""
        self.samples += error.shape[1]
        self._sum = self._sum.to(error) + error.sum(dim=1)
        self._square = self._square.to(error) + error.square().sum(dim=1)

    def variance(self) -> Float[Tensor, "B s C H W"]:
        """Over the samples, unbiased."""
        centred = self._square - self._sum.square() / self.samples
        return (centred / (self.samples - 1)).clamp(min=0)

    def squared_error(self) -> Float[Tensor, "B s C H W"]:
        """Of the mean of the samples."""
        return (self._sum / self.samples).square()


class _Tally:
    """Gathers the pieces of one clip."""

    def __init__(self, samples: int, frames: int) -> None:
        self._shape = (samples, frames)
        self._scores: dict[str, Array] = {}
        self._image: Array = np.zeros((1, 1))
        self._broken = 0
        self._spread: list[Array] = []  # of some frames: variance and squared error, (2, s)
        self._reliability = np.zeros((BINS, 3))

    def add(
        self,
        scores: dict[str, Float[Array, "n s"]],
        place: tuple[slice, slice],
        image: Float[Array, "H W"],
        broken: int,
    ) -> None:
        """Take in some frames of some samples."""
        for name, score in scores.items():
            self._scores.setdefault(name, np.full(self._shape, np.nan, dtype=np.float32))[place] = score
        self._image = self._image + image
        self._broken += broken

    def add_spread(self, variance: Float[Tensor, "s C H W"], error: Float[Tensor, "s C H W"]) -> None:
        """Take in what all samples of some frames say, and sort their pixels by variance.

        Bins are a factor of √10 wide, below 0.1.
        """
        means = [reduce(value, "s c h w -> s", "mean").cpu().numpy() for value in (variance, error)]
        self._spread.append(np.stack(means))
        spread = variance.flatten()
        bins = (2 * (spread.clamp(min=1e-9).log10() + 1)).ceil().long().clamp(-BINS + 1, 0) + BINS - 1
        for column, value in enumerate((torch.ones_like(spread), spread, error.flatten())):
            sums = torch.zeros(BINS, dtype=torch.float64, device=value.device)
            self._reliability[:, column] += sums.index_add_(0, bins, value.double()).cpu().numpy()

    def result(self, window: Window) -> SampledClip:
        """All of the clip."""
        samples, frames = self._shape
        spread = None
        if self._spread:
            variance, error = np.concatenate(self._spread, axis=1)
            spread = Spread(variance, error, self._reliability)
        return SampledClip(window, self._scores, self._image / (samples * frames), self._broken, spread)
