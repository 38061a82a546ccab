"""A capacity that grows: KL is held at a value that rises over the run."""

from dataclasses import dataclass

from vidpred.objectives.elbo import Beta, Bound, Poses, Terms, Weights
from vidpred.objectives.reconstruction import Frames
from vidpred.objectives.terms import kl_of_frames
from vidpred.types import Prediction


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """loss = reconstruction + beta · gamma · |KL − C(progress)| (Burgess et al. 2018, arXiv 1804.03599).

        C = capacity · min(1, progress / ramp), for the KL of a frame, averaged over the steps of a clip.

    ``progress`` is 0 at the first step of the run and 1 at the last. The term ``capacity`` is that of the whole clip,
    S · |KL − C| in the units of the bound; the true KL is the term ``kl``, with weight 0, and ``kl_per_frame``, in nats
    as C is. With kl_anneal=none, beta is 1 and the law is the paper's; any other anneals gamma as well.

    Args:
        base: the bound whose KL is held.
        capacity: C at the end, in nats per frame.
        gamma: the weight; 1000 in the paper.
        ramp: the part of the run that C rises in, above 0, up to 1.

    Raises:
        ValueError: for a parameter out of its range.
    """

    base: Bound
    capacity: float = 25.0
    gamma: float = 1000.0
    ramp: float = 1.0

    def __post_init__(self) -> None:
        if min(self.capacity, self.gamma) < 0:
            raise ValueError(f"objective.capacity and gamma must be >= 0, got {self.capacity}, {self.gamma}")
        if not 0 < self.ramp <= 1:
            raise ValueError(f"objective.ramp must lie in (0, 1], got {self.ramp}")

    def at(self, progress: float) -> float:
        """C, in nats per frame."""
        return self.capacity * min(1.0, progress / self.ramp)

    def __call__(self, prediction: Prediction, target: Frames, poses: Poses, *, progress: float) -> Terms:
        """The unweighted terms per clip, summed over its steps; ``kl_per_frame`` is their mean."""
        frames, unit = kl_of_frames(prediction), self.base.nats_per_unit(prediction)
        distance = (frames.mean(dim=1) - self.at(progress)).abs() * frames.shape[1]
        return {
            "reconstruction": self.base.distortion(prediction, target, poses).sum(dim=1),
            "kl": frames.detach().sum(dim=1) / unit,
            "kl_per_frame": frames.detach().mean(dim=1),
            "capacity": distance / unit,
        }

    def weights(self, beta: Beta) -> Weights:
        """The weight of every term: beta · gamma for ``capacity``."""
        weights = self.base.weights(beta)
        return {**weights, "kl": 0.0, "kl_per_frame": 0.0, "capacity": self.gamma * weights["kl"]}

    def equivalent_beta(self, beta: Beta, prediction: Prediction, target: Frames, terms: Terms) -> Beta:
        """The weight of a clip's KL above C; below, it is rewarded as much."""
        return self.base.equivalent_beta(self.gamma * beta, prediction, target, terms)
