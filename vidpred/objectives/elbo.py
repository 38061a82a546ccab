"""The evidence lower bound under a likelihood of known scale, or of the optimal one, in reductions that are explicit.

    loss = Σ_t reconstruction(x̂_t, x_t) + beta · Σ_t KL(q_t ‖ p_t), per clip.

Reductions within a frame: reconstruction "sum" or "mean" over its C·H·W values; KL "sum" or "mean" over the Z·h·w
elements of z, or "per_dimension": the sum divided by the C·H·W dimensions of a frame, the unit of bits per dimension.
The sums alone, or the mean with "per_dimension", weigh both terms as the bound does.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from vidpred.objectives.reconstruction import Frames, Reconstruction, Reduction
from vidpred.objectives.terms import kl_of_frames, mean_squared_error
from vidpred.types import Prediction

KLReduction = Literal["sum", "mean", "per_dimension"]
Poses = Float[Tensor, "B S P H W"]
Terms = dict[str, Float[Tensor, " B"]]
Weights = dict[str, float | Float[Tensor, ""]]
Beta = float | Float[Tensor, ""]

_SQUARED = Reconstruction()


@runtime_checkable
class Objective(Protocol):
    """Terms per clip, their weights, and what beta means in the papers' convention."""

    def __call__(self, prediction: Prediction, target: Frames, poses: Poses, *, progress: float) -> Terms:
        """The unweighted terms per clip, summed over its steps; ``progress`` of the run goes from 0 to 1."""

    def weights(self, beta: Beta) -> Weights:
        """The weight of every term, by the same names."""

    def equivalent_beta(self, beta: Beta, prediction: Prediction, target: Frames, terms: Terms) -> Beta:
        """Beta where reconstruction is ½ Σ squared error over pixels and KL is summed."""


@runtime_checkable
class Bound(Objective, Protocol):
    """An objective that others are built on: reconstruction and the unit of KL, apart."""

    def distortion(self, prediction: Prediction, target: Frames, poses: Poses) -> Float[Tensor, "B S"]:
        """The reconstruction term of every frame."""

    def nats_per_unit(self, prediction: Prediction) -> int:
        """How many nats of a frame's KL, summed over the elements of z, count as 1."""


@dataclass(frozen=True, kw_only=True)
class Elbo:
    """The bound under a likelihood p(x | x̂) ∝ exp(−Σ ρ(x̂, x) / 2 sigma²), up to a constant.

    Where ρ is the squared error, sigma is the standard deviation of a Gaussian. ``sigma=None`` leaves the 1 / 2 sigma²
    out. The defaults are the reference's convention, where beta = 1 weighs KL like C·H·W / 2 in the papers'; with
    ``sigma`` and ``kl_reduction="per_dimension"`` the loss is the negative ELBO in nats per dimension.

    Args:
        sigma: scale of the likelihood, in units of the frame's range [0, 1].
        reconstruction: ρ, and how pixels are weighed.
        reconstruction_reduction: "sum" or "mean" over channels and pixels.
        kl_reduction: "sum" or "mean" over the elements of z, or "per_dimension" of a frame.

    Raises:
        ValueError: if ``sigma`` is not positive, or there is no such reduction.
    """

    sigma: float | None = None
    reconstruction: Reconstruction = _SQUARED
    reconstruction_reduction: Reduction = "mean"
    kl_reduction: KLReduction = "sum"

    def __post_init__(self) -> None:
        check_reductions(self.reconstruction_reduction, self.kl_reduction)
        if self.sigma is not None and self.sigma <= 0:
            raise ValueError(f"objective.sigma must be > 0 or null, got {self.sigma}")

    def __call__(self, prediction: Prediction, target: Frames, poses: Poses, *, progress: float = 0.0) -> Terms:
        """The unweighted terms per clip, summed over its steps."""
        return plain_terms(self, prediction, target, poses)

    def distortion(self, prediction: Prediction, target: Frames, poses: Poses) -> Float[Tensor, "B S"]:
        """Σ or mean of ρ over a frame, divided by 2 sigma²."""
        error = self.reconstruction(prediction.frames, target, poses, reduction=self.reconstruction_reduction)
        return error if self.sigma is None else error / (2 * self.sigma**2)

    def nats_per_unit(self, prediction: Prediction) -> int:
        """1, Z·h·w or C·H·W."""
        return nats_per_unit(self.kl_reduction, prediction)

    def weights(self, beta: Beta) -> Weights:
        """The weight of every term."""
        return {"reconstruction": 1.0, "kl": beta}

    def equivalent_beta(self, beta: Beta, prediction: Prediction, target: Frames, terms: Terms) -> Beta:
        """Beta with which the papers' loss gives KL the same share beside its ½ Σ squared error.

        Exact for the squared error; for others, what this batch's errors make it.
        """
        pixels, unit = target[0, 0].numel(), self.nats_per_unit(prediction)
        per_square = self.reconstruction.error.per_square
        if per_square is None:
            squares = mean_squared_error(prediction.frames.detach(), target).sum() * pixels
            return beta * squares / (2 * unit * terms["reconstruction"].detach().sum())
        divided = pixels if self.reconstruction_reduction == "mean" else 1
        return beta * divided * (2 * self.sigma**2 if self.sigma is not None else 1.0) / (2 * unit * per_square)


@dataclass(frozen=True, kw_only=True)
class SigmaVae:
    """The bound under a Gaussian whose variance is the best one for every frame.

    The likelihood N(x̂_t, σ² I) is largest at σ² = MSE_t; there, up to a constant, it is in nats per dimension

        reconstruction = ½ log(MSE_t + floor²),    KL = Σ elements / (C·H·W)

    (optimal sigma-VAE: Rybkin et al. 2021, arXiv 2006.13202, with one variance per frame). A frame that cannot be
    foreseen, because the light has changed, weighs less than one that can. Pixels that weigh w have variance σ² / w.

    Args:
        floor: smallest standard deviation, in units of the frame's range [0, 1].
        reconstruction: the squared error, and how pixels are weighed.
        reconstruction_reduction: "mean", per dimension as above, or "sum", C·H·W times that.
        kl_reduction: "sum" or "mean" over the elements of z, or "per_dimension" of a frame.

    Raises:
        ValueError: if ``floor`` is not positive, the error is not the squared one, or there is no such reduction.
    """

    floor: float = 0.01
    reconstruction: Reconstruction = _SQUARED
    reconstruction_reduction: Reduction = "mean"
    kl_reduction: KLReduction = "per_dimension"

    def __post_init__(self) -> None:
        check_reductions(self.reconstruction_reduction, self.kl_reduction)
        if self.floor <= 0:
            raise ValueError(f"objective.floor must be > 0, got {self.floor}")
        if self.reconstruction.error.per_square != 1:
            raise ValueError(
                f"objective=sigma_vae fits the variance of a Gaussian and needs reconstruction=mse, got "
                f"{type(self.reconstruction.error).__name__}; other errors work with objective=elbo or objective=lab"
            )

    def __call__(self, prediction: Prediction, target: Frames, poses: Poses, *, progress: float = 0.0) -> Terms:
        """The unweighted terms per clip, summed over its steps."""
        return plain_terms(self, prediction, target, poses)

    def distortion(self, prediction: Prediction, target: Frames, poses: Poses) -> Float[Tensor, "B S"]:
        """½ log variance of every frame, or C·H·W times that."""
        error = self.reconstruction(prediction.frames, target, poses, reduction="mean")
        return (error + self.floor**2).log() * self._dimensions(target) / 2

    def nats_per_unit(self, prediction: Prediction) -> int:
        """1, Z·h·w or C·H·W."""
        return nats_per_unit(self.kl_reduction, prediction)

    def weights(self, beta: Beta) -> Weights:
        """The weight of every term."""
        return {"reconstruction": 1.0, "kl": beta}

    def equivalent_beta(self, beta: Beta, prediction: Prediction, target: Frames, terms: Terms) -> Beta:
        """Beta · σ² where both terms are per dimension, with the geometric mean of the batch's variances."""
        dimensions, (_, steps, *frame) = self._dimensions(target), target.shape
        variance = torch.exp(2 * terms["reconstruction"].detach().mean() / (steps * dimensions))
        pixels = torch.Size(frame).numel()
        return beta * variance * (pixels / (dimensions * self.nats_per_unit(prediction)))

    def _dimensions(self, target: Frames) -> int:
        return target[0, 0].numel() if self.reconstruction_reduction == "sum" else 1


def plain_terms(bound: Bound, prediction: Prediction, target: Frames, poses: Poses) -> Terms:
    """Reconstruction and KL in the units of a bound, per clip, summed over its steps."""
    return {
        "reconstruction": bound.distortion(prediction, target, poses).sum(dim=1),
        "kl": (kl_of_frames(prediction) / bound.nats_per_unit(prediction)).sum(dim=1),
    }


def nats_per_unit(reduction: KLReduction, prediction: Prediction) -> int:
    """What the sum of KL over the elements of z is divided by."""
    sizes = {
        "sum": 1,
        "mean": prediction.posterior.mean[0, 0].numel(),
        "per_dimension": prediction.frames[0, 0].numel(),
    }
    return sizes[reduction]


def check_reductions(reconstruction: str, kl: str) -> None:
    """Refuse what is no reduction.

    Raises:
        ValueError: that names the choices.
    """
    given = {"reconstruction_reduction": (reconstruction, Reduction), "kl_reduction": (kl, KLReduction)}
    for name, (value, choices) in given.items():
        if value not in get_args(choices):
            raise ValueError(f"objective.{name} must be one of {', '.join(get_args(choices))}, got {value!r}")
