"""The latent z: reparameterization, and the priors.

z = mean + exp(logvar / 2) · ε, ε ~ N(0, I) (Kingma & Welling 2014, arXiv 1312.6114).
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vidpred.types import Gaussian


def reparameterize(gaussian: Gaussian, noise: Float[Tensor, "*N Z h w"]) -> Float[Tensor, "*N Z h w"]:
    """A sample of the Gaussian, differentiable in mean and logvar: z = mean + exp(logvar / 2) · noise."""
    return gaussian.mean + torch.exp(gaussian.logvar / 2) * noise


def bound_logvar(raw: Float[Tensor, "*N"], *, bound: float = 8.0) -> Float[Tensor, "*N"]:
    """Squash a raw output smoothly into (-bound, bound), with slope 1 at 0: bound · tanh(raw / bound)."""
    return bound * torch.tanh(raw / bound)


class StandardPrior(nn.Module):
    """p(z) = N(0, I), the same at every step: the reference.

    Args:
        make_encoder: not called; the learned prior builds its network with it.
    """

    sees_previous = False

    def __init__(self, make_encoder: Callable[[], nn.Module]) -> None:
        super().__init__()

    def start_as(self, posterior: nn.Module) -> None:
        """Nothing: there are no weights."""

    def forward(self, features: None, zeros: Float[Tensor, "N Z h w"]) -> Gaussian:
        """N(0, I) in the shape of ``zeros``."""
        return Gaussian(zeros, zeros)


class LearnedPrior(nn.Module):
    """p(z_t | x̂_t-1, p_t): the posterior's architecture, one frame earlier.

    As SVG-LP (Denton & Fergus 2018, arXiv 1802.07687), but feed-forward.

    Args:
        make_encoder: builds the network from features to mean and logvar, stacked in the channels.
    """

    sees_previous = True

    def __init__(self, make_encoder: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.encoder = make_encoder()

    def start_as(self, posterior: nn.Module) -> None:
        """Begin with the posterior's weights, so that KL counts what is new in a frame from the first step on."""
        self.encoder.load_state_dict(posterior.state_dict())

    def forward(self, features: Float[Tensor, "N D h w"], zeros: Float[Tensor, "N Z h w"]) -> Gaussian:
        """The predicted Gaussian of the previous frame's and the pose's features."""
        mean, logvar = self.encoder(features).to(zeros.dtype).chunk(2, dim=1)
        return Gaussian(mean, bound_logvar(logvar))


PriorFactory = Callable[[Callable[[], nn.Module]], StandardPrior | LearnedPrior]
