"""KL balancing: the learned prior moves to the posterior faster than the posterior to the prior."""

from dataclasses import dataclass

from vidpred.objectives.elbo import Beta, Bound, Poses, Terms, Weights
from vidpred.objectives.reconstruction import Frames
from vidpred.objectives.terms import kl_of_frames
from vidpred.types import Gaussian, Prediction


@dataclass(frozen=True, kw_only=True)
class KlBalance:
    """KL = alpha · KL(sg(q) ‖ p) + (1 − alpha) · KL(q ‖ sg(p)); sg stops the gradient.

    Its value is KL(q ‖ p); the prior has alpha times its gradient, the posterior 1 − alpha times (Hafner et al. 2021,
    arXiv 2010.02193).

    Args:
        base: the bound whose KL is balanced.
        alpha: the part of the prior, 0 to 1; 0.8 in the paper.

    Raises:
        ValueError: if ``alpha`` is not in [0, 1]; when called in training, if the prior cannot learn.
    """

    base: Bound
    alpha: float = 0.8

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"objective.alpha must lie in [0, 1], got {self.alpha}")

    def __call__(self, prediction: Prediction, target: Frames, poses: Poses, *, progress: float = 0.0) -> Terms:
        """The unweighted terms per clip, summed over its steps."""
        posterior, prior = prediction.posterior, prediction.prior
        if posterior.mean.requires_grad and not prior.mean.requires_grad:
            raise ValueError("objective=kl_balance balances posterior and learned prior, and this prior does not "
                             "learn: set prior=learned, or choose another objective")  # fmt: skip
        to_prior = kl_of_frames(prediction._replace(posterior=_stop(posterior)))
        to_posterior = kl_of_frames(prediction._replace(prior=_stop(prior)))
        frames = self.alpha * to_prior + (1 - self.alpha) * to_posterior
        return {
            "reconstruction": self.base.distortion(prediction, target, poses).sum(dim=1),
            "kl": (frames / self.base.nats_per_unit(prediction)).sum(dim=1),
        }

    def weights(self, beta: Beta) -> Weights:
        """The weight of every term."""
        return self.base.weights(beta)

    def equivalent_beta(self, beta: Beta, prediction: Prediction, target: Frames, terms: Terms) -> Beta:
        """That of the bound, for the value of the KL."""
        return self.base.equivalent_beta(beta, prediction, target, terms)


def _stop(gaussian: Gaussian) -> Gaussian:
    return Gaussian(gaussian.mean.detach(), gaussian.logvar.detach())
