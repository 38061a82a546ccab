"""The training unroll: every frame of a clip predicted with z from the posterior.

Where a step is teacher forced the previous frame is the true one, otherwise the model's own prediction. Forced steps do
not depend on each other: where the whole batch is forced, steps are computed together.
"""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from vidpred.networks.features import at_step, fold_steps, repeat_rows
from vidpred.networks.latent import reparameterize
from vidpred.networks.step import Model
from vidpred.types import Gaussian, Prediction


def unroll(
    model: Model,
    frames: Float[Tensor, "B T C H W"],
    poses: Float[Tensor, "B T P H W"],
    *,
    noise: Float[Tensor, "B S Z h w"],
    forced: Bool[Tensor, "B S"],
    context_frames: int = 1,
    chunk: int | None = None,
) -> Prediction:
    """Predict frames K … T−1 of every clip.

    Args:
        model: the networks.
        frames: true frames in [0, 1]; those after the context reach the model as targets of the posterior, and as
            previous frames where forced.
        poses: pose maps in [0, 1].
        noise: ε of the reparameterization, N(0, I).
        forced: on the CPU: whether a step's previous frame is the true one. The first step's always is.
        context_frames: K.
        chunk: steps computed together where all are forced; None is all of them.

    Returns:
        Predictions of the S = T − K frames, with posterior and prior of every step.
    """
    context = model.context(frames[:, :context_frames], poses[:, :context_frames])
    features = model.encode_poses(poses)
    if model.parallel and bool(forced[:, 1:].all()):
        steps = noise.shape[1]
        size = chunk or steps
        parts = [
            _forced_steps(model, frames, features, context, noise, slice(first, min(first + size, steps)))
            for first in range(0, steps, size)
        ]
        return _join(parts, torch.cat)
    return _free_steps(model, frames, features, context, noise, forced)


def _forced_steps(
    model: Model, frames: Tensor, features: object, context: object, noise: Tensor, steps: slice
) -> Prediction:
    """Steps whose previous frame is the true one, as rows of one step."""
    clips, count = len(frames), steps.stop - steps.start
    first = frames.shape[1] - noise.shape[1] + steps.start
    now = slice(first, first + count)
    target, pose = fold_steps(frames, now), fold_steps(features, now)
    previous = fold_steps(frames, slice(first - 1, first - 1 + count))
    posterior, prior = model.posterior(target, pose), model.prior(previous, pose)
    z = reparameterize(posterior, rearrange(noise[:, steps], "b s ... -> (b s) ..."))
    predicted, _ = model.decode(previous, pose, z, repeat_rows(context, count), None)
    unfold = {"pattern": "(b s) ... -> b s ...", "b": clips}
    return Prediction(
        rearrange(predicted, **unfold),
        Gaussian(*(rearrange(value, **unfold) for value in posterior)),
        Gaussian(*(rearrange(value, **unfold) for value in prior)),
    )


def _free_steps(
    model: Model, frames: Tensor, features: object, context: object, noise: Tensor, forced: Tensor
) -> Prediction:
    """One step after the other; the previous frame is true or predicted, clip by clip."""
    first = frames.shape[1] - noise.shape[1]
    previous, carry = frames[:, first - 1], None
    parts = []
    for step in range(noise.shape[1]):
        if step:
            previous = _previous(frames[:, first + step - 1], previous, forced[:, step])
        pose = at_step(features, first + step)
        posterior, prior = model.posterior(frames[:, first + step], pose), model.prior(previous, pose)
        previous, carry = model.decode(previous, pose, reparameterize(posterior, noise[:, step]), context, carry)
        parts.append(Prediction(previous, posterior, prior))
    return _join(parts, torch.stack)


def _previous(true: Tensor, predicted: Tensor, forced: Tensor) -> Tensor:
    """The true frame for forced clips, the predicted one for the others; no work where all agree."""
    if not forced.any():
        return predicted
    if forced.all():
        return true
    return torch.where(forced.to(true.device, non_blocking=True)[:, None, None, None], true, predicted)


def _join(parts: list[Prediction], join: object) -> Prediction:
    """Parts of a clip, put together along time."""
    predicted, posteriors, priors = zip(*parts, strict=True)
    means = [[gaussian.mean for gaussian in side] for side in (posteriors, priors)]
    logvars = [[gaussian.logvar for gaussian in side] for side in (posteriors, priors)]
    return Prediction(
        join(predicted, dim=1),
        Gaussian(join(means[0], dim=1), join(logvars[0], dim=1)),
        Gaussian(join(means[1], dim=1), join(logvars[1], dim=1)),
    )
