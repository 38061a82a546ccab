"""A curriculum on clip length: how many frames training clips have, as a function of the position in the run.

Positions count epochs (or optimizer steps, where ``by`` is "step") from 0; ``total`` is their number in the run. A law
gives whole numbers of frames and never falls. It cuts training clips only; validation sees whole ones.
"""

import warnings
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol, runtime_checkable

from vidpred.schedules.course import describe_lengths
from vidpred.schedules.law import By, check_by


@runtime_checkable
class Schedule(Protocol):
    """Frames of a training clip over the run."""

    @property
    def by(self) -> By:
        """What positions count."""

    def __call__(self, position: int, total: int, *, clip_length: int) -> int:
        """Frames at a position, at most ``clip_length``."""


@dataclass(frozen=True, kw_only=True)
class Constant:
    """Whole clips throughout."""

    by: By = "epoch"

    def __post_init__(self) -> None:
        check_by(self.by, "length_schedule")

    def __call__(self, position: int, total: int, *, clip_length: int) -> int:
        """Frames of a training clip; the position does not matter."""
        return clip_length

    def describe(self, total: int, *, clip_length: int) -> str:
        """What to expect, in one sentence."""
        return describe_lengths([clip_length], clip_length=clip_length, by=self.by)

    def fit(self, total: int) -> "Constant":
        """Itself: a constant fits any run."""
        return self


@dataclass(frozen=True, kw_only=True)
class Growing:
    """Short clips first, that grow evenly to whole ones.

    With T = clip_length, E positions after the delay and ramp taken as the decimal it is written as, in fractions, so
    that no frame is lost to rounding,

        frames(e) = length_start for e < delay,
        frames(e) = floor(length_start + (T − length_start) · min(1, (e − delay) / (E · ramp))) for e ≥ delay,

    and T from ``delay`` on where ramp = 0. With ramp = 1 the last position has fewer than T. Positions from ``total``
    on keep the value of the last one.

    Args:
        length_start: frames of the first clips, context included; at least 2.
        delay: positions before they grow.
        ramp: the part of the positions after the delay that they grow in, 0 to 1.
        by: what positions count, "epoch" or "step".

    Raises:
        ValueError: for a parameter out of its range; when called, for a delay that is not before the end of the run, or
            a start longer than a clip.
    """

    length_start: int = 4
    delay: int = 0
    ramp: float = 0.5
    by: By = "epoch"

    def __post_init__(self) -> None:
        check_by(self.by, "length_schedule")
        if self.length_start < 2:
            raise ValueError(
                f"length_schedule.length_start must be >= 2 (a context and a predicted frame), got {self.length_start}"
            )
        if self.delay < 0:
            raise ValueError(f"length_schedule.delay must be >= 0, got {self.delay}")
        if not 0 <= self.ramp <= 1:
            raise ValueError(f"length_schedule.ramp must lie in [0, 1], got {self.ramp}")

    def __call__(self, position: int, total: int, *, clip_length: int) -> int:
        """Frames of a training clip at a position, counted from 0, where a whole clip has ``clip_length``."""
        if self.length_start > clip_length:
            raise ValueError(
                f"length_schedule.length_start={self.length_start} is longer than a clip, data.clip_length="
                f"{clip_length}"
            )
        if self.delay >= total:
            raise ValueError(
                f"length_schedule.delay={self.delay} is not before the end of the run ({total} {self.by}s): "
                f"clips would never grow"
            )
        if position == 0 and self.ramp and total - self.delay == 1 and self.length_start < clip_length:
            warnings.warn(
                f"length_schedule: the {self.by} after the delay is the last of the run ({total}): clips stay at "
                f"{self.length_start} of {clip_length} frames. Lower length_schedule.delay or train longer",
                stacklevel=1,
            )
        elapsed = min(position, total - 1) - self.delay
        if elapsed < 0:
            return self.length_start
        growth = Fraction(str(self.ramp)) * (total - self.delay)
        share = min(Fraction(1), elapsed / growth) if growth else Fraction(1)
        return self.length_start + int((clip_length - self.length_start) * share)

    def describe(self, total: int, *, clip_length: int) -> str:
        """What to expect of a run, in one sentence that is read off the values.

        Raises:
            ValueError: where the law cannot work in a run of that length.
        """
        lengths = [self(position, total, clip_length=clip_length) for position in range(total)]
        return describe_lengths(lengths, clip_length=clip_length, by=self.by)

    def fit(self, total: int) -> "Growing":
        """The law itself where clips grow before the end; else a copy whose delay ends before the last position."""
        return replace(self, delay=min(self.delay, max(0, total - 2)))


WHOLE = Constant()
