"""Models whose scores are known before they are evaluated."""

import torch
from torch import nn

from vidpred.types import FrameShape, Gaussian


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

    def encode_poses(self, poses):
        return poses

    def posterior(self, target, pose):
        zero = target.new_zeros(len(target), *self.latent_shape)
        return Gaussian(zero, zero)

    def prior(self, previous, pose):
        return self.posterior(previous, pose)

    def decode(self, previous, pose, z, context, carry):
        return context.repeat_interleave(len(z) // len(context), 0) + self.gain * z, None


class Cheat(Fake):
    """Its z is the target, if it is shown the target; otherwise zero."""

    def posterior(self, target, pose):
        return Gaussian(target, torch.full_like(target, -30.0))

    def prior(self, previous, pose):
        zero = torch.zeros_like(previous)
        return Gaussian(zero, torch.full_like(previous, -30.0))

    def decode(self, previous, pose, z, context, carry):
        told = z.flatten(1).abs().amax(dim=1) > 1e-3
        return torch.where(told[:, None, None, None], z, context.repeat_interleave(len(z) // len(context), 0)), None


class Broken(Fake):
    """Gives NaN from the fourth predicted frame on."""

    def decode(self, previous, pose, z, context, carry):
        step = 0 if carry is None else carry + 1
        frame = super().decode(previous, pose, z, context, carry)[0]
        return (frame if step < 3 else frame * float("nan")), step
