"""The rollout: context frames and poses in, film out, with z from the prior and own predictions fed back.

There is one rollout in this project; validation, evaluation, prediction and every picture use it. No target frame
enters it, so none can leak into a score.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Generator, Tensor

from vidpred.networks.features import unbind_steps
from vidpred.networks.latent import reparameterize
from vidpred.networks.step import Model
from vidpred.types import Gaussian

Latent = str | Tensor  # "sample", "mean" or z itself


@runtime_checkable
class LazyPoses(Protocol):
    """Pose maps that are drawn when they are needed, so that a long film needs no memory for them."""

    @property
    def shape(self) -> Sequence[int]:
        """B, T, P, H, W."""

    def __getitem__(self, place: tuple[slice, slice]) -> Tensor:
        """Pose maps of some clips and frames, float in [0, 1] or uint8, on the model's device."""


@torch.no_grad()
def rollout(
    model: Model,
    frames: Float[Tensor, "B K C H W"],
    poses: Shaped[Tensor, "B T P H W"],
    *,
    z: Latent = "sample",
    generators: Sequence[Generator] | None = None,
    chunk: int = 32,
) -> Float[Tensor, "B S C H W"]:
    """Predict the S = T − K frames after the context, without gradients: the pieces of ``stream_rollout``, joined."""
    pieces = stream_rollout(model, frames, poses, z=z, generators=generators, chunk=chunk)
    out = frames.new_empty(len(frames), poses.shape[1] - frames.shape[1], *frames.shape[2:])
    first = 0
    for piece in pieces:
        out[:, first : first + piece.shape[1]] = piece
        first += piece.shape[1]
    return out


def stream_rollout(
    model: Model,
    frames: Float[Tensor, "B K C H W"],
    poses: Shaped[Tensor, "B T P H W"] | LazyPoses,
    *,
    z: Latent = "sample",
    temperature: float = 1.0,
    generators: Sequence[Generator] | None = None,
    chunk: int = 32,
) -> Iterator[Float[Tensor, "B s C H W"]]:
    """Predict the frames after the context, a chunk of steps at a time.

    Memory does not grow with the length beyond ``poses`` (which may be drawn as they are needed) and what the caller
    keeps of the pieces, under ``torch.no_grad()``; otherwise gradients flow, to the context and to z. The model is put
    in evaluation mode for each piece, and back.

    Args:
        model: the networks.
        frames: the K ≥ 1 context frames, in [0, 1].
        poses: pose maps of context and prediction, float in [0, 1] or uint8.
        z: "sample" draws z_t from the prior; "mean" takes the prior's mean; a tensor (B, S, Z, h, w) or
            (B, 1, Z, h, w) is used as it is.
        temperature: factor on the standard deviation of what is drawn: 1 is the prior, 0 its mean.
        generators: one CPU generator per clip for the noise, so that a clip's film does not depend on the batch it is
            in; None draws from torch's global generator.
        chunk: steps whose poses are encoded together.

    Yields:
        Frames as the model gives them (which may leave [0, 1] a little), at most ``chunk`` steps each.

    Raises:
        ValueError: if there is no context frame, no pose to predict, or ``z``, ``temperature`` or ``generators`` do
            not fit.
    """
    clips, known = frames.shape[:2]
    length = poses.shape[1]
    if known < 1 or length <= known:
        raise ValueError(f"a rollout needs context frames and more poses than those, got {known} and {length}")
    if isinstance(z, str) and z not in ("sample", "mean"):
        raise ValueError(f"z must be 'sample', 'mean' or a tensor, got {z!r}")
    if generators is not None and len(generators) != clips:
        raise ValueError(f"one generator per clip is needed: {clips} clips, {len(generators)} generators")
    if temperature < 0 or (temperature != 1 and z != "sample"):
        raise ValueError(f"temperature must be >= 0, and is of what is drawn (z='sample'), got {temperature}")
    every = slice(None)
    previous, context, carry = frames[:, -1], None, None
    for first in range(known, length, chunk):
        steps = range(first, min(first + chunk, length))
        piece = []
        with _evaluating(model):
            if first == known:
                context = model.context(frames, _to_float(poses[every, slice(known)], frames))
            features = model.encode_poses(_to_float(poses[every, slice(steps.start, steps.stop)], frames), context)
            for step, pose in zip(steps, unbind_steps(features), strict=True):
                seen = model.encode_frames(previous)
                prior = model.prior(seen, pose)
                latent = _draw(prior, z, step - known, temperature, generators)
                previous, carry = model.decode(seen, pose, latent, prior, carry)
                piece.append(previous)
        yield torch.stack(piece, dim=1)


def _draw(prior: Gaussian, z: Latent, step: int, temperature: float, generators: Sequence[Generator] | None) -> Tensor:
    if isinstance(z, Tensor):
        return z[:, min(step, z.shape[1] - 1)]
    if z == "mean":
        return prior.mean
    if generators is None:
        return reparameterize(prior, temperature * torch.randn_like(prior.mean))
    noise = torch.stack([torch.randn(prior.mean.shape[1:], generator=generator) for generator in generators])
    return reparameterize(prior, temperature * noise.to(prior.mean))


def _to_float(poses: Tensor, frames: Tensor) -> Tensor:
    return poses.to(frames) / 255 if poses.dtype == torch.uint8 else poses


@contextmanager
def _evaluating(model: Model) -> Iterator[None]:
    """Evaluation mode for a model that has modes, and back to what it was."""
    if not isinstance(model, torch.nn.Module):
        yield
        return
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
