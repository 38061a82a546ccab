"""The training unroll: every frame of a clip predicted with z from the posterior.

Where a step is teacher forced the previous frame is the true one, otherwise the model's own prediction. Forced steps do
not depend on each other: where the whole batch is forced, steps are computed together. So are the posteriors of all.
"""

from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, Literal, NamedTuple, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vidpred.networks.features import (
    delay_steps,
    fold_steps,
    map_features,
    repeat_rows,
    unbind_steps,
    unfold_steps,
)
from vidpred.networks.latent import reparameterize
from vidpred.networks.step import Carry, Context, Features, Model
from vidpred.types import Gaussian, Prediction

Gradient = Literal["full", "detached"] | int
OBSERVED = 32  # steps whose posteriors are computed together, where nothing else is said
CPU_ROWS = 4  # rows of a step computed together on the CPU: more cost more in fresh memory than they save

_Run = Callable[..., Any]  # calls a function with arguments


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
    recompute: bool = False,
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
        chunk: steps computed together where the whole batch is forced, None is what suits the device: all on a GPU,
            4 // B on the CPU; and posteriors elsewhere, of which None is at most 32, or twice as many on the CPU.
        recompute: keep the inputs of every step alone, and compute it once more in the backward pass (activation
            checkpointing, Chen et al. 2016, arXiv 1604.06174): the same gradients in less memory and more time.

    Returns:
        Predictions of the S frames, with posterior and prior of every step.

    Raises:
        ValueError: if there is no such ``gradient``.
    """
    check_gradient(gradient)
    known = frames.shape[1] - noise.shape[1]
    context = model.context(frames[:, :known], poses[:, :known])
    features = _encode_poses(model, poses, known, recompute=recompute)
    clips, run = _Clips(frames, features, context, noise, from_prior), _recomputed if recompute else _plain
    if not (model.parallel and bool((forced[:, 1:] == 1).all())):
        size = chunk or min(OBSERVED, 2 * choose_chunk(len(noise), OBSERVED, frames.device))
        return _in_turn(model, clips, forced, gradient, size, run)
    return _together(model, clips, chunk or choose_chunk(len(noise), noise.shape[1], frames.device), run)


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
    features = _encode_poses(model, poses, context_frames, recompute=False)
    steps = _posteriors(model, frames, features, now, OBSERVED, _plain)
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
    features = _encode_poses(model, poses, context_frames, recompute=False)
    for step, pose in enumerate(unbind_steps(features), start=context_frames):
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


class _Clips(NamedTuple):
    """What all steps of a batch of clips share."""

    frames: Tensor
    features: Features  # of the poses of the steps
    context: Context
    noise: Tensor
    from_prior: Tensor | None


def _together(model: Model, clips: _Clips, size: int, run: _Run) -> Prediction:
    """Steps whose previous frames are the true ones, ``size`` of them as rows of one step; a frame is encoded once."""
    frames, noise = clips.frames, clips.noise
    before = model.encode_frames(frames[:, -noise.shape[1] - 1])
    parts = []
    for first in range(0, noise.shape[1], size):
        part = slice(first, min(first + size, noise.shape[1]))
        rows = partial(repeat_rows, times=part.stop - part.start)
        now, every = _frames_of(part, frames, noise), slice(None)
        pose, target = fold_steps(clips.features, part), run(model.encode_frames, fold_steps(frames, now))
        seen = unfold_steps(target, len(frames))
        previous = fold_steps(delay_steps(seen, before), every)
        before = map_features(itemgetter((every, -1)), seen)
        posterior = run(model.posterior, target, pose)
        step = (fold_steps(noise, part), rows(clips.context), None, rows(clips.from_prior))
        predicted, prior, _ = run(_decode, model, previous, pose, posterior, *step)
        parts.append(Prediction(*(unfold_steps(value, len(frames)) for value in (predicted, posterior, prior))))
    joined: Prediction = _join(parts, torch.cat)
    return joined


def _in_turn(model: Model, clips: _Clips, forced: Tensor, gradient: Gradient, size: int, run: _Run) -> Prediction:
    """One step after the other; the previous frame is true or predicted, clip by clip."""
    frames, noise = clips.frames, clips.noise
    cut = gradient if isinstance(gradient, int) else {"full": frames.shape[1], "detached": 1}[gradient]
    now = _frames_of(slice(0, noise.shape[1]), frames, noise)
    previous = frames[:, now.start - 1]
    carry: Carry = None
    parts = []
    poses = unbind_steps(clips.features)
    posteriors = _posteriors(model, frames, clips.features, now, size, run)
    for step, (pose, posterior) in enumerate(zip(poses, posteriors, strict=True)):
        if step:
            before = previous if step % cut else previous.detach()
            previous = _choose(frames[:, now.start + step - 1], before, forced[:, step])
        given = (noise[:, step], clips.context, carry, clips.from_prior)
        previous, prior, carry = run(_predict, model, previous, pose, posterior, *given)
        parts.append(Prediction(previous, posterior, prior))
    joined: Prediction = _join(parts, torch.stack)
    return joined


def _predict(
    model: Model, previous: Tensor, pose: Features, posterior: Gaussian, noise: Tensor, context: Context, carry: Carry,
    from_prior: Tensor | None,
) -> tuple[Tensor, Gaussian, Carry]:  # fmt: skip
    """One step from a frame: the predicted frame, the prior, and what is carried on."""
    return _decode(model, model.encode_frames(previous), pose, posterior, noise, context, carry, from_prior)


def _decode(
    model: Model, previous: Features, pose: Features, posterior: Gaussian, noise: Tensor, context: Context,
    carry: Carry, from_prior: Tensor | None,
) -> tuple[Tensor, Gaussian, Carry]:  # fmt: skip
    """One step from the features of a frame: z from the posterior, or from the prior where it is to be."""
    prior = model.prior(previous, pose)
    z = reparameterize(posterior, noise)
    if from_prior is not None:
        z = torch.where(from_prior[:, None, None, None], reparameterize(prior, noise), z)
    frame, carry = model.decode(previous, pose, z, prior, context, carry)
    return frame, prior, carry


def _posteriors(model: Model, frames: Tensor, features: Features, now: slice, size: int, run: _Run) -> list[Gaussian]:
    """The posterior of every step: it sees no previous frame, so that ``size`` steps are computed together."""
    found = []
    frames, steps = frames[:, now], now.stop - now.start
    for first in range(0, steps, size):
        part = slice(first, min(first + size, steps))
        target = run(model.encode_frames, fold_steps(frames, part))
        posterior = run(model.posterior, target, fold_steps(features, part))
        found += unbind_steps(unfold_steps(posterior, len(frames)))
    return found


def _encode_poses(model: Model, poses: Tensor, known: int, *, recompute: bool) -> Features:
    """Features of the poses after the context; a BatchNorm must see all poses, once."""
    if isinstance(model, nn.Module) and any(
        isinstance(layer, nn.BatchNorm2d | nn.SyncBatchNorm) for layer in model.modules()
    ):
        return map_features(itemgetter((slice(None), slice(known, None))), model.encode_poses(poses))
    poses = poses[:, known:]
    if not recompute:
        return model.encode_poses(poses)
    parts = [
        _recomputed(model.encode_poses, part) for part in torch.split(poses, max(1, OBSERVED // len(poses)), dim=1)
    ]
    return _join(parts, torch.cat)


def choose_chunk(clips: int, steps: int, device: torch.device) -> int:
    """Steps computed together: all where launching operators is what costs, few where memory is what is slow."""
    return max(1, CPU_ROWS // clips) if device.type == "cpu" else steps


def _plain(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _recomputed(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call it, and keep nothing but its inputs for the backward pass (Chen et al. 2016, arXiv 1604.06174)."""
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)


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


def _join(parts: Sequence[Any], join: Callable[..., Tensor]) -> Any:
    """Parts of a clip, put together along time."""
    return map_features(lambda *tensors: join(tensors, dim=1), *parts)
