"""Rollouts of every clip of a split, several samples each, scored piece by piece: memory grows with neither."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Float
from numpy import ndarray as Array
from torch import Tensor

from vidpred.data.clips import Window
from vidpred.data.datamodule import ClipDataModule, to_batch
from vidpred.data.source import Split
from vidpred.evaluation.scoring import Scorer
from vidpred.networks.rollout import stream_rollout
from vidpred.predictor import Predictor
from vidpred.seeds import clip_generators
from vidpred.types import Batch

ROWS = 64  # rollouts that are computed together
BINS = 10  # of predicted spread, for calibration
Change = Callable[[Tensor], Tensor]  # of pose maps, (B, T, P, H, W)


class EvaluationError(ValueError):
    """What was asked for cannot be evaluated, or would not mean what it says."""


class Sampled(NamedTuple):
    """Scores of all rollouts, and what the samples of a clip say together."""

    windows: list[Window]
    scores: dict[str, list[Float[Array, "N S"]]]  # per metric and clip
    error_of_mean: list[Float[Array, " S"]]  # squared error of the mean of a clip's samples; empty for one sample
    spread: list[Float[Array, " S"]]  # variance of a clip's samples, unbiased, averaged over pixels; likewise
    error_image: Float[Array, "H W"]  # squared error by pixel, averaged over everything else
    reliability: Float[Array, "bins 3"]  # pixels by predicted variance: their number, mean variance, mean squared error
    broken: int  # frames with values that are not finite


def choose_windows(data: ClipDataModule, split: Split, *, context_frames: int, frames: int | None) -> list[Window]:
    """The clips of a split, cut to the frames that count.

    Raises:
        EvaluationError: if a clip is shorter than the protocol asks for.
    """
    windows = data.eval_sampler(split).windows
    if frames is None:
        return windows
    for window in windows:
        if window.length - context_frames < frames:
            name = data.store(split).sequences[window.sequence].name
            raise EvaluationError(
                f"the protocol scores {frames} predicted frames, but clip {name!r} of {split} has only "
                f"{window.length - context_frames} after its context: set protocol.frames, or choose another protocol"
            )
    return [window._replace(length=context_frames + frames) for window in windows]


@torch.no_grad()
def sample_clips(
    predictor: Predictor,
    data: ClipDataModule,
    split: Split,
    windows: Sequence[Window],
    scorer: Scorer,
    *,
    context_frames: int,
    samples: int,
    z: str = "sample",
    seed: int = 0,
    change: Change | None = None,
    advance: Callable[[int], None] = lambda frames: None,
) -> Sampled:
    """Roll out and score every clip.

    Args:
        predictor: the model.
        data: serves the clips.
        split: of the clips.
        windows: the clips.
        scorer: of the frames.
        context_frames: K that rollouts are given.
        samples: N, rollouts of a clip.
        z: "sample" from the prior, or its "mean".
        seed: of the samples.
        change: of the pose maps that the model is told, for diagnoses; it is scored against the same frames.
        advance: is told of every frame that has been predicted.
    """
    rows = _Totals(data.shape.height, data.shape.width)
    scores: dict[str, list[Array]] = {}
    error_of_mean: list[Array] = []
    spread: list[Array] = []
    for group in _groups(windows, max(1, ROWS // samples)):
        batch = Batch(*(value.to(predictor.device) for value in to_batch(data.clips(split).__getitems__(group))))
        told = batch._replace(poses=change(batch.poses)) if change else batch
        moments = _Moments(batch, context_frames, samples)
        blocks = []
        for block in _blocks(samples, max(1, ROWS // len(group))):
            blocks.append(_score_block(predictor, batch, told.poses, scorer, rows, moments, advance,
                                       context_frames=context_frames, block=block, z=z, seed=seed))  # fmt: skip
        for name in blocks[0]:
            joined = np.concatenate([block[name] for block in blocks], axis=1)
            scores.setdefault(name, []).extend(joined)
        if samples > 1:
            spread.extend(moments.spread())
            error_of_mean.extend(moments.error_of_mean())
            rows.add_reliability(moments)
    return Sampled(list(windows), scores, error_of_mean, spread, rows.error_image(), rows.reliability, rows.broken)


def _score_block(
    predictor: Predictor, batch: Batch, poses: Tensor, scorer: Scorer, totals: "_Totals", moments: "_Moments",
    advance: Callable[[int], None], *, context_frames: int, block: range, z: str, seed: int,
) -> dict[str, Float[Array, "B n S"]]:  # fmt: skip
    """Some samples of some clips, rolled out side by side."""
    clips, count, known = len(batch.frames), len(block), context_frames
    context = batch.frames[:, :known].repeat_interleave(count, dim=0)
    generators = clip_generators(seed, batch.sequence.tolist(), samples=block)
    pieces: dict[str, list[Tensor]] = {}
    first = known
    told = poses.repeat_interleave(count, dim=0)
    for predicted in stream_rollout(predictor.model, context, told, z=z, generators=generators):
        steps = slice(first, first + predicted.shape[1])
        target, shown = (value[:, steps].repeat_interleave(count, dim=0) for value in (batch.frames, batch.poses))
        for name, score in scorer(predicted, target, shown, context[:, -1]).items():
            pieces.setdefault(name, []).append(score.cpu())
        clean = scorer.clean(predicted, target)
        totals.add(clean - target, broken=predicted)
        moments.add(rearrange(clean - target, "(b n) s c h w -> b n s c h w", b=clips), steps)
        first = steps.stop
        advance(predicted.shape[0] * predicted.shape[1])
    return {
        name: rearrange(torch.cat(parts, dim=1), "(b n) s -> b n s", b=clips).numpy() for name, parts in pieces.items()
    }


class _Moments:
    """Sums over the samples of some clips, of the error and its square: mean and variance without keeping samples."""

    def __init__(self, batch: Batch, context_frames: int, samples: int) -> None:
        self.samples, self.known = samples, context_frames
        shape = batch.frames[:, context_frames:].shape if samples > 1 else (0,)
        self.sums, self.squares = (torch.zeros(shape, device=batch.frames.device) for _ in range(2))

    def add(self, error: Float[Tensor, "B n s C H W"], steps: slice) -> None:
        """Take in a piece of some samples."""
        if self.samples > 1:
            place = slice(steps.start - self.known, steps.stop - self.known)
            self.sums[:, place] += error.sum(dim=1)
            self.squares[:, place] += error.square().sum(dim=1)

    @property
    def variance(self) -> Float[Tensor, "B S C H W"]:
        """Over the samples, unbiased."""
        centred = self.squares - self.sums.square() / self.samples
        return (centred / (self.samples - 1)).clamp(min=0)

    @property
    def squared_error(self) -> Float[Tensor, "B S C H W"]:
        """Of the mean of the samples."""
        return (self.sums / self.samples).square()

    def spread(self) -> Float[Array, "B S"]:
        """Variance, averaged over channels and pixels."""
        return np.asarray(reduce(self.variance, "b s c h w -> b s", "mean").cpu())

    def error_of_mean(self) -> Float[Array, "B S"]:
        """Squared error of the mean, averaged over channels and pixels."""
        return np.asarray(reduce(self.squared_error, "b s c h w -> b s", "mean").cpu())


class _Totals:
    """What is summed over all clips."""

    def __init__(self, height: int, width: int) -> None:
        self._image = torch.zeros(height, width, dtype=torch.float64)
        self._count = 0
        self.broken = 0
        self.reliability = np.zeros((BINS, 3))

    def add(self, error: Float[Tensor, "R s C H W"], *, broken: Float[Tensor, "R s C H W"]) -> None:
        """Take in the error of a piece, and count its frames that are not finite."""
        self._image += (
            reduce(error.square().double(), "r s c h w -> h w", "mean").cpu() * error.shape[0] * error.shape[1]
        )
        self._count += error.shape[0] * error.shape[1]
        self.broken += int((~broken.isfinite()).flatten(2).any(dim=2).sum())

    def error_image(self) -> Float[Array, "H W"]:
        """Squared error by pixel."""
        return np.asarray(self._image / max(1, self._count))

    def add_reliability(self, moments: _Moments) -> None:
        """Sort pixels by predicted variance, in bins a factor of √10 wide below 0.1."""
        variance, error = moments.variance.flatten(), moments.squared_error.flatten()
        bins = (2 * (variance.clamp(min=1e-9).log10() + 1)).ceil().long().clamp(-BINS + 1, 0) + BINS - 1
        for column, value in enumerate((torch.ones_like(variance), variance, error)):
            sums = torch.zeros(BINS, dtype=torch.float64, device=value.device)
            self.reliability[:, column] += sums.index_add_(0, bins, value.double()).cpu().numpy()


def _groups(windows: Sequence[Window], size: int) -> Iterator[list[Window]]:
    """Clips of one length, at most ``size`` together, in their order."""
    for _, same in groupby(windows, key=lambda window: window.length):
        group = list(same)
        yield from (group[first : first + size] for first in range(0, len(group), size))


def _blocks(samples: int, size: int) -> Iterator[range]:
    yield from (range(first, min(first + size, samples)) for first in range(0, samples, size))
