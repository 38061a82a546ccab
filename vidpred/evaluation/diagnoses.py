"""Why a model scores as it does: each diagnosis ends in a sentence, with the numbers that it stands on."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray as Array
from torch import Tensor

from vidpred.data.clips import Window
from vidpred.data.datamodule import ClipDataModule, to_batch
from vidpred.data.source import Split
from vidpred.doctor import Doctor, judge
from vidpred.evaluation.sampling import Sampled
from vidpred.evaluation.statistics import Interval, interval, slope
from vidpred.metrics import psnr
from vidpred.networks import predict_next, rollout, unroll
from vidpred.predictor import Predictor
from vidpred.seeds import clip_generators
from vidpred.types import Batch

SHIFT = 5  # frames that poses come late
_MATTERS = 0.1  # dB; a smaller loss is none
_CALIBRATED = (0.5, 2.0)  # ratio of variance and squared error that passes for agreement


class Diagnosis(NamedTuple):
    """What was asked, what was found, and the numbers behind it."""

    question: str
    sentence: str
    numbers: dict[str, float]


class Examined(NamedTuple):
    """PSNR per clip and frame of rollouts under changed conditions, in dB."""

    normal: list[Float[Array, " S"]]
    changed: dict[str, list[Float[Array, " S"]]]


def diagnose(
    predictor: Predictor, data: ClipDataModule, split: Split, windows: Sequence[Window], sampled: Sampled, *,
    context_frames: int, seed: int = 0,
) -> list[Diagnosis]:  # fmt: skip
    """Ask whether the model uses pose and z, whether its own frames mislead it, and whether it knows what it does not.

    Args:
        predictor: the model.
        data: serves the clips.
        split: of the clips.
        windows: the clips.
        sampled: their scores, for drift and calibration.
        context_frames: K.
        seed: of all draws.
    """
    doctor = Doctor(predictor.model, context_frames=context_frames, seed=seed)
    scores: dict[str, list[Array]] = {}
    for window in windows:
        batch = Batch(*(value.to(predictor.device) for value in to_batch(data.clips(split).__getitems__([window]))))
        doctor.examine(batch.frames, batch.poses)
        for name, frames in _rollouts(predictor, batch, context_frames, seed):
            values = psnr(frames, batch.frames[:, context_frames:], data_range=1.0)[0]
            scores.setdefault(name, []).append(values.cpu().numpy())
    verdict, vitals = judge(doctor.report(), deterministic=data.source.deterministic), doctor.report()
    found = [
        _pose_use(scores),
        _z_use(scores),
        Diagnosis("Has the posterior collapsed?", verdict.sentence,
                  {"active_units": vitals.active_units, "rate": vitals.rate, "worth_db": vitals.worth,
                   "room_db": vitals.room}),
        _exposure(scores),
        _drift(sampled, seed),
    ]  # fmt: skip
    return [*found, _calibration(sampled)] if sampled.spread else found


def _rollouts(predictor: Predictor, batch: Batch, known: int, seed: int) -> list[tuple[str, Tensor]]:
    """The clip's frames under every condition; all but the teacher-forced ones by the one rollout."""
    model, frames, poses = predictor.model, batch.frames, batch.poses
    steps = frames.shape[1] - known
    clip = batch.sequence.tolist()

    def roll(poses: Tensor, z: str | Tensor) -> Tensor:
        return rollout(model, frames[:, :known], poses, z=z, generators=clip_generators(seed, clip))

    noise = torch.randn(1, steps, *model.latent_shape, generator=torch.Generator().manual_seed(seed)).to(frames)
    with torch.no_grad():
        posterior = unroll(model, frames, poses, noise=noise, forced=torch.zeros(1, steps)).posterior
        forced = predict_next(model, frames, poses, context_frames=known)
    order = torch.randperm(steps, generator=torch.Generator().manual_seed(seed + 1))
    return [
        ("normal", roll(poses, "sample")),
        *((f"pose {name}", roll(change(poses, known, order), "sample")) for name, change in POSE_CHANGES.items()),
        ("z mean", roll(poses, "mean")),
        ("z zero", roll(poses, torch.zeros_like(posterior.mean))),
        ("z posterior", roll(poses, posterior.mean)),
        ("z shuffled", roll(poses, posterior.mean[:, order.to(posterior.mean.device)])),
        ("forced", forced),
    ]


def _with_future(poses: Tensor, known: int, future: Tensor) -> Tensor:
    return torch.cat([poses[:, :known], future], dim=1)


def _late(poses: Tensor, known: int, order: Tensor) -> Tensor:
    steps = torch.arange(known, poses.shape[1], device=poses.device)
    return _with_future(poses, known, poses[:, (steps - SHIFT).clamp(min=known - 1)])


def _shuffled(poses: Tensor, known: int, order: Tensor) -> Tensor:
    return _with_future(poses, known, poses[:, known:][:, order.to(poses.device)])


def _frozen(poses: Tensor, known: int, order: Tensor) -> Tensor:
    return _with_future(poses, known, poses[:, known - 1 : known].expand_as(poses[:, known:]))


def _zeroed(poses: Tensor, known: int, order: Tensor) -> Tensor:
    return _with_future(poses, known, torch.zeros_like(poses[:, known:]))


POSE_CHANGES: dict[str, Callable[[Tensor, int, Tensor], Tensor]] = {
    "shuffled": _shuffled,
    "frozen": _frozen,
    "late": _late,
    "zeroed": _zeroed,
}


def _loss(scores: dict[str, list[Array]], name: str, than: str = "normal") -> float:
    """By how many dB a condition is worse, in the mean over clips of the mean over frames."""
    return float(np.mean([clip.mean() for clip in scores[than]]) - np.mean([clip.mean() for clip in scores[name]]))


def _pose_use(scores: dict[str, list[Array]]) -> Diagnosis:
    losses = {f"{name}_db": _loss(scores, f"pose {name}") for name in POSE_CHANGES}
    told = (f"with the poses of other moments it loses {losses['shuffled_db']:.2f} dB, with the first pose for all "
            f"{losses['frozen_db']:.2f} dB, {SHIFT} frames late {losses['late_db']:.2f} dB, with none "
            f"{losses['zeroed_db']:.2f} dB")  # fmt: skip
    uses = losses["shuffled_db"] > _MATTERS and losses["frozen_db"] > _MATTERS
    return Diagnosis(
        "Does it use the pose?", f"{'It uses the pose' if uses else 'It hardly uses the pose'}: {told}.", losses
    )


def _z_use(scores: dict[str, list[Array]]) -> Diagnosis:
    numbers = {
        "sample_costs_db": _loss(scores, "normal", "z mean"),
        "zero_costs_db": _loss(scores, "z zero", "z mean"),
        "shuffled_costs_db": _loss(scores, "z shuffled", "z mean"),
        "posterior_gains_db": -_loss(scores, "z posterior", "z mean"),
    }
    uses = numbers["posterior_gains_db"] > _MATTERS
    return Diagnosis(
        "Does it use z?",
        f"{'It uses z' if uses else 'It does not use z'}: against the prior's mean, the posterior (which sees the "
        f"target) gains {numbers['posterior_gains_db']:+.2f} dB, the posterior of other moments costs "
        f"{numbers['shuffled_costs_db']:+.2f} dB, a sample of the prior {numbers['sample_costs_db']:+.2f} dB, zeros "
        f"{numbers['zero_costs_db']:+.2f} dB.",
        numbers,
    )


def _exposure(scores: dict[str, list[Array]]) -> Diagnosis:
    gap = _loss(scores, "z mean", "forced")
    late = [
        np.mean([curve[-max(1, len(curve) // 4) :].mean() for curve in scores[name]]) for name in ("forced", "z mean")
    ]
    numbers = {"gap_db": gap, "last_quarter_gap_db": float(late[0] - late[1])}
    return Diagnosis(
        "Do its own frames mislead it?",
        f"With the true frame before each it scores {gap:+.2f} dB against running free, "
        f"{numbers['last_quarter_gap_db']:+.2f} dB in the last quarter of the clips: "
        f"the cost of its own errors and of what it cannot foresee, together.",
        numbers,
    )


def _drift(sampled: Sampled, seed: int) -> Diagnosis:
    slopes = np.array([slope(clip.mean(axis=0)) for clip in sampled.scores["psnr"]]) * 100
    found: Interval = interval(slopes, seed=seed)
    sure = found.high < 0 or found.low > 0
    said = f"PSNR changes by {found.mean:+.2f} dB in 100 frames (95 % interval {found.low:+.2f} to {found.high:+.2f})"
    verdict = "It drifts" if sure and found.mean < 0 else "It does not drift, as far as these clips tell"
    return Diagnosis("Does it drift?", f"{verdict}: {said}.", {"db_per_100_frames": found.mean, "low": found.low,
                                                                "high": found.high})  # fmt: skip


def _calibration(sampled: Sampled) -> Diagnosis:
    """Where samples are like the truth, the squared error of their mean is (1 + 1/N) times their variance."""
    samples = sampled.scores["psnr"][0].shape[0]
    variance = float(np.mean([clip.mean() for clip in sampled.spread])) * (1 + 1 / samples)
    error = float(np.mean([clip.mean() for clip in sampled.error_of_mean]))
    ratio = variance / max(error, 1e-12)
    low, high = _CALIBRATED
    verdict = (
        "Its samples are too much alike" if ratio < low else "They spread too far" if ratio > high else "They agree"
    )
    return Diagnosis(
        "Does the spread of samples tell the error?",
        f"{verdict}: by their spread the mean of {samples} samples should err by {variance:.2e} (squared), and errs by "
        f"{error:.2e}, {ratio:.0%} foreseen.",
        {"foreseen": ratio, "variance": variance, "squared_error": error},
    )
