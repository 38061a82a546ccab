"""KL annealing: the weight beta of the KL term, as a function of the position in the run.

Positions count epochs (or optimizer steps, where ``by`` is "step") from 0; ``total`` is their number in the run.
What cannot work in a run of that length is a ValueError at every position; what works, but hardly as meant, is warned
of at position 0.
"""

from vidpred.schedules.kl_anneal.cycles import Cyclical, WarmRestarts
from vidpred.schedules.kl_anneal.single import Annealing, Constant, Rise

__all__ = ["Annealing", "Constant", "Cyclical", "Rise", "WarmRestarts"]
