"""The evidence lower bound in three conventions: the lab's, of a known sigma, and of the optimal one."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor

from vidpred.objectives.terms import kl_divergence, mean_squared_error
from vidpred.types import FrameShape, Prediction

Terms = dict[str, Float[Tensor, " B"]]


@runtime_checkable
class Objective(Protocol):
    """Terms per clip, their weights, and what beta means in the papers' convention."""

    def __call__(self, prediction: Prediction, target: Float[Tensor, "B S C H W"]) -> Terms:
        """The unweighted terms per clip, summed over its steps."""

    def weights(self, beta: float) -> dict[str, float]:
        """The weight of every term, by the same names."""

    def equivalent_beta(self, beta: float, shape: FrameShape, terms: Terms, steps: int) -> float | Tensor:
        """Beta where reconstruction is ½ Σ squared error over pixels and KL is summed."""


@dataclass(frozen=True, kw_only=True)
class Elbo:
    """loss = Σ_t reconstruction(x̂_t, x_t) + beta · Σ_t KL(q_t ‖ p_t), per clip.

    With ``sigma`` the loss is the negative ELBO under a Gaussian likelihood N(x̂_t, sigma² I), up to a constant, divided
    by the C·H·W dimensions of a frame, in nats per dimension:

        reconstruction = MSE / (2 sigma²),    KL = Σ elements / (C·H·W).

    Without (``sigma=None``), it is the reference's convention: reconstruction is the MSE over pixels, KL the sum over
    the elements of z. There beta = 1 weighs KL like C·H·W / 2 in a pixel-sum convention of unit variance.

    Args:
        sigma: standard deviation of the likelihood, in units of the frame's range [0, 1]; None for the reference.

    Raises:
        ValueError: if ``sigma`` is not positive.
    """

    sigma: float | None = None

    def __post_init__(self) -> None:
        if self.sigma is not None and self.sigma <= 0:
            raise ValueError(f"objective.sigma must be > 0 or null, got {self.sigma}")

    def __call__(self, prediction: Prediction, target: Float[Tensor, "B S C H W"]) -> Terms:
        """The unweighted terms per clip, summed over its steps."""
        reconstruction = mean_squared_error(prediction.frames, target)
        kl = _kl(prediction)
        if self.sigma is not None:
            reconstruction = reconstruction / (2 * self.sigma**2)
            kl = kl / target[0, 0].numel()
        return {"reconstruction": reconstruction.sum(dim=1), "kl": kl.sum(dim=1)}

    def weights(self, beta: float) -> dict[str, float]:
        """The weight of every term."""
        return {"reconstruction": 1.0, "kl": beta}

    def equivalent_beta(self, beta: float, shape: FrameShape, terms: Terms, steps: int) -> float:
        """Beta · sigma², or beta · C·H·W / 2 in the reference's convention."""
        if self.sigma is not None:
            return beta * self.sigma**2
        return beta * shape.channels * shape.height * shape.width / 2


@dataclass(frozen=True, kw_only=True)
class SigmaVae:
    """The negative ELBO under a Gaussian whose variance is the best one for every frame, in nats per dimension.

    The likelihood N(x̂_t, σ² I) is largest at σ² = MSE_t; there, up to a constant,

        reconstruction = ½ log(MSE_t + floor²),    KL = Σ elements / (C·H·W)

    (optimal sigma-VAE: Rybkin et al. 2021, arXiv 2006.13202, with one variance per frame). A frame that cannot be
    foreseen, because the light has changed, weighs less than one that can.

    Args:
        floor: smallest standard deviation, in units of the frame's range [0, 1].

    Raises:
        ValueError: if ``floor`` is not positive.
    """

    floor: float = 0.01

    def __post_init__(self) -> None:
        if self.floor <= 0:
            raise ValueError(f"objective.floor must be > 0, got {self.floor}")

    def __call__(self, prediction: Prediction, target: Float[Tensor, "B S C H W"]) -> Terms:
        """The unweighted terms per clip, summed over its steps."""
        variance = mean_squared_error(prediction.frames, target) + self.floor**2
        kl = _kl(prediction) / target[0, 0].numel()
        return {"reconstruction": variance.log().sum(dim=1) / 2, "kl": kl.sum(dim=1)}

    def weights(self, beta: float) -> dict[str, float]:
        """The weight of every term."""
        return {"reconstruction": 1.0, "kl": beta}

    def equivalent_beta(self, beta: float, shape: FrameShape, terms: Terms, steps: int) -> Tensor:
        """Beta · σ², with the geometric mean of the batch's variances."""
        return beta * torch.exp(2 * terms["reconstruction"].detach().mean() / steps)


def _kl(prediction: Prediction) -> Float[Tensor, "B S"]:
    return reduce(kl_divergence(prediction.posterior, prediction.prior), "b s z h w -> b s", "sum")
