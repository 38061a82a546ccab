"""Networks that predict one frame from the previous one, a pose and a latent z; and the loops over them."""

from vidpred.networks.cvae import CVAE
from vidpred.networks.lab import LabCVAE
from vidpred.networks.latent import LearnedPrior, StandardPrior
from vidpred.networks.rollout import rollout, stream_rollout
from vidpred.networks.step import Model
from vidpred.networks.unroll import observe, predict_next, unroll

__all__ = [
    "CVAE",
    "LabCVAE",
    "LearnedPrior",
    "Model",
    "StandardPrior",
    "observe",
    "predict_next",
    "rollout",
    "stream_rollout",
    "unroll",
]
