"""Rollouts of a clip under changed conditions: other poses, other z, true frames fed back.

Every rollout is the one rollout. What they score is a value per clip; ``diagnoses`` says what the values mean.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from numpy import ndarray as Array
from torch import Generator, Tensor

from vidpred.data.clips import Window
from vidpred.data.datamodule import ClipDataModule, to_batch
from vidpred.data.source import Split
from vidpred.doctor import Chart, Doctor
from vidpred.evaluation.pose_following import Follower, Joints
from vidpred.metrics import psnr
from vidpred.networks import observe, predict_next, rollout
from vidpred.predictor import Predictor
from vidpred.seeds import clip_generators
from vidpred.types import Batch

SHIFT = 5  # frames that poses come late


class ExaminedClip(NamedTuple):
    """What a clip's rollouts under changed conditions scored."""

    window: Window
    psnr: dict[str, Float[Array, " S"]]  # per condition, in dB
    joints: dict[str, Joints]  # found in the model's film, the true one and the copied frame; empty without estimator


def examine_clips(
    predictor: Predictor, data: ClipDataModule, split: Split, windows: Sequence[Window], *, context_frames: int,
    follower: Follower | None = None, seed: int = 0, advance: Callable[[int], None] = lambda frames: None,
) -> tuple[list[ExaminedClip], Chart]:  # fmt: skip
    """Roll out every clip under every condition.

    Args:
        predictor: the model.
        data: serves the clips.
        split: of the clips.
        windows: the clips.
        context_frames: K.
        follower: finds the joints in films; None leaves them out.
        seed: of all draws.
        advance: is told of every frame that has been predicted.

    Returns:
        What the clips scored, and the chart of the doctor of posterior collapse.
    """
    doctor = Doctor(predictor.model, context_frames=context_frames, seed=seed)
    found = []
    for window in windows:
        clip = data.clips(split).__getitems__([window])
        batch = Batch(*(value.to(predictor.device) for value in to_batch(clip)))
        doctor.examine(batch.frames, batch.poses)
        target = batch.frames[:, context_frames:]
        scores: dict[str, Array] = {}
        joints: dict[str, Joints] = {}
        for name, frames in _rollouts(predictor, batch, context_frames, seed):
            scores[name] = psnr(frames, target, data_range=1.0)[0].cpu().numpy()
            advance(len(scores[name]))
            if name == "normal" and follower is not None:
                copied = batch.frames[:, context_frames - 1 : context_frames].expand_as(target)
                films = {"model": frames[0], "truth": target[0], "copy_context": copied[0]}
                joints = follower(films, window, split, context_frames)
        found.append(ExaminedClip(window, scores, joints))
    return found, doctor.chart


@torch.no_grad()
def _rollouts(predictor: Predictor, batch: Batch, known: int, seed: int) -> Iterator[tuple[str, Tensor]]:
    """The clip's frames under every condition; all but the teacher-forced ones by the one rollout."""
    model, frames, poses = predictor.model, batch.frames, batch.poses
    steps = frames.shape[1] - known
    clip = batch.sequence.tolist()

    def roll(poses: Tensor, z: str | Tensor) -> Tensor:
        return rollout(model, frames[:, :known], poses, z=z, generators=clip_generators(seed, clip))

    order = torch.randperm(steps, generator=Generator().manual_seed(seed + 1)).to(frames.device)
    yield "normal", roll(poses, "sample")
    for name, change in POSE_CHANGES.items():
        yield f"pose {name}", roll(torch.cat([poses[:, :known], change(poses, known, order)], dim=1), "sample")
    posterior = observe(model, frames, poses, context_frames=known).mean
    yield "z mean", roll(poses, "mean")
    yield "z zero", roll(poses, torch.zeros_like(posterior[:, :1]))
    yield "z posterior", roll(poses, posterior)
    yield "z shuffled", roll(poses, posterior[:, order])
    yield "forced", predict_next(model, frames, poses, context_frames=known)


def _late(poses: Tensor, known: int, order: Tensor) -> Tensor:
    steps = torch.arange(known, poses.shape[1], device=poses.device)
    return poses[:, (steps - SHIFT).clamp(min=known - 1)]


def _shuffled(poses: Tensor, known: int, order: Tensor) -> Tensor:
    return poses[:, known:][:, order]


def _frozen(poses: Tensor, known: int, order: Tensor) -> Tensor:
    return poses[:, known - 1 : known].expand_as(poses[:, known:])


def _zeroed(poses: Tensor, known: int, order: Tensor) -> Tensor:
    return torch.zeros_like(poses[:, known:])


POSE_CHANGES: dict[str, Callable[[Tensor, int, Tensor], Tensor]] = {
    "shuffled": _shuffled,
    "frozen": _frozen,
    "late": _late,
    "zeroed": _zeroed,
}
CONDITIONS = ("normal", *(f"pose {name}" for name in POSE_CHANGES), "z mean", "z zero", "z posterior", "z shuffled",
              "forced")  # fmt: skip
