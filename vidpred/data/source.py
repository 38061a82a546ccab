"""What a data set offers to the data module."""

from typing import Literal, NamedTuple, Protocol, get_args, runtime_checkable

from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.data.store import Store
from vidpred.pose.skeletons import Skeleton

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


class Content(NamedTuple):
    """What the sequences of a source hold."""

    channels: int  # C, of a frame
    height: int  # H
    width: int  # W
    pose_channels: int  # P of the pose images; 0 where there are none
    skeleton: Skeleton | None  # of the keypoints; None where there are none


@runtime_checkable
class Source(Protocol):
    """Sequences of frames and poses in splits."""

    @property
    def content(self) -> Content:
        """Sizes and kinds, known before anything is packed."""

    @property
    def fingerprint(self) -> str:
        """Identifies the data, for run folders and tables."""

    @property
    def allow_overlap(self) -> bool:
        """Whether splits may share frames, which scores must then say."""

    @property
    def deterministic(self) -> bool | None:
        """Whether frames are a function of the first frame and the poses; None where nobody knows."""

    def prepare(self) -> None:
        """Generate or pack what is missing."""

    def open(self, split: Split) -> Store:
        """The packed sequences of a split."""

    def oracles(self, split: Split, clips: list[tuple[int, int]]) -> list[Float[Array, "T C H W"]] | None:
        """For (sequence, frames) of clips, the best predictions that do not know the future; None if it is unknown."""
