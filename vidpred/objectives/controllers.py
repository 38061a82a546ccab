"""Controllers: beta follows from what the training shows, not from a schedule.

A controller's state is in its buffers: they move to the device with the LightningModule that holds it, and its
checkpoints save and restore them. ``observe`` takes the terms of a batch, agrees on them with the other processes, and
gives beta without a value leaving the device. What is not finite is not observed.
"""

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vidpred.objectives.elbo import Beta, Bound, Objective, Poses, Terms, Weights, plain_terms
from vidpred.objectives.reconstruction import Frames
from vidpred.types import Prediction

Scalar = Float[Tensor, ""]


@runtime_checkable
class Controller(Objective, Protocol):
    """An objective that sets beta itself: kl_anneal beside it would be ignored, and is refused."""

    def observe(self, terms: Terms) -> Scalar:
        """Beta for this batch, given its terms; moves the state."""

    def describe(self) -> str:
        """What to expect of beta, in one sentence."""


class ControlVae(nn.Module):
    """A PI controller of beta that holds KL at a set point (Shao et al. 2020, arXiv 2004.05988).

    With the KL of a frame in nats, averaged over batch and steps, e = kl_target − KL and I the integral,

        beta = beta_min + kp / (1 + exp e) + I,    I ← I − ki · e,    within [beta_min, beta_max].

    Anti-windup: a step of I goes no further than to where beta reaches its bound. I keeps nothing of how long beta was
    there, and beta leaves the bound with the first e of the other sign.

    Args:
        base: the bound whose beta is controlled.
        kl_target: the set point, in nats per frame.
        kp: proportional gain, in units of beta.
        ki: integral gain, in beta per nat and batch.
        beta_min: smallest beta.
        beta_max: largest beta.

    Raises:
        ValueError: if there is no set point, or a parameter is out of its range.
    """

    integral: Tensor

    def __init__(
        self,
        *,
        base: Bound,
        kl_target: float | None = None,
        kp: float = 0.01,
        ki: float = 1e-4,
        beta_min: float = 0.0,
        beta_max: float = 100.0,
    ) -> None:
        super().__init__()
        if kl_target is None:
            raise ValueError("objective.kl_target=… is needed: the KL that the controller holds, in nats per frame")
        if kl_target <= 0 or ki <= 0 or kp < 0:
            raise ValueError(f"objective.kl_target and ki must be > 0 and kp >= 0, got {kl_target}, {ki}, {kp}")
        if not 0 <= beta_min < beta_max:
            raise ValueError(f"objective.beta_min and beta_max need 0 <= min < max, got {beta_min}, {beta_max}")
        self.base, self.kl_target, self.kp, self.ki = base, kl_target, kp, ki
        self.beta_min, self.beta_max = beta_min, beta_max
        self.register_buffer("integral", torch.zeros(()))

    def forward(self, prediction: Prediction, target: Frames, poses: Poses, *, progress: float = 0.0) -> Terms:
        """The terms of the bound, and ``kl_per_frame`` in nats."""
        terms = plain_terms(self.base, prediction, target, poses)
        nats = terms["kl"].detach() * (self.base.nats_per_unit(prediction) / target.shape[1])
        return {**terms, "kl_per_frame": nats}

    @torch.no_grad()
    def observe(self, terms: Terms) -> Scalar:
        """Beta for this batch, given its KL."""
        error = self.kl_target - mean_of_ranks(terms["kl_per_frame"])
        error = torch.where(error.isfinite(), error, 0.0)
        fixed = self.beta_min + self.kp * torch.sigmoid(-error)
        room_below = (self.beta_min - fixed - self.integral).clamp(max=0)
        room_above = (self.beta_max - fixed - self.integral).clamp(min=0)
        self.integral += (-self.ki * error).clamp(room_below, room_above)
        return (fixed + self.integral).clamp(self.beta_min, self.beta_max)

    def describe(self) -> str:
        """What to expect of beta, in one sentence."""
        return (
            f"beta is set by a controller that holds KL at {self.kl_target:.4g} nats a frame, within "
            f"{self.beta_min:.4g} and {self.beta_max:.4g}."
        )

    def weights(self, beta: Beta) -> Weights:
        """The weight of every term."""
        return {**self.base.weights(beta), "kl_per_frame": 0.0}

    def equivalent_beta(self, beta: Beta, prediction: Prediction, target: Frames, terms: Terms) -> Beta:
        """That of the bound."""
        return self.base.equivalent_beta(beta, prediction, target, terms)


class Geco(nn.Module):
    """The least KL that reconstructs well enough: min KL subject to error ≤ tolerance.

    GECO (Rezende & Viola 2018, arXiv 1810.00597), with a constraint relative to the tolerance:

        loss = λ · reconstruction + KL,
        λ ← λ · exp(rate · min(1, Ē / tolerance − 1)),    Ē ← decay · Ē + (1 − decay) · E

    with E the reconstruction term of a frame, averaged over batch and steps. λ stays within its bounds and is itself
    the state, so that it leaves them as soon as Ē crosses the tolerance. In terms of beta: beta = 1 / λ.

    Args:
        base: the bound; its reconstruction term is what the constraint is about.
        tolerance: the set point, in units of the base's reconstruction term per frame; of a mean squared error, 0.001
            is 30 dB.
        rate: of log λ a batch, where the error is twice the tolerance or more.
        decay: of the moving average Ē, from 0 to below 1.
        multiplier_start: λ at the start.
        multiplier_min: smallest λ.
        multiplier_max: largest λ.

    Raises:
        ValueError: if there is no set point, or a parameter is out of its range.
    """

    average: Tensor
    log_multiplier: Tensor

    def __init__(
        self,
        *,
        base: Bound,
        tolerance: float | None = None,
        rate: float = 0.01,
        decay: float = 0.99,
        multiplier_start: float = 1.0,
        multiplier_min: float = 1e-6,
        multiplier_max: float = 1e6,
    ) -> None:
        super().__init__()
        if tolerance is None:
            raise ValueError("objective.tolerance=… is needed: the reconstruction term per frame that is good enough; "
                             "of a mean squared error, 0.001 is 30 dB")  # fmt: skip
        if tolerance <= 0 or rate <= 0 or not 0 <= decay < 1:
            raise ValueError(f"objective.tolerance and rate must be > 0 and decay in [0, 1), got {tolerance}, {rate}, "
                             f"{decay}")  # fmt: skip
        if not 0 < multiplier_min <= multiplier_start <= multiplier_max:
            raise ValueError(f"objective.multiplier_… need 0 < min <= start <= max, got {multiplier_min}, "
                             f"{multiplier_start}, {multiplier_max}")  # fmt: skip
        self.base, self.tolerance, self.rate, self.decay = base, tolerance, rate, decay
        self.log_min, self.log_max = math.log(multiplier_min), math.log(multiplier_max)
        self.register_buffer("average", torch.tensor(torch.nan))  # of nothing yet
        self.register_buffer("log_multiplier", torch.tensor(math.log(multiplier_start)))

    def forward(self, prediction: Prediction, target: Frames, poses: Poses, *, progress: float = 0.0) -> Terms:
        """The terms of the bound, and ``reconstruction_per_frame``."""
        terms = plain_terms(self.base, prediction, target, poses)
        return {**terms, "reconstruction_per_frame": terms["reconstruction"].detach() / target.shape[1]}

    @torch.no_grad()
    def observe(self, terms: Terms) -> Scalar:
        """Beta = 1 / λ for this batch, given its error."""
        error = mean_of_ranks(terms["reconstruction_per_frame"])
        before = torch.where(self.average.isnan(), error, self.average)
        average = torch.where(error.isfinite(), self.decay * before + (1 - self.decay) * error, self.average)
        violation = torch.where(error.isfinite(), (average / self.tolerance - 1).clamp(max=1), 0.0)
        self.average.copy_(average)
        self.log_multiplier.copy_((self.log_multiplier + self.rate * violation).clamp(self.log_min, self.log_max))
        return torch.exp(-self.log_multiplier)

    def describe(self) -> str:
        """What to expect of beta, in one sentence."""
        return (
            f"beta is set by a multiplier that holds the reconstruction term at {self.tolerance:.4g} a frame, with the "
            f"least KL that allows it."
        )

    def weights(self, beta: Beta) -> Weights:
        """The weight of every term: λ = 1 / beta for the reconstruction."""
        return {"reconstruction": 1 / beta, "kl": 1.0, "reconstruction_per_frame": 0.0}

    def equivalent_beta(self, beta: Beta, prediction: Prediction, target: Frames, terms: Terms) -> Beta:
        """That of the bound at beta = 1 / λ."""
        return self.base.equivalent_beta(beta, prediction, target, terms)


def mean_of_ranks(term: Float[Tensor, " B"]) -> Scalar:
    """The mean over the batches of all processes, the same on each of them."""
    mean = term.detach().float().mean()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(mean)
        mean = mean / torch.distributed.get_world_size()
    return mean
