"""What a data set offers to the data module."""

from typing import Literal, Protocol, runtime_checkable

from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.data.store import Store
from vidpred.types import FrameShape

Split = Literal["train", "val", "test"]


@runtime_checkable
class Source(Protocol):
    """Sequences of frames and poses in splits."""

    @property
    def shape(self) -> FrameShape:
        """Channels and size of frames and pose maps, known before anything is read."""

    @property
    def fingerprint(self) -> str:
        """Identifies the data, for run folders and tables."""

    def prepare(self) -> None:
        """Generate or pack what is missing."""

    def open(self, split: Split) -> Store:
        """The packed sequences of a split."""

    def oracles(self, split: Split, clips: list[tuple[int, int]]) -> list[Float[Array, "T C H W"]] | None:
        """For (sequence, frames) of clips, the best predictions that do not know the future; None if it is unknown."""
