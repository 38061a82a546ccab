"""The doctor of posterior collapse: does z carry anything, does it matter, and is there anything for it to carry?

A posterior that has become the prior is a failure where frames hold what pose and context do not tell, and right where
they do not. Both have a KL of 0, so the doctor also asks what z could explain.
"""

import math
from typing import NamedTuple

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional

from vidpred.networks import Model, rollout, unroll
from vidpred.objectives.terms import kl_divergence
from vidpred.seeds import clip_generators

ACTIVE = 0.01  # nats²: the threshold of Burda et al. 2016
MATTERS = 0.1  # dB that z must be worth: 2 % of the squared error
ROOM = 1.0  # dB that z could be worth, below which nothing is left for it


class Vitals(NamedTuple):
    """What the doctor measures, over clips that are rolled out free-running.

    Errors are mean squared errors over all predicted frames, in units of the squared range [0, 1].
    """

    units: int  # Z·h·w
    active_units: int  # whose posterior mean varies over frames, less the prior's mean
    rate: float  # KL(q ‖ p), nats a frame
    rate_per_channel: list[float]  # the same, (Z,)
    rate_per_step: list[float]  # the same, (S,)
    distortion: float  # error with z from the posterior, which sees the target
    error: float  # error with z at the prior's mean
    movement: float  # variance of predictions when z is drawn from the prior again
    explainable: float  # part of `error` that is the mean colour of the places of z

    @property
    def worth(self) -> float:
        """What z knows of the target, in dB: 10 log10(error / distortion)."""
        return _decibels(self.error, self.distortion)

    @property
    def room(self) -> float:
        """What z could know at least, in dB: it has a place for every cell, and could name the cell's mean colour."""
        return _decibels(self.error, self.error - self.explainable)


class Chart:
    """What was measured so far; charts of different clips add up.

    Args:
        latent_shape: (Z, h, w).
    """

    def __init__(self, latent_shape: tuple[int, int, int]) -> None:
        self.latent_shape = latent_shape
        self.means = torch.zeros(2, *latent_shape, dtype=torch.float64)  # sums of the mean and of its square
        self.kl_of_channels = torch.zeros(latent_shape[0], dtype=torch.float64)
        self.kl_of_steps = torch.zeros(0, dtype=torch.float64)
        self.clips_of_steps = torch.zeros(0, dtype=torch.float64)
        self.errors = torch.zeros(4, dtype=torch.float64)
        self.frames = 0

    def add(self, other: "Chart") -> None:
        """Take in the chart of other clips, which may have another length: a step counts the clips that have it."""
        self.means += other.means
        self.kl_of_channels += other.kl_of_channels
        self.kl_of_steps = _add_padded(self.kl_of_steps, other.kl_of_steps)
        self.clips_of_steps = _add_padded(self.clips_of_steps, other.clips_of_steps)
        self.errors += other.errors
        self.frames += other.frames

    def report(self) -> Vitals:
        """The measurements.

        Raises:
            ValueError: if nothing was examined.
        """
        if not self.frames:
            raise ValueError("the doctor has examined nothing yet")
        mean, square = self.means / self.frames
        distortion, error, movement, explainable = (self.errors / self.frames).tolist()
        return Vitals(
            units=mean.numel(),
            active_units=int(((square - mean.square()) > ACTIVE).sum()),
            rate=float(self.kl_of_channels.sum() / self.frames),
            rate_per_channel=(self.kl_of_channels / self.frames).tolist(),
            rate_per_step=(self.kl_of_steps / self.clips_of_steps).tolist(),
            distortion=distortion,
            error=error,
            movement=movement,
            explainable=explainable,
        )


def _add_padded(one: Float[Tensor, " S"], other: Float[Tensor, " U"]) -> Float[Tensor, " V"]:
    length = max(len(one), len(other))
    return functional.pad(one, (0, length - len(one))) + functional.pad(other, (0, length - len(other)))


class Doctor:
    """Examines a model clip by clip.

    - **Active units** (Burda et al. 2016, arXiv 1509.00519): elements u of z with Var_x(E_q[z_u | x]) > 0.01, the
      variance over clips and frames. A learned prior's mean is subtracted first: what the prior knows is not news.
    - **Rate and distortion** (Alemi et al. 2018, arXiv 1711.00464): KL in nats a frame, and the squared error with z
      from the posterior.
    - **Movement**: half the mean squared difference of two rollouts with fresh z, an unbiased estimate of the variance.
    - **Explainable error**: target − prediction, averaged over the cells that z has at its resolution. An ideal z of
      that shape can tell it, so it is a lower bound of what z could explain.

    Args:
        model: the networks.
        context_frames: K.
        seed: of the draws of z.
    """

    def __init__(self, model: Model, *, context_frames: int, seed: int = 0) -> None:
        self.model, self.context_frames, self.seed = model, context_frames, seed
        self.chart = Chart(model.latent_shape)

    @torch.no_grad()
    def examine(self, frames: Float[Tensor, "B T C H W"], poses: Float[Tensor, "B T P H W"]) -> None:
        """Take in clips: one reconstruction and three rollouts of each."""
        known, target = self.context_frames, frames[:, self.context_frames :]
        clips, steps = target.shape[:2]
        noise = torch.randn(clips, steps, *self.model.latent_shape, generator=Generator().manual_seed(self.seed))
        prediction = unroll(self.model, frames, poses, noise=noise.to(frames), forced=torch.zeros(clips, steps))
        mean, first, second = (
            rollout(
                self.model, frames[:, :known], poses, z=z, generators=clip_generators(self.seed + draw, range(clips))
            )
            for z, draw in (("mean", 0), ("sample", 0), ("sample", 1))
        )
        residual = rearrange(target - mean, "b s c h w -> (b s) c h w")
        cells = functional.adaptive_avg_pool2d(residual, self.model.latent_shape[1:])
        errors = [
            float((prediction.frames - target).square().mean()),
            float(residual.square().mean()),
            float((first - second).square().mean()) / 2,
            float(cells.square().mean()),
        ]
        chart = Chart(self.model.latent_shape)
        offset = (prediction.posterior.mean - prediction.prior.mean).double().cpu()
        kl = kl_divergence(prediction.posterior, prediction.prior).double().cpu()
        chart.means = torch.stack([offset.sum(dim=(0, 1)), offset.square().sum(dim=(0, 1))])
        chart.kl_of_channels = reduce(kl, "b s z h w -> z", "sum")
        chart.kl_of_steps = reduce(kl, "b s z h w -> s", "sum")
        chart.clips_of_steps = torch.full((steps,), float(clips), dtype=torch.float64)
        chart.errors = steps * clips * torch.tensor(errors, dtype=torch.float64)
        chart.frames = clips * steps
        self.chart.add(chart)

    def report(self) -> Vitals:
        """What was measured so far.

        Raises:
            ValueError: if nothing was examined.
        """
        return self.chart.report()


class Verdict(NamedTuple):
    """What the numbers mean."""

    state: str  # "live", "ignored", "collapsed" or "nothing to explain"
    sentence: str


def judge(vitals: Vitals, *, deterministic: bool | None = None) -> Verdict:
    """Say in words what the numbers mean.

    Args:
        vitals: of a model.
        deterministic: whether the data is known to be a function of context and poses; None if nobody knows, then
            `Vitals.room` decides.
    """
    numbers = (
        f"{vitals.active_units} of {vitals.units} units active, KL {vitals.rate:.3g} nats a frame, z worth "
        f"{vitals.worth:.2f} dB; a z that told the mean colour of its cells would be worth {vitals.room:.2f} dB"
    )
    if deterministic:
        known = "the data is a function of context and poses"
        spared = "; what it is worth is what the networks have not learned to render" if vitals.worth >= MATTERS else ""
        return Verdict("nothing to explain", f"Nothing left for z to explain: {known} ({numbers}{spared}).")
    if vitals.worth >= MATTERS:
        return Verdict("live", f"z is alive: {numbers}.")
    if deterministic is None and vitals.room < ROOM:
        return Verdict(
            "nothing to explain", f"Nothing left for z to explain: what is left is no matter of z ({numbers})."
        )
    if vitals.active_units and vitals.rate > 1:
        return Verdict(
            "ignored",
            f"z is ignored: the posterior pays for it, the decoder makes nothing of it ({numbers}). "
            f"Lower prior_share, anneal longer, or lower kl_anneal.beta_stop.",
        )
    return Verdict(
        "collapsed",
        f"The posterior has collapsed: z tells nothing where there is something to tell ({numbers}). "
        f"Lower kl_anneal.beta_stop, anneal longer, or hold KL with objective=free_bits or control_vae.",
    )


def _decibels(error: float, remaining: float) -> float:
    """How much smaller an error has become, in dB; an error that is gone is 99 dB smaller."""
    if error <= 0:
        return 0.0
    return min(99.0, 10 * math.log10(error / max(remaining, 1e-300)))
