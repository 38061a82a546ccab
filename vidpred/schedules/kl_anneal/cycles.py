"""Rises that start again, in cycles of one length or of growing length."""

import warnings
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from vidpred.schedules.kl_anneal.single import Annealing
from vidpred.schedules.shapes import between, rise


@dataclass(frozen=True, kw_only=True)
class _Cycles(Annealing):
    """Rises that start again: beta rises in a part of each cycle, then stays."""

    cycles: int = 1
    ramp: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cycles < 1:
            raise ValueError(f"kl_anneal.cycles must be >= 1, got {self.cycles}")
        if not 0 <= self.ramp <= 1:
            raise ValueError(f"kl_anneal.ramp must lie in [0, 1], got {self.ramp}")

    def _rise(self, phase: float) -> float:
        return 1.0 if self.ramp == 0 else rise(self.shape, min(1.0, phase / self.ramp))

    def _stretch(self, shortest: float) -> float:
        """A ramp that takes at least one position of the shortest cycle; none stays none."""
        return min(1.0, max(self.ramp, 1 / shortest)) if self.ramp else 0.0

    def _warn_of_jumps(self, shortest: float, longest: float) -> None:
        """Warn where cycles, whose lengths count positions, are too short to be sampled as they are meant."""
        if self.ramp == 0:
            return
        if longest == 1:
            warnings.warn(
                f"kl_anneal: every cycle is one {self.by} long: beta stays at {self.beta_start}. Lower "
                f"kl_anneal.cycles or train longer",
                stacklevel=1,
            )
        elif shortest < 2 or round(self.ramp * shortest, 9) < 1:
            warnings.warn(
                f"kl_anneal: a cycle of {shortest:.3g} {self.by}s, in which beta rises for "
                f"{self.ramp * shortest:.3g}, is too short for a ramp: beta jumps. Lower kl_anneal.cycles, raise "
                f"kl_anneal.ramp or train longer",
                stacklevel=1,
            )


@dataclass(frozen=True, kw_only=True)
class Cyclical(_Cycles):
    """Cyclical annealing; with one cycle it is monotonic (Fu et al. 2019, arXiv 1903.10145).

    With M cycles, E positions after the delay and s the shape (see :mod:`vidpred.schedules.shapes`), in whole numbers
    so that no start of a cycle is lost to rounding,

        phase(e) = ((e · M) mod E) / E
        beta(e) = beta_start + (beta_stop − beta_start) · s(min(1, phase(e) / ramp)),

    and beta = beta_stop where ramp = 0. The last phase is below 1, hence ramp = 1 does not reach beta_stop. Positions
    from ``total`` on keep the value of the last one.

    Args:
        beta_start: at the beginning of every cycle.
        beta_stop: from the end of the ramp to the end of the cycle.
        shape: of the ramp, "linear", "sigmoid" or "cosine".
        cycles: M.
        ramp: the part of a cycle that beta rises in, 0 to 1.
        delay: positions before the first cycle, at beta_start.
        by: what positions count, "epoch" or "step".

    Raises:
        ValueError: for a parameter out of its range; when called, for more cycles than positions after the delay.
    """

    def __call__(self, position: int, total: int) -> float:
        """Beta at a position, counted from 0."""
        length = total - self.delay
        if self.cycles > length:
            raise ValueError(
                f"kl_anneal: {self.cycles} cycles do not fit in {length} {self.by}s ({total} less a delay of "
                f"{self.delay}): beta would never rise. Lower kl_anneal.cycles or train longer"
            )
        if position == 0:
            self._warn_of_jumps(length / self.cycles, length / self.cycles)
        if position < self.delay:
            return self.beta_start
        place = min(position, total - 1) - self.delay
        share = self._rise(((place * self.cycles) % length) / length)
        if self.shape == "linear":  # not between(), which differs in the last bit: runs of before shall be repeated
            return self.beta_start + (self.beta_stop - self.beta_start) * share
        return between(self.beta_start, self.beta_stop, share)

    def fit(self, total: int) -> "Cyclical":
        """The law itself where its cycles have two positions and its ramp one; else a copy with fewer and steeper."""
        delay = min(self.delay, total - 1)
        cycles = min(self.cycles, max(1, (total - delay) // 2))
        return replace(self, delay=delay, cycles=cycles, ramp=self._stretch((total - delay) / cycles))


@dataclass(frozen=True, kw_only=True)
class WarmRestarts(_Cycles):
    """Cycles that grow: each is ``growth`` times as long as the one before.

    They are those of the learning rate in Loshchilov & Hutter 2017 (arXiv 1608.03983), where it falls in each cycle;
    here beta rises in each. M cycles fill the E positions after the
    delay, in whole positions, so that each begins at beta_start: with g = growth, taken as the decimal it is written
    as, cycle i begins at

        start_i = floor(E · (1 + g + … + g^(i − 1)) / (1 + g + … + g^(M − 1))),

    computed in fractions, and start_M = E. With s the shape (see :mod:`vidpred.schedules.shapes`),

        phase(e) = (e − start_i) / (start_{i+1} − start_i) for start_i ≤ e < start_{i+1}
        beta(e) = beta_start + (beta_stop − beta_start) · s(min(1, phase(e) / ramp)),

    and beta = beta_stop where ramp = 0. With g = 1 and M a divisor of E this is :class:`Cyclical`. Positions from
    ``total`` on keep the value of the last one.

    Args:
        beta_start: at the beginning of every cycle.
        beta_stop: from the end of the ramp to the end of the cycle.
        shape: of the ramp, "linear", "sigmoid" or "cosine".
        cycles: M.
        growth: g, at least 1.
        ramp: the part of a cycle that beta rises in, 0 to 1.
        delay: positions before the first cycle, at beta_start.
        by: what positions count, "epoch" or "step".

    Raises:
        ValueError: for a parameter out of its range; when called, for a first cycle shorter than one position.
    """

    growth: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.growth < float("inf"):
            raise ValueError(f"kl_anneal.growth must be >= 1, got {self.growth}")

    def __call__(self, position: int, total: int) -> float:
        """Beta at a position, counted from 0."""
        starts = self._starts(total)
        if position == 0:
            self._warn_of_jumps(float(starts[1]), float(starts[-1] - starts[-2]))
        if position < self.delay:
            return self.beta_start
        place = min(position, total - 1) - self.delay
        cycle = max(number for number, start in enumerate(starts) if start <= place)
        share = self._rise((place - starts[cycle]) / (starts[cycle + 1] - starts[cycle]))
        return between(self.beta_start, self.beta_stop, share)

    def fit(self, total: int) -> "WarmRestarts":
        """The law itself where its cycles have two positions and its ramp one; else a copy with fewer and steeper."""
        delay = min(self.delay, total - 1)
        length, cycles = total - delay, min(self.cycles, total)
        while cycles > 1 and _cycle_starts(length, cycles, self.growth)[1] < 2:
            cycles -= 1
        return replace(
            self, delay=delay, cycles=cycles, ramp=self._stretch(float(_cycle_starts(length, cycles, self.growth)[1]))
        )

    def _starts(self, total: int) -> tuple[int, ...]:
        length = total - self.delay
        starts = _cycle_starts(length, self.cycles, self.growth)
        if starts[1] < 1:
            raise ValueError(
                f"kl_anneal: {self.cycles} cycles that grow by {self.growth} do not fit in {length} {self.by}s "
                f"({total} less a delay of {self.delay}): the first would be shorter than one. Lower "
                f"kl_anneal.cycles or kl_anneal.growth, or train longer"
            )
        return starts


@lru_cache(maxsize=64)
def _cycle_starts(length: int, cycles: int, growth: float) -> tuple[int, ...]:
    """The first positions of the cycles, and ``length``."""
    factor = Fraction(str(growth))
    sums = [Fraction(0)]
    for cycle in range(cycles):
        sums.append(sums[-1] + factor**cycle)
    return tuple(int(length * part // sums[-1]) for part in sums)
