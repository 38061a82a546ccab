"""Teacher forcing: the probability that the previous frame of a training step is the true one.

Positions count epochs from 0; ``total`` is their number. A schedule also says how finely its coins are tossed. Every
decay begins at an epoch, ``decay_start``; from ``total`` on the value of the last epoch stays.
"""

import math
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

from vidpred.schedules.adaptive import Adaptive
from vidpred.schedules.coins import Granularity, Mixing, Schedule, check_coins, mix, toss
from vidpred.schedules.course import describe_forcing
from vidpred.schedules.shapes import between, rise

__all__ = [
    "Adaptive",
    "Constant",
    "Cosine",
    "Exponential",
    "Granularity",
    "InverseSigmoid",
    "Linear",
    "Mixing",
    "Schedule",
    "Step",
    "mix",
    "toss",
]


@dataclass(frozen=True, kw_only=True)
class Constant:
    """forcing_prob = prob throughout: 1 is always, 0 never.

    Raises:
        ValueError: if ``prob`` is no probability or the granularity is unknown.
    """

    prob: float
    granularity: Granularity = "epoch"
    mixing: Mixing = "coin"

    def __post_init__(self) -> None:
        check_coins(self.granularity, self.mixing, prob=self.prob)

    def __call__(self, position: int, total: int) -> float:
        """The probability; the position does not matter."""
        return self.prob

    def describe(self, total: int) -> str:
        """What to expect, in one sentence."""
        return describe_forcing([self.prob])

    def fit(self, total: int) -> "Constant":
        """Itself: a constant fits any run."""
        return self


@dataclass(frozen=True, kw_only=True)
class _Decay(ABC):
    """From prob_start to prob_stop, beginning at an epoch."""

    prob_start: float = 1.0
    prob_stop: float = 0.0
    decay_start: int = 10
    granularity: Granularity = "epoch"
    mixing: Mixing = "coin"

    def __post_init__(self) -> None:
        check_coins(self.granularity, self.mixing, prob_start=self.prob_start, prob_stop=self.prob_stop)
        if self.decay_start < 0:
            raise ValueError(f"teacher_forcing.decay_start must be >= 0, got {self.decay_start}")

    def __call__(self, position: int, total: int) -> float:
        """The probability at an epoch, counted from 0."""
        if self.decay_start >= total:
            self._warn_of_no_decay(total)
            return self.prob_start
        if position == 0 and self._decayed(total - 1 - self.decay_start, total - self.decay_start) == self.prob_start:
            self._warn_of_no_decay(total)
        elapsed = min(position, total - 1) - self.decay_start
        return self.prob_start if elapsed < 0 else self._decayed(elapsed, total - self.decay_start)

    def _warn_of_no_decay(self, total: int) -> None:
        if self.prob_stop != self.prob_start:
            warnings.warn(
                f"teacher_forcing.decay_start={self.decay_start} is not before the end of the run ({total} epochs): "
                f"the probability stays {self.prob_start}",
                stacklevel=1,
            )

    @abstractmethod
    def _decayed(self, elapsed: int, length: int) -> float:
        """The probability after a number of epochs of the decay, which could last ``length``."""

    def describe(self, total: int) -> str:
        """What to expect of a run, in one sentence that is read off the values."""
        return describe_forcing([self(position, total) for position in range(total)])

    def fit(self, total: int) -> "_Decay":
        """The law itself where it decays before the end; else a copy that begins at the last epoch but one."""
        return replace(self, decay_start=min(self.decay_start, max(0, total - 2)))


@dataclass(frozen=True, kw_only=True)
class Linear(_Decay):
    """Linear decay from an epoch to the end of the run: the reference.

    With s = decay_start and E = total, clipped to the range between the two,

        prob(e) = prob_start for e < s, then prob_start + (prob_stop − prob_start) · (e − s) / (E − s).

    The last epoch is E − 1, so prob_stop itself is not reached. With s ≥ E nothing decays, which is warned of.

    Args:
        prob_start: before the decay.
        prob_stop: what the decay tends to.
        decay_start: s, an epoch.
        granularity: what one coin decides for.
        mixing: by a coin, or by the pixels' mean.

    Raises:
        ValueError: for a parameter out of its range.
    """

    def _decayed(self, elapsed: int, length: int) -> float:
        return self.prob_start + (self.prob_stop - self.prob_start) * (elapsed / length)


@dataclass(frozen=True, kw_only=True)
class Step(_Decay):
    """A fixed amount each epoch: prob(e) = max(prob_stop, prob_start − amount · max(0, e − decay_start + 1)).

    The first epoch that is lower is ``decay_start`` itself, as in the lab's template.

    Args:
        prob_start: before the decay.
        prob_stop: the floor.
        amount: taken off each epoch.
        decay_start: the first epoch with a lower probability.
        granularity: what one coin decides for.
        mixing: by a coin, or by the pixels' mean.

    Raises:
        ValueError: for a parameter out of its range.
    """

    amount: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.amount < 0:
            raise ValueError(f"teacher_forcing.amount must be >= 0, got {self.amount}")
        if self.prob_stop > self.prob_start:
            raise ValueError(
                f"teacher_forcing.prob_stop must be <= prob_start, got {self.prob_stop}, {self.prob_start}"
            )

    def _decayed(self, elapsed: int, length: int) -> float:
        return max(self.prob_stop, self.prob_start - self.amount * (elapsed + 1))


@dataclass(frozen=True, kw_only=True)
class Exponential(_Decay):
    """Exponential decay, a fixed factor each epoch (Bengio et al. 2015, arXiv 1506.03099).

    With s = decay_start,

        prob(e) = prob_start for e < s, then prob_stop + (prob_start − prob_stop) · k^(e − s).

    It does not depend on the length of the run, and comes near prob_stop without reaching it: a share r of the way
    remains after log r / log k epochs.

    Args:
        prob_start: before the decay.
        prob_stop: what the decay tends to.
        k: what remains of the way after an epoch, 0 to 1 (both exclusive).
        decay_start: s, an epoch, the last one at prob_start.
        granularity: what one coin decides for.
        mixing: by a coin, or by the pixels' mean.

    Raises:
        ValueError: for a parameter out of its range.
    """

    k: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.k < 1:
            raise ValueError(f"teacher_forcing.k must lie between 0 and 1 (exponential), got {self.k}")

    def _decayed(self, elapsed: int, length: int) -> float:
        return between(self.prob_stop, self.prob_start, self.k**elapsed)


@dataclass(frozen=True, kw_only=True)
class InverseSigmoid(_Decay):
    """Slow, then fast, then slow again: the inverse sigmoid (Bengio et al. 2015, arXiv 1506.03099).

    With i = e − s, s = decay_start, the paper's k / (k + exp(i / k)) is divided by its value at i = 0, k / (k + 1):

        prob(e) = prob_start for e < s, then prob_stop + (prob_start − prob_stop) · (k + 1) / (k + exp(i / k)).

    Undivided, the probability would fall by 1 / (k + 1) of the way all at once at s (by half for k = 1), and a decay
    from prob_start would not begin there; a constant factor leaves the shape as it is. Half of the way is left at
    i = k · log(k + 2). It does not depend on the length of the run, and comes near prob_stop without reaching it.

    Args:
        prob_start: before the decay.
        prob_stop: what the decay tends to.
        k: slowness, at least 1, in epochs.
        decay_start: s, an epoch, the last one at prob_start.
        granularity: what one coin decides for.
        mixing: by a coin, or by the pixels' mean.

    Raises:
        ValueError: for a parameter out of its range.
    """

    k: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.k < math.inf:
            raise ValueError(f"teacher_forcing.k must be >= 1 (inverse_sigmoid), got {self.k}")

    def _decayed(self, elapsed: int, length: int) -> float:
        decline = math.exp(-elapsed / self.k)  # exp(+i / k) overflows in long runs
        return between(self.prob_stop, self.prob_start, (self.k + 1) * decline / (self.k * decline + 1))


@dataclass(frozen=True, kw_only=True)
class Cosine(_Decay):
    """Half a cosine from an epoch to the end of the run: flat at first and at last.

    With s = decay_start and E = total,

        prob(e) = prob_start for e < s, then prob_start + (prob_stop − prob_start) · (1 − cos(π (e − s) / (E − s))) / 2.

    As for :class:`Linear`, the last epoch is E − 1, so prob_stop itself is not reached.

    Args:
        prob_start: before the decay.
        prob_stop: what the decay tends to.
        decay_start: s, an epoch, the last one at prob_start.
        granularity: what one coin decides for.
        mixing: by a coin, or by the pixels' mean.

    Raises:
        ValueError: for a parameter out of its range.
    """

    def _decayed(self, elapsed: int, length: int) -> float:
        return between(self.prob_start, self.prob_stop, rise("cosine", elapsed / length))
