"""Training objectives: terms per clip, in stated units, reduced once by the training step."""

from vidpred.objectives.balance import KlBalance
from vidpred.objectives.capacity import Capacity
from vidpred.objectives.controllers import Controller, ControlVae, Geco
from vidpred.objectives.elbo import Bound, Elbo, Objective, SigmaVae
from vidpred.objectives.free import FreeBits, FreeNats
from vidpred.objectives.reconstruction import (
    AbsoluteError,
    Huber,
    PixelError,
    Reconstruction,
    SquaredError,
    SsimMix,
    weigh_pixels,
)
from vidpred.objectives.terms import kl_divergence, kl_of_frames, mean_squared_error

__all__ = [
    "AbsoluteError",
    "Bound",
    "Capacity",
    "ControlVae",
    "Controller",
    "Elbo",
    "FreeBits",
    "FreeNats",
    "Geco",
    "Huber",
    "KlBalance",
    "Objective",
    "PixelError",
    "Reconstruction",
    "SigmaVae",
    "SquaredError",
    "SsimMix",
    "kl_divergence",
    "kl_of_frames",
    "mean_squared_error",
    "weigh_pixels",
]
