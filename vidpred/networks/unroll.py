"""The training unroll: every frame of a clip predicted with z from the posterior.

Where a step is teacher forced the previous frame is the true one, otherwise the model's own prediction. Forced steps do
not depend on each other: where the whole batch is forced, steps are computed together.
"""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from vidpred.networks.features import fold_steps, repeat_rows, unbind_steps
from vidpred.networks.latent import reparameterize
from vidpred.networks.step import Carry, Context, Features, Model
from vidpred.types import Gaussian, Prediction

Gradient = Literal["full", "detached"] | int


def unroll(
    model: Model,
    frames: Float[Tensor, "B T C H W"],
    poses: Float[Tensor, "B T P H W"],
    *,
    noise: Float[Tensor, "B S Z h w"],
    forced: Bool[Tensor, "B S"] | Float[Tensor, "B S"],
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
        gradient: through the previous frame where it is predicted: "full" (through time), "detached", or a number k:
            cut before every k-th step (truncated backpropagation through time, Williams & Peng 1990, doi
            10.1162/neco.1990.2.4.490). 1 is "detached".
        chunk: steps computed together where the whole batch is forced; None is all of them.

    Returns:
        Predictions of the S frames, with posterior and prior of every step.

    Raises:
        ValueError: if there is no such ``gradient``.
    """
    check_gradient(gradient)
    known, steps = frames.shape[1] - noise.shape[1], noise.shape[1]
    context = model.context(frames[:, :known], poses[:, :known])
    features = model.encode_poses(poses)
    if not (model.parallel and bool((forced[:, 1:] == 1).all())):
        return _in_turn(model, frames, features, context, noise, forced, gradient)
    previous = frames[:, known - 1 : -1]
    size = chunk or steps
    chunks = [slice(first, min(first + size, steps)) for first in range(0, steps, size)]
    return _join([_together(model, frames, previous, features, context, noise, part) for part in chunks], torch.cat)


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
    model: Model, frames: Tensor, features: Features, context: Context, noise: Tensor, forced: Tensor,
    gradient: Gradient,
) -> Prediction:  # fmt: skip
    """One step after the other; the previous frame is true or predicted, clip by clip."""
    cut = gradient if isinstance(gradient, int) else {"full": frames.shape[1], "detached": 1}[gradient]
    now = _frames_of(slice(0, noise.shape[1]), frames, noise)
    previous = frames[:, now.start - 1]
    carry: Carry = None
    parts = []
    poses = unbind_steps(features)[now]
    for step, pose in enumerate(poses):
        if step:
            before = previous if step % cut else previous.detach()
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
    """The true frame for forced clips, the predicted one for the others, or their mean; no work where all agree."""
    if not forced.any():
        return predicted
    if (forced == 1).all():
        return true
    share = forced.to(true.device, non_blocking=True)[:, None, None, None]
    if share.dtype == torch.bool:
        return torch.where(share, true, predicted)
    return torch.lerp(predicted, true, share.to(true.dtype))


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
