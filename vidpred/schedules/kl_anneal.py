"""KL annealing: the weight beta of the KL term, as a function of the position in the run.

Positions count epochs (or optimizer steps, where ``by`` is "step") from 0; ``total`` is their number in the run.
"""

from dataclasses import dataclass
from typing import Literal

By = Literal["epoch", "step"]


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
        _check_by(self.by)
        if self.beta_stop < 0:
            raise ValueError(f"kl_anneal.beta_stop must be >= 0, got {self.beta_stop}")

    def __call__(self, position: int, total: int) -> float:
        """beta; the position does not matter."""
        return self.beta_stop


@dataclass(frozen=True, kw_only=True)
class Cyclical:
    """Cyclical annealing; with one cycle it is monotonic (Fu et al. 2019, arXiv 1903.10145).

    With M cycles and E positions after the delay, in whole numbers so that no start of a cycle is lost to rounding,

        phase(e) = ((e · M) mod E) / E
        beta(e) = beta_start + (beta_stop − beta_start) · min(1, phase(e) / ramp),

    and beta = beta_stop where ramp = 0. The last phase is below 1, hence ramp = 1 does not reach beta_stop. Positions
    from ``total`` on keep the value of the last one.

    Args:
        beta_start: at the beginning of every cycle.
        beta_stop: from the end of the ramp to the end of the cycle.
        cycles: M.
        ramp: the part of a cycle that beta rises in, 0 to 1.
        delay: positions before the first cycle, at beta_start.
        by: what positions count, "epoch" or "step".

    Raises:
        ValueError: for a parameter out of its range; when called, for more cycles than positions after the delay.
    """

    beta_start: float = 0.0
    beta_stop: float = 1.0
    cycles: int = 1
    ramp: float = 0.5
    delay: int = 0
    by: By = "epoch"

    def __post_init__(self) -> None:
        _check_by(self.by)
        if min(self.beta_start, self.beta_stop) < 0:
            raise ValueError(
                f"kl_anneal.beta_start and beta_stop must be >= 0, got {self.beta_start}, {self.beta_stop}"
            )
        if self.cycles < 1:
            raise ValueError(f"kl_anneal.cycles must be >= 1, got {self.cycles}")
        if not 0 <= self.ramp <= 1:
            raise ValueError(f"kl_anneal.ramp must lie in [0, 1], got {self.ramp}")
        if self.delay < 0:
            raise ValueError(f"kl_anneal.delay must be >= 0, got {self.delay}")

    def __call__(self, position: int, total: int) -> float:
        """Beta at a position, counted from 0."""
        length = total - self.delay
        if self.cycles > length:
            raise ValueError(
                f"kl_anneal: {self.cycles} cycles do not fit in {length} {self.by}s ({total} less a delay of "
                f"{self.delay}): beta would never rise. Lower kl_anneal.cycles or train longer"
            )
        if position < self.delay:
            return self.beta_start
        place = min(position, total - 1) - self.delay
        phase = ((place * self.cycles) % length) / length
        rise = 1.0 if self.ramp == 0 else min(1.0, phase / self.ramp)
        return self.beta_start + (self.beta_stop - self.beta_start) * rise


def _check_by(by: str) -> None:
    if by not in ("epoch", "step"):
        raise ValueError(f"kl_anneal.by must be 'epoch' or 'step', got {by!r}")
