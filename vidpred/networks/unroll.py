"""The training unroll: every frame of a clip predicted with z from the posterior.

Where a step is teacher forced the previous frame is the true one, otherwise the model's own prediction. Forced steps do
not depend on each other: where the whole batch is forced, steps are computed together.
"""

from collections.abc import Callable
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from vidpred.networks.features import fold_steps, repeat_rows, unbind_steps
from vidpred.networks.latent import reparameterize
from vidpred.networks.step import Carry, Context, Features, Model
from vidpred.types import Gaussian, Prediction

Gradient = Literal["full", "detached"]


def unroll(
    model: Model,
    frames: Float[Tensor, "B T C H W"],
    poses: Float[Tensor, "B T P H W"],
    *,
    noise: Float[Tensor, "B S Z h w"],
    forced: Bool[Tensor, "B S"],
    gradient: Gradient = "full",
    chunk: int | None = None,
) -> Prediction:
    """Predict the last S = T − K frames of every clip; the K frames before them are the context.

    Args:
        model: the networks.
        frames: true frames in [0, 1]; those after the context reach the model as targets of the posterior, and as
            previous frames where forced.
        poses: pose maps in [0, 1].
        noise: ε of the reparameterization, N(0, I).
        forced: on the CPU: whether a step's previous frame is the true one. The first step's always is.
        gradient: through the previous frame where it is predicted: "full" (through time) or "detached".
        chunk: steps computed together where the whole batch is forced; None is all of them.

    Returns:
        Predictions of the S frames, with posterior and prior of every step.
    """
    known, steps = frames.shape[1] - noise.shape[1], noise.shape[1]
    context = model.context(frames[:, :known], poses[:, :known])
    features = model.encode_poses(poses)
    if not (model.parallel and forced[:, 1:].all()):
        return _in_turn(model, frames, features, context, noise, forced, detach=gradient == "detached")
    previous = frames[:, known - 1 : -1]
    size = chunk or steps
    chunks = [slice(first, min(first + size, steps)) for first in range(0, steps, size)]
    return _join([_together(model, frames, previous, features, context, noise, part) for part in chunks], torch.cat)


def _together(
    model: Model, frames: Tensor, previous: Tensor, features: Features, context: Context, noise: Tensor, part: slice
) -> Prediction:
    """Steps whose previous frame is given, as rows of one step."""
    clips, count = len(frames), part.stop - part.start
    now = _frames_of(part, frames, noise)
    target, pose = fold_steps(frames, now), fold_steps(features, now)
    before = fold_steps(previous, part)
    posterior, prior = model.posterior(target, pose), model.prior(before, pose)
    z = reparameterize(posterior, fold_steps(noise, part))
    predicted, _ = model.decode(before, pose, z, repeat_rows(context, count), None)
    return Prediction(
        _unfold(predicted, clips),
        Gaussian(*(_unfold(value, clips) for value in posterior)),
        Gaussian(*(_unfold(value, clips) for value in prior)),
    )


def _in_turn(
    model: Model, frames: Tensor, features: Features, context: Context, noise: Tensor, forced: Tensor, *, detach: bool
) -> Prediction:
    """One step after the other; the previous frame is true or predicted, clip by clip."""
    now = _frames_of(slice(0, noise.shape[1]), frames, noise)
    previous = frames[:, now.start - 1]
    carry: Carry = None
    parts = []
    poses = unbind_steps(features)[now]
    for step, pose in enumerate(poses):
        if step:
            before = previous.detach() if detach else previous
            previous = _choose(frames[:, now.start + step - 1], before, forced[:, step])
        posterior, prior = model.posterior(frames[:, now.start + step], pose), model.prior(previous, pose)
        previous, carry = model.decode(previous, pose, reparameterize(posterior, noise[:, step]), context, carry)
        parts.append(Prediction(previous, posterior, prior))
    return _join(parts, torch.stack)


def _frames_of(steps: slice, frames: Tensor, noise: Tensor) -> slice:
    """The frames that steps predict: step 0 is frame K = T − S."""
    known = frames.shape[1] - noise.shape[1]
    return slice(known + steps.start, known + steps.stop)


def _choose(true: Tensor, predicted: Tensor, forced: Tensor) -> Tensor:
    """The true frame for forced clips, the predicted one for the others; no work where all agree."""
    if not forced.any():
        return predicted
    if forced.all():
        return true
    return torch.where(forced.to(true.device, non_blocking=True)[:, None, None, None], true, predicted)


def _unfold(rows: Tensor, clips: int) -> Tensor:
    return rearrange(rows, "(b s) ... -> b s ...", b=clips)


def _join(parts: list[Prediction], join: Callable[..., Tensor]) -> Prediction:
    """Parts of a clip, put together along time."""
    predicted, posteriors, priors = zip(*parts, strict=True)
    means = [[gaussian.mean for gaussian in side] for side in (posteriors, priors)]
    logvars = [[gaussian.logvar for gaussian in side] for side in (posteriors, priors)]
    return Prediction(
        join(predicted, dim=1),
        Gaussian(join(means[0], dim=1), join(logvars[0], dim=1)),
        Gaussian(join(means[1], dim=1), join(logvars[1], dim=1)),
    )
