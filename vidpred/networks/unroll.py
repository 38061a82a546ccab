"""The training unroll: every frame of a clip predicted with z from the posterior.

Where a step is teacher forced the previous frame is the true one, otherwise the model's own prediction. Forced steps do
not depend on each other: where the whole batch is forced, steps are computed together. So are the posteriors of all.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vidpred.networks.features import delay_steps, fold_steps, map_features, repeat_rows, unbind_steps, unfold_steps
from vidpred.networks.latent import reparameterize
from vidpred.networks.step import Carry, Context, Features, Model
from vidpred.types import Gaussian, Prediction

Gradient = Literal["full", "detached"] | int
OBSERVED = 32  # steps whose posteriors are computed together, where nothing else is said


def unroll(
    model: Model,
    frames: Float[Tensor, "B T C H W"],
    poses: Float[Tensor, "B T P H W"],
    *,
    noise: Float[Tensor, "B S Z h w"],
    forced: Bool[Tensor, "B S"] | Float[Tensor, "B S"],
    from_prior: Bool[Tensor, " B"] | None = None,
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
        forced: on the CPU: whether a step's previous frame is the true one, or the share in [0, 1] that the true frame
            has in it beside the predicted one. The first step's always is the true one.
        from_prior: clips whose z is drawn from the prior, as in a rollout; at its mean where their noise is 0. None is
            none. Their frames train what a rollout does, as in the hybrid objective of Sohn et al. 2015 ("Learning
            structured output representation using deep conditional generative models", NeurIPS, section 4.3).
        gradient: through the previous frame where it is predicted: "full" (through time), "detached", or a number k:
            cut before every k-th step (truncated backpropagation through time, Williams & Peng 1990, doi
            10.1162/neco.1990.2.4.490). 1 is "detached".
        chunk: steps computed together where the whole batch is forced, None is all of them; and posteriors elsewhere,
            None is 32.

    Returns:
        Predictions of the S frames, with posterior and prior of every step.

    Raises:
        ValueError: if there is no such ``gradient``.
    """
    check_gradient(gradient)
    known = frames.shape[1] - noise.shape[1]
    context = model.context(frames[:, :known], poses[:, :known])
    features = model.encode_poses(poses)
    if not (model.parallel and bool((forced[:, 1:] == 1).all())):
        return _in_turn(model, frames, features, context, noise, forced, from_prior, gradient, chunk)
    return _together(model, frames, features, context, noise, from_prior, chunk or noise.shape[1])


@torch.no_grad()
def observe(
    model: Model,
    frames: Float[Tensor, "B T C H W"],
    poses: Float[Tensor, "B T P H W"],
    *,
    context_frames: int,
) -> Gaussian:
    """The posterior q(z_t | x_t, p_t) of every frame after the context, (B, S, Z, h, w): it sees the targets."""
    now = slice(context_frames, frames.shape[1])
    steps = _posteriors(model, frames, model.encode_poses(poses), now, OBSERVED)
    return Gaussian(*(torch.stack(values, dim=1) for values in zip(*steps, strict=True)))


@torch.no_grad()
def predict_next(
    model: Model,
    frames: Float[Tensor, "B T C H W"],
    poses: Float[Tensor, "B T P H W"],
    *,
    context_frames: int,
) -> Float[Tensor, "B S C H W"]:
    """Every frame after the context from the true one before it, with z at the prior's mean: what forcing trains for.

    No film is made this way: it sees what a rollout has to foresee.

    Raises:
        ValueError: if there is no frame after the context.
    """
    if not 1 <= context_frames < frames.shape[1]:
        raise ValueError(
            f"frames must hold a context and more, got {frames.shape[1]} with a context of {context_frames}"
        )
    context = model.context(frames[:, :context_frames], poses[:, :context_frames])
    carry: Carry = None
    predicted = []
    for step, pose in enumerate(unbind_steps(model.encode_poses(poses))[context_frames:], start=context_frames):
        before = model.encode_frames(frames[:, step - 1])
        prior = model.prior(before, pose)
        frame, carry = model.decode(before, pose, prior.mean, prior, context, carry)
        predicted.append(frame)
    return torch.stack(predicted, dim=1)


def check_gradient(gradient: Gradient) -> None:
    """Refuse what is no way for gradients.

    Raises:
        ValueError: that names the choices.
    """
    if gradient not in get_args(get_args(Gradient)[0]) and not (isinstance(gradient, int) and gradient >= 1):
        raise ValueError(
            f"gradient must be 'full', 'detached' or a number of steps >= 1 that it is cut after, got {gradient!r}"
        )


def _together(
    model: Model, frames: Tensor, features: Features, context: Context, noise: Tensor, from_prior: Tensor | None,
    size: int,
) -> Prediction:  # fmt: skip
    """Steps whose previous frames are the true ones, ``size`` of them as rows of one step; a frame is encoded once."""
    clips, steps = noise.shape[:2]
    before = model.encode_frames(frames[:, -steps - 1])
    parts = []
    for first in range(0, steps, size):
        part = slice(first, min(first + size, steps))
        count, now, every = part.stop - part.start, _frames_of(part, frames, noise), slice(None)
        pose, target = fold_steps(features, now), model.encode_frames(fold_steps(frames, now))
        seen = unfold_steps(target, clips)
        previous = fold_steps(delay_steps(seen, before), every)
        before = map_features(itemgetter((every, -1)), seen)
        posterior, prior = model.posterior(target, pose), model.prior(previous, pose)
        chosen = None if from_prior is None else from_prior.repeat_interleave(count)
        z = _draw(posterior, prior, fold_steps(noise, part), chosen)
        predicted, _ = model.decode(previous, pose, z, prior, repeat_rows(context, count), None)
        parts.append(Prediction(*(unfold_steps(value, clips) for value in (predicted, posterior, prior))))
    return _join(parts, torch.cat)


def _in_turn(
    model: Model, frames: Tensor, features: Features, context: Context, noise: Tensor, forced: Tensor,
    from_prior: Tensor | None, gradient: Gradient, chunk: int | None,
) -> Prediction:  # fmt: skip
    """One step after the other; the previous frame is true or predicted, clip by clip."""
    cut = gradient if isinstance(gradient, int) else {"full": frames.shape[1], "detached": 1}[gradient]
    now = _frames_of(slice(0, noise.shape[1]), frames, noise)
    previous = frames[:, now.start - 1]
    carry: Carry = None
    parts = []
    poses = unbind_steps(features)[now]
    posteriors = _posteriors(model, frames, features, now, chunk or OBSERVED)
    for step, (pose, posterior) in enumerate(zip(poses, posteriors, strict=True)):
        if step:
            before = previous if step % cut else previous.detach()
            previous = _choose(frames[:, now.start + step - 1], before, forced[:, step])
        seen = model.encode_frames(previous)
        prior = model.prior(seen, pose)
        z = _draw(posterior, prior, noise[:, step], from_prior)
        previous, carry = model.decode(seen, pose, z, prior, context, carry)
        parts.append(Prediction(previous, posterior, prior))
    return _join(parts, torch.stack)


def _posteriors(model: Model, frames: Tensor, features: Features, now: slice, size: int) -> list[Gaussian]:
    """The posterior of every step: it sees no previous frame, so that ``size`` steps are computed together."""
    found = []
    for first in range(now.start, now.stop, size):
        part = slice(first, min(first + size, now.stop))
        target = model.encode_frames(fold_steps(frames, part))
        found += unbind_steps(unfold_steps(model.posterior(target, fold_steps(features, part)), len(frames)))
    return found


def _draw(posterior: Gaussian, prior: Gaussian, noise: Tensor, from_prior: Tensor | None) -> Tensor:
    """Z from the posterior, or from the prior where it is to be."""
    z = reparameterize(posterior, noise)
    if from_prior is None:
        return z
    return torch.where(from_prior[:, None, None, None], reparameterize(prior, noise), z)


def _frames_of(steps: slice, frames: Tensor, noise: Tensor) -> slice:
    """The frames that steps predict: step 0 is frame K = T − S."""
    known = frames.shape[1] - noise.shape[1]
    return slice(known + steps.start, known + steps.stop)


def _choose(true: Tensor, predicted: Tensor, forced: Tensor) -> Tensor:
    """The true frame for forced clips, the predicted one for the others, or their mean; no work where all agree."""
    if not forced.any():
        return predicted
    if (forced == 1).all():
        return true
    share = forced.to(true.device, non_blocking=True)[:, None, None, None]
    if share.dtype == torch.bool:
        return torch.where(share, true, predicted)
    return torch.lerp(predicted, true, share.to(true.dtype))


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
