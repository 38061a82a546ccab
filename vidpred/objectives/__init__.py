"""Training objectives: terms per clip, in stated units, reduced once by the training step."""

from vidpred.objectives.elbo import Elbo, Objective, SigmaVae
from vidpred.objectives.terms import kl_divergence, mean_squared_error

__all__ = ["Elbo", "Objective", "SigmaVae", "kl_divergence", "mean_squared_error"]
