"""Shapes of a rise: s(u) for u in [0, 1], never falling, with s(0) = 0 and s(1) = 1 exactly.

| shape | s(u) |
| --- | --- |
| linear | u |
| cosine | (1 − cos π u) / 2 |
| sigmoid | (σ(12 u − 6) − σ(−6)) / (σ(6) − σ(−6)) = (1 + tanh(6 u − 3) / tanh 3) / 2 |

σ is the logistic function. All three are those of Fu et al. 2019 (arXiv 1903.10145); the authors' code lets the sigmoid
run from σ(−6) = 0.0025 to σ(6) = 0.9975, here it is stretched to reach both ends.
"""

import math
from typing import Literal, get_args

Shape = Literal["linear", "sigmoid", "cosine"]


def rise(shape: Shape, progress: float) -> float:
    """s(u), the part of the way that is done.

    Args:
        shape: of the rise.
        progress: u in [0, 1].
    """
    if shape == "sigmoid":
        return (1 + math.tanh(6 * progress - 3) / math.tanh(3)) / 2
    return progress if shape == "linear" else (1 - math.cos(math.pi * progress)) / 2


def between(start: float, stop: float, share: float) -> float:
    """``start`` at share 0 and ``stop`` at share 1, to the bit; in between never outside of the two."""
    low, high = sorted((start, stop))
    return stop if share == 1 else min(high, max(low, start + (stop - start) * share))


def check_shape(shape: str, group: str) -> None:
    """Refuse a shape that is none.

    Raises:
        ValueError: that names the choices.
    """
    if shape not in get_args(Shape):
        raise ValueError(f"{group}.shape must be one of {list(get_args(Shape))}, got {shape!r}")
