"""Scores of models and baselines on held-out clips."""
