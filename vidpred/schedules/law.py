"""What schedules have in common: the unit of their positions, and that they can be fitted to a short run."""

from typing import Literal, Protocol, runtime_checkable

By = Literal["epoch", "step"]


@runtime_checkable
class Fittable(Protocol):
    """A law whose course is known before the run, so that it can be shrunk to fit one."""

    def fit(self, total: int) -> "Fittable":
        """The law itself where it works in ``total`` positions; else a copy that does."""


def check_by(by: str, group: str) -> None:
    """Refuse a unit that is none.

    Raises:
        ValueError: that names the option.
    """
    if by not in ("epoch", "step"):
        raise ValueError(f"{group}.by must be 'epoch' or 'step', got {by!r}")
