"""A constant weight, and one rise."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

from vidpred.schedules.course import describe_beta
from vidpred.schedules.law import By, check_by
from vidpred.schedules.shapes import Shape, between, check_shape, rise


@dataclass(frozen=True, kw_only=True)
class Constant:
    """No annealing: beta = beta_stop throughout.

    Args:
        beta_stop: the weight.
        by: what positions count; it does not change a constant.

    Raises:
        ValueError: if ``beta_stop`` is negative.
    """

    beta_stop: float = 1.0
    by: By = "epoch"

    def __post_init__(self) -> None:
        check_by(self.by, "kl_anneal")
        if self.beta_stop < 0:
            raise ValueError(f"kl_anneal.beta_stop must be >= 0, got {self.beta_stop}")

    def __call__(self, position: int, total: int) -> float:
        """beta; the position does not matter."""
        return self.beta_stop

    def describe(self, total: int) -> str:
        """What to expect, in one sentence."""
        return describe_beta([self.beta_stop], stop=self.beta_stop, by=self.by)

    def fit(self, total: int) -> "Constant":
        """Itself: a constant fits any run."""
        return self


@dataclass(frozen=True, kw_only=True)
class Annealing(ABC):
    """From beta_start to beta_stop, after a delay."""

    beta_start: float = 0.0
    beta_stop: float = 1.0
    shape: Shape = "linear"
    delay: int = 0
    by: By = "epoch"

    def __post_init__(self) -> None:
        check_by(self.by, "kl_anneal")
        check_shape(self.shape, "kl_anneal")
        if min(self.beta_start, self.beta_stop) < 0:
            raise ValueError(
                f"kl_anneal.beta_start and beta_stop must be >= 0, got {self.beta_start}, {self.beta_stop}"
            )
        if self.delay < 0:
            raise ValueError(f"kl_anneal.delay must be >= 0, got {self.delay}")

    @abstractmethod
    def __call__(self, position: int, total: int) -> float:
        """Beta at a position, counted from 0."""

    def describe(self, total: int) -> str:
        """What to expect of a run, in one sentence that is read off the values.

        Raises:
            ValueError: where the law cannot work in a run of that length.
        """
        return describe_beta([self(position, total) for position in range(total)], stop=self.beta_stop, by=self.by)


@dataclass(frozen=True, kw_only=True)
class Rise(Annealing):
    """One rise, from a position to a position.

    With s the shape (see :mod:`vidpred.schedules.shapes`), d = delay,

        beta(e) = beta_start for e < d,
        beta(e) = beta_start + (beta_stop − beta_start) · s((e − d) / (end − d)) for d ≤ e < end,
        beta(e) = beta_stop for e ≥ end.

    Positions from ``total`` on keep the value of the last one.

    Args:
        beta_start: until ``delay``, included.
        beta_stop: from ``end`` on.
        shape: "linear", "sigmoid" or "cosine".
        delay: the position that the rise begins at.
        end: the first position at beta_stop; None is the last one of the run. With ``end=delay`` beta jumps there.
        by: what positions count, "epoch" or "step".

    Raises:
        ValueError: for a parameter out of its range; when called, for a delay that leaves no position to rise in.
    """

    end: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.end is not None and self.end < self.delay:
            raise ValueError(f"kl_anneal.end must not be before kl_anneal.delay={self.delay}, got {self.end}")

    def __call__(self, position: int, total: int) -> float:
        """Beta at a position, counted from 0."""
        last = total - 1
        end = last if self.end is None else self.end
        if last < self.delay or last == self.delay < end:
            raise ValueError(
                f"kl_anneal.delay={self.delay} leaves no {self.by} to rise in ({total} in the run): beta would never "
                f"leave {self.beta_start}. Lower kl_anneal.delay or train longer"
            )
        if position == 0 and end > last:
            warnings.warn(
                f"kl_anneal.end={end} is after the last {self.by} ({last}): beta never reaches {self.beta_stop}, it "
                f"ends at {self(last, total):.4g}",
                stacklevel=1,
            )
        place = min(position, last)
        if place >= end:
            return self.beta_stop
        if place <= self.delay:
            return self.beta_start
        progress = (place - self.delay) / (end - self.delay)
        return between(self.beta_start, self.beta_stop, rise(self.shape, progress))

    def fit(self, total: int) -> "Rise":
        """The law itself where it reaches its end; else a copy that ends at the last position."""
        last = total - 1
        if self.end is None:
            return replace(self, delay=min(self.delay, last))
        if self.end <= last:
            return self
        return replace(self, delay=min(self.delay, max(0, last - 1)), end=last)
