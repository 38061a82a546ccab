"""vidpred: pose-conditioned video prediction with conditional variational auto-encoders."""

__version__ = "0.1.0"
