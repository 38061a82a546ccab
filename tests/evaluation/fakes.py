"""Models whose scores are known before they are evaluated."""

import torch
from torch import nn

from vidpred.data.clips import Clips
from vidpred.data.datamodule import ClipDataModule
from vidpred.evaluation.assessment import AssessedClip, Assessment, assess_clips
from vidpred.evaluation.guards import choose_windows
from vidpred.evaluation.scoring import Scorer
from vidpred.metrics.protocol import Protocol
from vidpred.predictor import Predictor
from vidpred.types import Clip, FrameShape, Gaussian


def scorer(**options) -> Scorer:
    return Scorer(Protocol(name="test", **options))


def assess(model, data, split="val", seed=0, **options) -> Assessment:
    """Score a model with one context frame under a protocol of these options."""
    judge = scorer(**options)
    windows = choose_windows(data, split, context_frames=1, frames=judge.protocol.frames)
    clips: list[AssessedClip] = assess_clips(
        Predictor(model, 1, {}), data, split, windows, judge, context_frames=1, seed=seed
    )
    return Assessment(judge.protocol, 1, clips)


class GreyClips(Clips):
    """Still films in the middle of the range, where nothing is clipped."""

    def __getitems__(self, windows) -> Clip:
        length = windows[0].length
        frames = torch.full((len(windows), length, 3, 16, 24), 128, dtype=torch.uint8)
        numbers = torch.tensor([window.sequence for window in windows])
        return Clip(frames, torch.zeros_like(frames), numbers, torch.zeros_like(numbers), torch.zeros(len(windows)))


class GreyData(ClipDataModule):
    def clips(self, split):
        return GreyClips(self.store(split), self.poses)


class Fake(nn.Module):
    """Copies the context frame and adds ``gain`` times z; z is N(0, I) under prior and posterior."""

    parallel = True

    def __init__(self, shape: FrameShape, *, gain: float = 0.0):
        super().__init__()
        self.shape, self.gain = shape, gain
        self.latent_shape = (shape.channels, shape.height, shape.width)
        self.weight = nn.Parameter(torch.zeros(1))  # a predictor looks here for its device

    def context(self, frames, poses):
        return frames[:, -1]

    def encode_poses(self, poses, context, gap=None):
        return context[:, None].expand(-1, poses.shape[1], -1, -1, -1)

    def encode_frames(self, frames):
        return frames

    def posterior(self, target, pose):
        zero = target.new_zeros(len(target), *self.latent_shape)
        return Gaussian(zero, zero)

    def prior(self, previous, pose):
        return self.posterior(previous, pose)

    def decode(self, previous, pose, z, prior, carry):
        return pose + self.gain * z, None


class Cheat(Fake):
    """Its z is the target, if it is shown the target; otherwise zero."""

    def posterior(self, target, pose):
        return Gaussian(target, torch.full_like(target, -30.0))

    def prior(self, previous, pose):
        zero = torch.zeros_like(previous)
        return Gaussian(zero, torch.full_like(previous, -30.0))

    def decode(self, previous, pose, z, prior, carry):
        told = z.flatten(1).abs().amax(dim=1) > 1e-3
        return torch.where(told[:, None, None, None], z, pose), None


class Broken(Fake):
    """Gives NaN from the fourth predicted frame on."""

    def decode(self, previous, pose, z, prior, carry):
        step = 0 if carry is None else carry + 1
        frame = super().decode(previous, pose, z, prior, carry)[0]
        return (frame if step < 3 else frame * float("nan")), step
