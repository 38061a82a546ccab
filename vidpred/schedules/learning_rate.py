"""Learning-rate schedules: a factor on the optimizer's learning rate, as a function of the position in the run."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vidpred.schedules.course import describe_rate
from vidpred.schedules.law import By, check_by


@dataclass(frozen=True, kw_only=True)
class WarmupCosine:
    """Linear warm-up, then half a cosine down to a floor (Loshchilov & Hutter 2017, arXiv 1608.03983).

    With w = warmup · total and u = (position − w) / (total − w),

        factor = (position + 1) / w for position < w, then floor + (1 − floor) · (1 + cos π u) / 2.

    Args:
        warmup: part of the run, 0 to 1 (exclusive).
        floor: the factor that the end tends to, 0 to 1.
        by: what positions count, "epoch" or "step".

    Raises:
        ValueError: for a parameter out of its range.
    """

    warmup: float = 0.03
    floor: float = 0.0
    by: By = "step"

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < 1 or not 0 <= self.floor <= 1:
            raise ValueError(f"lr_schedule needs 0 <= warmup < 1 and 0 <= floor <= 1, got {self.warmup}, {self.floor}")
        check_by(self.by, "lr_schedule")

    def __call__(self, position: int, total: int) -> float:
        """The factor at a position, counted from 0."""
        rise = self.warmup * total
        if position < rise:
            return min(1.0, (position + 1) / rise)
        progress = min(1.0, (position - rise) / (total - rise))
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2

    def describe(self, total: int) -> str:
        """What to expect of a run, in one sentence that is read off the values."""
        return describe_rate([self(position, total) for position in range(total)], by=self.by)

    def fit(self, total: int) -> "WarmupCosine":
        """Itself: it is a law of parts of the run."""
        return self


@dataclass(frozen=True, kw_only=True)
class MultiStep:
    """factor = gamma^n, n the number of milestones reached: the reference's schedule.

    Args:
        milestones: positions at which the rate falls.
        gamma: the factor of one fall.
        by: what positions count, "epoch" or "step".

    Raises:
        ValueError: for a parameter out of its range.
    """

    milestones: Sequence[int] = (2, 5)
    gamma: float = 0.1
    by: By = "epoch"

    def __post_init__(self) -> None:
        if self.gamma <= 0 or any(milestone < 0 for milestone in self.milestones):
            raise ValueError(f"lr_schedule needs gamma > 0 and milestones >= 0, got {self.gamma}, {self.milestones}")
        check_by(self.by, "lr_schedule")

    def __call__(self, position: int, total: int) -> float:
        """The factor at a position, counted from 0; milestones that the run does not reach are warned of."""
        late = [milestone for milestone in self.milestones if milestone >= total]
        if position == 0 and late:
            warnings.warn(
                f"lr_schedule.milestones={late} are not before the end of the run ({total} {self.by}s)", stacklevel=1
            )
        return self.gamma ** sum(position >= milestone for milestone in self.milestones)

    def describe(self, total: int) -> str:
        """What to expect of a run, in one sentence that is read off the values."""
        return describe_rate([self(position, total) for position in range(total)], by=self.by)

    def fit(self, total: int) -> "MultiStep":
        """The law without the milestones that the run does not reach."""
        return replace(self, milestones=[milestone for milestone in self.milestones if milestone < total])
