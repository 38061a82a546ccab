"""Teacher forcing: the probability that the previous frame of a training step is the true one.

Positions count epochs from 0; ``total`` is their number. A schedule also says how finely its coins are tossed.
"""

import warnings
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool
from torch import Tensor

from vidpred.seeds import Stream, mix_seed

Granularity = Literal["epoch", "batch", "clip", "frame"]
GRANULARITIES = ("epoch", "batch", "clip", "frame")


@runtime_checkable
class Schedule(Protocol):
    """A forcing probability over the run, and what one coin decides for."""

    @property
    def granularity(self) -> Granularity:
        """One coin per epoch, batch, clip or frame."""

    def __call__(self, position: int, total: int) -> float:
        """The probability at an epoch."""


@dataclass(frozen=True, kw_only=True)
class Constant:
    """forcing_prob = prob throughout: 1 is always, 0 never.

    Raises:
        ValueError: if ``prob`` is no probability or the granularity is unknown.
    """

    prob: float
    granularity: Granularity = "epoch"

    def __post_init__(self) -> None:
        _check(self.granularity, prob=self.prob)

    def __call__(self, position: int, total: int) -> float:
        """The probability; the position does not matter."""
        return self.prob


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Linear decay from an epoch to the end of the run: the reference.

    With s = decay_start and E = total, clipped to the range between the two,

        prob(e) = prob_start for e < s, then prob_start + (prob_stop − prob_start) · (e − s) / (E − s).

    The last epoch is E − 1, so prob_stop itself is not reached. With s ≥ E nothing decays, which is warned of.

    Args:
        prob_start: before the decay.
        prob_stop: what the decay tends to.
        decay_start: s, an epoch.
        granularity: what one coin decides for.

    Raises:
        ValueError: for a parameter out of its range.
    """

    prob_start: float = 1.0
    prob_stop: float = 0.0
    decay_start: int = 10
    granularity: Granularity = "epoch"

    def __post_init__(self) -> None:
        _check(self.granularity, prob_start=self.prob_start, prob_stop=self.prob_stop)
        if self.decay_start < 0:
            raise ValueError(f"teacher_forcing.decay_start must be >= 0, got {self.decay_start}")

    def __call__(self, position: int, total: int) -> float:
        """The probability at an epoch, counted from 0."""
        if self.decay_start >= total:
            warnings.warn(
                f"teacher_forcing.decay_start={self.decay_start} is not before the end of the run ({total} epochs): "
                f"the probability stays {self.prob_start}",
                stacklevel=2,
            )
            return self.prob_start
        progress = (position - self.decay_start) / (total - self.decay_start)
        return self.prob_start + (self.prob_stop - self.prob_start) * min(1.0, max(0.0, progress))


@dataclass(frozen=True, kw_only=True)
class Step:
    """A fixed amount each epoch: prob(e) = max(prob_stop, prob_start − amount · max(0, e − decay_start + 1)).

    The first epoch that is lower is ``decay_start`` itself, as in the lab's template.

    Args:
        prob_start: before the decay.
        prob_stop: the floor.
        amount: taken off each epoch.
        decay_start: the first epoch with a lower probability.
        granularity: what one coin decides for.

    Raises:
        ValueError: for a parameter out of its range.
    """

    prob_start: float = 1.0
    prob_stop: float = 0.0
    amount: float = 0.1
    decay_start: int = 10
    granularity: Granularity = "epoch"

    def __post_init__(self) -> None:
        _check(self.granularity, prob_start=self.prob_start, prob_stop=self.prob_stop)
        if self.amount < 0 or self.decay_start < 0:
            raise ValueError(
                f"teacher_forcing.amount and decay_start must be >= 0, got {self.amount}, {self.decay_start}"
            )
        if self.prob_stop > self.prob_start:
            raise ValueError(
                f"teacher_forcing.prob_stop must be <= prob_start, got {self.prob_stop}, {self.prob_start}"
            )

    def __call__(self, position: int, total: int) -> float:
        """The probability at an epoch, counted from 0."""
        falls = max(0, position - self.decay_start + 1)
        return max(self.prob_stop, self.prob_start - self.amount * falls)


def toss(
    schedule: Schedule, prob: float, *, clips: int, steps: int, seed: int, epoch: int, step: int
) -> Bool[Tensor, "B S"]:
    """Toss the coins of one batch, on the CPU: a pure function of its arguments.

    Args:
        schedule: says what one coin decides for.
        prob: the forcing probability.
        clips: B, of all processes together, so that all see the same coins.
        steps: S, predicted frames of a clip. The first one's previous frame is true in any case.
        seed: of the run.
        epoch: of the run; alone with the seed it decides the coin of granularity "epoch".
        step: of the run, over all epochs.
    """
    moment = epoch if schedule.granularity == "epoch" else step
    generator = torch.Generator().manual_seed(mix_seed(seed, Stream.COINS, moment))
    shape = {"epoch": (1, 1), "batch": (1, 1), "clip": (clips, 1), "frame": (clips, steps)}[schedule.granularity]
    # float64: uniform on [0, 1), so that probability 1 always and probability 0 never wins
    return (torch.rand(shape, generator=generator, dtype=torch.float64) < prob).expand(clips, steps)


def _check(granularity: str, **probs: float) -> None:
    if granularity not in GRANULARITIES:
        raise ValueError(f"teacher_forcing.granularity must be one of {list(GRANULARITIES)}, got {granularity!r}")
    for name, prob in probs.items():
        if not 0 <= prob <= 1:
            raise ValueError(f"teacher_forcing.{name} must lie in [0, 1], got {prob}")
