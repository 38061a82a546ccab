"""Schedules: pure laws from a position in the run to a number. No state, so a resumed run continues them exactly.

One follows the training instead, :class:`~vidpred.schedules.adaptive.Adaptive`; its state is in the checkpoint.
"""

from vidpred.schedules import clip_length, kl_anneal, learning_rate, teacher_forcing
from vidpred.schedules.law import Fittable

__all__ = ["Fittable", "clip_length", "kl_anneal", "learning_rate", "teacher_forcing"]
