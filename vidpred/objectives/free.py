"""Free nats: a floor under the KL, below which it costs nothing, so that z is not given up early in the training.

Both report the true KL as the term ``kl``, with weight 0, and minimize ``kl_free``.
"""

from dataclasses import dataclass

import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor

from vidpred.objectives.elbo import Beta, Bound, Poses, Terms, Weights
from vidpred.objectives.reconstruction import Frames
from vidpred.objectives.terms import kl_divergence, kl_of_frames
from vidpred.types import Prediction


@dataclass(frozen=True, kw_only=True)
class FreeBits:
    """A floor under the KL of every channel of z (Kingma et al. 2016, arXiv 1606.04934).

    The groups are the channels z_c of the latent map, whose elements share their parameters, as in the paper. A group's
    KL is summed over the h·w places of the map and averaged over the batch and its steps:

        kl_free = Σ_c max(nats, E_{b,t}[KL(q(z_tc) ‖ p(z_tc))]) for every frame.

    A channel below its floor has no gradient. As a term per clip, a channel above the floor counts with the clip's own
    KL, one below with ``nats``, so that the mean over clips is the formula. With many processes the batch is that of
    each, as in the paper's minibatch.

    Args:
        base: the bound whose KL gets the floor.
        nats: λ, per channel and frame.

    Raises:
        ValueError: if ``nats`` is negative.
    """

    base: Bound
    nats: float = 0.5

    def __post_init__(self) -> None:
        _check_nats(self.nats)

    def __call__(self, prediction: Prediction, target: Frames, poses: Poses, *, progress: float = 0.0) -> Terms:
        """The unweighted terms per clip, summed over its steps."""
        elements = kl_divergence(prediction.posterior, prediction.prior)
        channels = reduce(elements, "b s z h w -> b s z", "sum")
        floored = torch.where(reduce(channels, "b s z -> z", "mean") > self.nats, channels, self.nats)
        unit = self.base.nats_per_unit(prediction)
        return {
            "reconstruction": self.base.distortion(prediction, target, poses).sum(dim=1),
            "kl": _sum_clip(channels.detach()) / unit,
            "kl_free": _sum_clip(floored) / unit,
        }

    def weights(self, beta: Beta) -> Weights:
        """The weight of every term: beta for ``kl_free``."""
        return _weigh_free(self.base, beta)

    def equivalent_beta(self, beta: Beta, prediction: Prediction, target: Frames, terms: Terms) -> Beta:
        """That of the bound, for the channels above the floor."""
        return self.base.equivalent_beta(beta, prediction, target, terms)


@dataclass(frozen=True, kw_only=True)
class FreeNats:
    """A floor under the KL of a clip: kl_free = max(nats, Σ_t KL(q_t ‖ p_t)).

    The floor of Kingma et al. 2016 (arXiv 1606.04934) with one group, the whole clip, and without the average over the
    batch: a clip may spend its nats in any frame and channel.

    Args:
        base: the bound whose KL gets the floor.
        nats: λ, per clip.

    Raises:
        ValueError: if ``nats`` is negative.
    """

    base: Bound
    nats: float = 50.0

    def __post_init__(self) -> None:
        _check_nats(self.nats)

    def __call__(self, prediction: Prediction, target: Frames, poses: Poses, *, progress: float = 0.0) -> Terms:
        """The unweighted terms per clip, summed over its steps."""
        clips, unit = kl_of_frames(prediction).sum(dim=1), self.base.nats_per_unit(prediction)
        return {
            "reconstruction": self.base.distortion(prediction, target, poses).sum(dim=1),
            "kl": clips.detach() / unit,
            "kl_free": clips.clamp(min=self.nats) / unit,
        }

    def weights(self, beta: Beta) -> Weights:
        """The weight of every term: beta for ``kl_free``."""
        return _weigh_free(self.base, beta)

    def equivalent_beta(self, beta: Beta, prediction: Prediction, target: Frames, terms: Terms) -> Beta:
        """That of the bound, for the clips above the floor."""
        return self.base.equivalent_beta(beta, prediction, target, terms)


def _weigh_free(base: Bound, beta: Beta) -> Weights:
    weights = base.weights(beta)
    return {**weights, "kl": 0.0, "kl_free": weights["kl"]}


def _sum_clip(channels: Float[Tensor, "B S Z"]) -> Float[Tensor, " B"]:
    return reduce(channels, "b s z -> b", "sum")


def _check_nats(nats: float) -> None:
    if nats < 0:
        raise ValueError(f"objective.nats must be >= 0, got {nats}")
