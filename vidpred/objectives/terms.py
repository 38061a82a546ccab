"""The terms of the objective, unreduced over clips and steps."""

from einops import reduce
from jaxtyping import Float
from torch import Tensor

from vidpred.types import Gaussian, Prediction


def kl_divergence(posterior: Gaussian, prior: Gaussian) -> Float[Tensor, "B S Z h w"]:
    """KL(q ‖ p) of diagonal Gaussians, element by element, in nats.

    For q = N(mean, exp logvar) and p = N(m, exp v):

        KL = ½ (v − logvar + (exp logvar + (mean − m)²) / exp v − 1)

    (Kingma & Welling 2014, arXiv 1312.6114, appendix B, for p = N(0, I)).
    """
    spread = (posterior.logvar - prior.logvar).exp()
    offset = (posterior.mean - prior.mean).square() * (-prior.logvar).exp()
    return 0.5 * (prior.logvar - posterior.logvar + spread + offset - 1)


def kl_of_frames(prediction: Prediction) -> Float[Tensor, "B S"]:
    """KL(q_t ‖ p_t) of every frame, summed over the elements of z, in nats."""
    return reduce(kl_divergence(prediction.posterior, prediction.prior), "b s z h w -> b s", "sum")


def mean_squared_error(
    predicted: Float[Tensor, "B S C H W"], target: Float[Tensor, "B S C H W"]
) -> Float[Tensor, "B S"]:
    """Squared error of every frame, averaged over channels and pixels."""
    return reduce((predicted - target).square(), "b s c h w -> b s", "mean")
