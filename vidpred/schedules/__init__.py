"""Schedules: pure laws from a position in the run to a number. No state, so a resumed run continues them exactly."""

from vidpred.schedules import kl_anneal, learning_rate, teacher_forcing

__all__ = ["kl_anneal", "learning_rate", "teacher_forcing"]
