"""The evidence lower bound, in two conventions: the lab's, and nats per dimension."""

from dataclasses import dataclass

from einops import reduce
from jaxtyping import Float
from torch import Tensor

from vidpred.objectives.terms import kl_divergence, mean_squared_error
from vidpred.types import FrameShape, Prediction


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

    def __call__(self, prediction: Prediction, target: Float[Tensor, "B S C H W"]) -> dict[str, Float[Tensor, " B"]]:
        """The unweighted terms per clip, summed over its steps."""
        reconstruction = mean_squared_error(prediction.frames, target)
        kl = reduce(kl_divergence(prediction.posterior, prediction.prior), "b s z h w -> b s", "sum")
        if self.sigma is not None:
            reconstruction = reconstruction / (2 * self.sigma**2)
            kl = kl / target[0, 0].numel()
        return {"reconstruction": reconstruction.sum(dim=1), "kl": kl.sum(dim=1)}

    def weights(self, beta: float) -> dict[str, float]:
        """The weight of every term."""
        return {"reconstruction": 1.0, "kl": beta}

    def equivalent_beta(self, beta: float, shape: FrameShape) -> float:
        """Beta where reconstruction is ½ Σ squared error over pixels and KL is summed: the papers' convention."""
        if self.sigma is not None:
            return beta * self.sigma**2
        return beta * shape.channels * shape.height * shape.width / 2
