"""The training unroll: every frame of a clip predicted with z from the posterior.

Where a step is teacher forced the previous frame is the true one, otherwise the model's own prediction. Steps whose
previous frames are known do not depend on each other, and are computed together: where the whole batch is forced, and,
after a rehearsal without gradients, where no gradient flows through previous frames. So are the posteriors of all.
"""

from collections.abc import Callable, Sequence
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
from vidpred.networks.step import Carry, Features, Model
from vidpred.types import Gaussian, Prediction

Gradient = Literal["full", "detached"] | int
OBSERVED = 32  # steps whose posteriors are computed together where nothing else is
RECOMPUTED = 8  # pose maps whose features are computed again at once

_Run = Callable[..., Any]  # calls a function with arguments


def unroll(
    model: Model,
    frames: Float[Tensor, "B T C H W"],
    poses: Float[Tensor, "B T P H W"],
    *,
    noise: Float[Tensor, "B S Z h w"],
    forced: Bool[Tensor, "B S"] | Float[Tensor, "B S"],
    from_prior: Bool[Tensor, " B"] | None = None,
    gap: Float[Tensor, " B"] | None = None,
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
        gap: steps by which the context of a clip is moved away from its place right before the other frames, to either
            side; None is none.
        gradient: through the previous frame where it is predicted: "full" (through time), "detached", or a number k:
            cut before every k-th step (truncated backpropagation through time, Williams & Peng 1990, doi
            10.1162/neco.1990.2.4.490). 1 is "detached".
        chunk: steps computed together; None is all, or 1 with ``recompute``, whose memory it decides. At 1 there is no
            rehearsal: its forward pass costs more than it saves where a single step keeps the device busy.
        recompute: keep the inputs of every step alone, and compute it once more in the backward pass (activation
            checkpointing, Chen et al. 2016, arXiv 1604.06174): the same gradients in less memory and more time.

    Returns:
        Predictions of the S frames, with posterior and prior of every step.

    Raises:
        ValueError: if there is no such ``gradient``, or ``chunk`` is not positive.
    """
    check_unrolling(gradient, chunk)
    steps = noise.shape[1]
    features = _encode_poses(model, frames, poses, frames.shape[1] - steps, gap, recompute=recompute)
    clips, run = _Clips(frames, features, noise, from_prior), _recomputed if recompute else _plain
    together = min(steps, chunk or (1 if recompute else steps))
    if model.parallel and bool((forced[:, 1:] == 1).all()):
        return _together(model, clips, together, run)
    posteriors = _posteriors(model, clips.targets, features, together, run)
    if model.parallel and gradient in ("detached", 1) and together > 1:
        return _rehearsed(model, clips, posteriors, forced, together, run)
    return _in_turn(model, clips, posteriors, forced, gradient, run)


@torch.no_grad()
def observe(
    model: Model,
    frames: Float[Tensor, "B T C H W"],
    poses: Float[Tensor, "B T P H W"],
    *,
    context_frames: int,
) -> Gaussian:
    """The posterior q(z_t | x_t, p_t) of every frame after the context, (B, S, Z, h, w): it sees the targets."""
    features = _encode_poses(model, frames, poses, context_frames, recompute=False)
    return _posteriors(model, frames[:, context_frames:], features, OBSERVED, _plain)


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
    carry: Carry = None
    predicted = []
    features = _encode_poses(model, frames, poses, context_frames, recompute=False)
    for step, pose in enumerate(unbind_steps(features), start=context_frames):
        before = model.encode_frames(frames[:, step - 1])
        prior = model.prior(before, pose)
        frame, carry = model.decode(before, pose, prior.mean, prior, carry)
        predicted.append(frame)
    return torch.stack(predicted, dim=1)


def check_unrolling(gradient: Gradient, chunk: int | None) -> None:
    """Refuse what is no way for gradients, or no number of steps.

    Raises:
        ValueError: that says what is possible.
    """
    if gradient not in get_args(get_args(Gradient)[0]) and not (isinstance(gradient, int) and gradient >= 1):
        raise ValueError(
            f"gradient must be 'full', 'detached' or a number of steps >= 1 that it is cut after, got {gradient!r}"
        )
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be >= 1 step, or null for all, got {chunk}")


class _Clips(NamedTuple):
    """What all steps of a batch of clips share."""

    frames: Tensor
    features: Features  # of poses and context, for every step
    noise: Tensor
    from_prior: Tensor | None

    @property
    def targets(self) -> Tensor:
        """The true frames of all steps."""
        return self.frames[:, -self.noise.shape[1] :]


def _together(model: Model, clips: _Clips, size: int, run: _Run) -> Prediction:
    """Steps whose previous frames are the true ones, ``size`` of them as rows of one step; a frame is encoded once."""
    frames, noise = clips.frames, clips.noise
    before = model.encode_frames(frames[:, -noise.shape[1] - 1])
    parts = []
    for part in _pieces(noise.shape[1], size):
        pose, target = fold_steps(clips.features, part), run(model.encode_frames, fold_steps(clips.targets, part))
        seen = unfold_steps(target, len(frames))
        previous = fold_steps(delay_steps(seen, before), slice(None))
        before = map_features(itemgetter((slice(None), -1)), seen)
        posterior = run(model.posterior, target, pose)
        predicted, prior, _ = run(_decode, model, previous, pose, posterior, *_draws(clips, part), None)
        parts.append(Prediction(*(unfold_steps(value, len(frames)) for value in (predicted, posterior, prior))))
    joined: Prediction = _join(parts, torch.cat)
    return joined


def _rehearsed(model: Model, clips: _Clips, posteriors: Gaussian, forced: Tensor, size: int, run: _Run) -> Prediction:
    """Steps that gradients do not leave: first without them, to know the previous frames, then ``size`` together."""
    frames, steps = clips.frames, clips.noise.shape[1]
    all_but_last = itemgetter((slice(None), slice(-1)))
    features, noise, before = map_features(all_but_last, (clips.features, clips.noise, posteriors))
    with torch.no_grad():
        shorter = _Clips(frames[:, :-1], features, noise, clips.from_prior)
        rehearsal = _in_turn(model, shorter, before, forced, 1, _plain)
        true = frames[:, -steps - 1 : -1]
        predicted = torch.cat([true[:, :1], rehearsal.frames], dim=1)
        previous = _choose(true, predicted, forced)  # the first is true either way
    parts = []
    for part in _pieces(steps, size):
        given = (fold_steps(previous, part), fold_steps(clips.features, part), fold_steps(posteriors, part))
        predicted, prior, _ = run(_predict, model, *given, *_draws(clips, part), None)
        parts.append(tuple(unfold_steps(value, len(frames)) for value in (predicted, prior)))
    predicted, prior = _join(parts, torch.cat)
    return Prediction(predicted, posteriors, prior)


def _in_turn(
    model: Model, clips: _Clips, posteriors: Gaussian, forced: Tensor, gradient: Gradient, run: _Run
) -> Prediction:
    """One step after the other; the previous frame is true or predicted, clip by clip."""
    frames, steps = clips.frames, clips.noise.shape[1]
    cut = gradient if isinstance(gradient, int) else {"full": steps, "detached": 1}[gradient]
    previous = frames[:, -steps - 1]
    carry: Carry = None
    parts = []
    for step, (pose, posterior) in enumerate(zip(unbind_steps(clips.features), unbind_steps(posteriors), strict=True)):
        if step:
            before = previous if step % cut else previous.detach()
            previous = _choose(frames[:, step - steps - 1], before, forced[:, step])
        given = (clips.noise[:, step], clips.from_prior, carry)
        previous, prior, carry = run(_predict, model, previous, pose, posterior, *given)
        parts.append((previous, prior))
    predicted, prior = _join(parts, torch.stack)
    return Prediction(predicted, posteriors, prior)


def _predict(
    model: Model, previous: Tensor, pose: Features, posterior: Gaussian, noise: Tensor, from_prior: Tensor | None,
    carry: Carry,
) -> tuple[Tensor, Gaussian, Carry]:  # fmt: skip
    """One step from a frame: the predicted frame, the prior, and what is carried on."""
    return _decode(model, model.encode_frames(previous), pose, posterior, noise, from_prior, carry)


def _decode(
    model: Model, previous: Features, pose: Features, posterior: Gaussian, noise: Tensor, from_prior: Tensor | None,
    carry: Carry,
) -> tuple[Tensor, Gaussian, Carry]:  # fmt: skip
    """One step from the features of a frame: z from the posterior, or from the prior where it is to be."""
    prior = model.prior(previous, pose)
    z = reparameterize(posterior, noise)
    if from_prior is not None:
        z = torch.where(from_prior[:, None, None, None], reparameterize(prior, noise), z)
    frame, carry = model.decode(previous, pose, z, prior, carry)
    return frame, prior, carry


def _posteriors(model: Model, targets: Tensor, features: Features, size: int, run: _Run) -> Gaussian:
    """The posterior of every step: it sees no previous frame, so that ``size`` steps are computed together."""
    found = []
    for part in _pieces(targets.shape[1], size):
        target = run(model.encode_frames, fold_steps(targets, part))
        posterior = run(model.posterior, target, fold_steps(features, part))
        found.append(unfold_steps(posterior, len(targets)))
    joined: Gaussian = _join(found, torch.cat)
    return joined


def _encode_poses(
    model: Model, frames: Tensor, poses: Tensor, known: int, gap: Tensor | None = None, *, recompute: bool
) -> Features:
    """Features of the poses after the context; a BatchNorm must see all poses, once."""
    context = model.context(frames[:, :known], poses[:, :known])
    if isinstance(model, nn.Module) and any(
        isinstance(layer, nn.BatchNorm2d | nn.SyncBatchNorm) for layer in model.modules()
    ):
        return map_features(itemgetter((slice(None), slice(known, None))), model.encode_poses(poses, context))
    poses = poses[:, known:]
    if not recompute:
        return model.encode_poses(poses, context, gap)
    parts = torch.split(poses, max(1, RECOMPUTED // len(poses)), dim=1)
    gaps = [gap] + [None] * (len(parts) - 1)
    encoded = [_recomputed(model.encode_poses, part, context, moved) for part, moved in zip(parts, gaps, strict=True)]
    return _join(encoded, torch.cat)


def _pieces(steps: int, size: int) -> list[slice]:
    """The steps, ``size`` at a time."""
    return [slice(first, min(first + size, steps)) for first in range(0, steps, size)]


def _draws(clips: _Clips, part: slice) -> tuple[Tensor, Tensor | None]:
    """Noise, and whether z is the prior's, of several steps as rows."""
    return fold_steps(clips.noise, part), repeat_rows(clips.from_prior, part.stop - part.start)


def _plain(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _recomputed(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call it, and keep nothing but its inputs for the backward pass (Chen et al. 2016, arXiv 1604.06174)."""
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)


def _choose(true: Tensor, predicted: Tensor, forced: Tensor) -> Tensor:
    """The true frame for forced clips, the predicted one for the others, or their mean; no work where all agree."""
    if not forced.any():
        return predicted
    if (forced == 1).all():
        return true
    share = forced.to(true.device, non_blocking=True)[..., None, None, None]
    if share.dtype == torch.bool:
        return torch.where(share, true, predicted)
    return torch.lerp(predicted, true, share.to(true.dtype))


def _join(parts: Sequence[Any], join: Callable[..., Tensor]) -> Any:
    """Parts of a clip, put together along time."""
    return map_features(lambda *tensors: join(tensors, dim=1), *parts)
