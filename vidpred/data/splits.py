"""Splits by source video, or by time with a gap, and the check that they do not share frames.

Neighbouring frames of a video are nearly the same: a split that is drawn frame by frame tests memory, not prediction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from vidpred.data.source import SPLITS, Split
from vidpred.data.store import SequenceInfo


class SplitError(ValueError):
    """Sequences cannot be split as asked, or splits share what they must not."""


class Stretch(NamedTuple):
    """Frames ``begin`` to ``end`` (not included) of a sequence, for one split."""

    split: Split
    sequence: int
    begin: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Splitting:
    """How sequences are divided where their folders do not say it.

    Args:
        by: "video" gives whole sequences to a split; "time" cuts each in three, train first; "auto" is by video from
            three sequences on, otherwise by time.
        val: share of the sequences, or of each one's frames, that validates.
        test: likewise for test; 0 makes no test split.
        gap: frames left out between two splits of one sequence, as a share of its length.

    Raises:
        ValueError: for shares that leave nothing to train on.
    """

    by: Literal["auto", "video", "time"] = "auto"
    val: float = 0.15
    test: float = 0.0
    gap: float = 0.02

    def __post_init__(self) -> None:
        if self.by not in ("auto", "video", "time"):
            raise ValueError(f"split.by must be auto, video or time, got {self.by!r}")
        if min(self.val, self.test, self.gap) < 0 or self.val + self.test + 2 * self.gap >= 1 or not self.val:
            raise ValueError(
                f"split.val must be > 0, split.test and split.gap >= 0, and together they must leave frames to train "
                f"on, got {self.val}, {self.test}, {self.gap}"
            )

    def divide(self, lengths: Sequence[int]) -> list[Stretch]:
        """Stretches of all sequences, given their lengths in frames.

        Raises:
            SplitError: if a split that was asked for stays empty.
        """
        by_video = self.by == "video" or (self.by == "auto" and len(lengths) >= 3)
        stretches = self._by_video(lengths) if by_video else self._by_time(lengths)
        wanted = [split for split, share in zip(SPLITS, (1, self.val, self.test), strict=True) if share]
        for split in wanted:
            if not any(stretch.split == split for stretch in stretches):
                raise SplitError(
                    f"{len(lengths)} sequence(s) of {sum(lengths)} frames leave nothing for {split}: "
                    f"use split.by={'time' if by_video else 'video'}, other shares, or more data"
                )
        return stretches

    def _by_video(self, lengths: Sequence[int]) -> list[Stretch]:
        """Whole sequences, those held out spread evenly over all."""
        held: dict[Split, float] = {"val": self.val, "test": self.test}
        count = {split: max(1, round(share * len(lengths))) if share else 0 for split, share in held.items()}
        order: list[Split] = [split for split in SPLITS[1:] for _ in range(count[split])]
        places = [int((index + 0.5) * len(lengths) / len(order)) for index in range(len(order))] if order else []
        chosen = dict(zip(places, order, strict=True))
        return [Stretch(chosen.get(index, "train"), index, 0, length) for index, length in enumerate(lengths)]

    def _by_time(self, lengths: Sequence[int]) -> list[Stretch]:
        """Train, gap, validation, gap, test: from each sequence."""
        stretches = []
        for index, length in enumerate(lengths):
            gap = max(1, round(self.gap * length))
            sizes = [round(self.val * length), round(self.test * length)]
            begin = length
            for split, size in zip(SPLITS[:0:-1], reversed(sizes), strict=True):
                if size:
                    stretches.append(Stretch(split, index, begin - size, begin))
                    begin -= size + gap
            stretches.append(Stretch("train", index, 0, begin))
        return [stretch for stretch in stretches if stretch.end > stretch.begin]


def check_apart(sequences: Mapping[Split, Sequence[SequenceInfo]]) -> None:
    """Refuse splits that hold the same or neighbouring frames of a source.

    Raises:
        SplitError: naming two sequences of different splits that overlap or touch in time.
    """
    placed = sorted((info.source, info.begin, info.begin + info.known * info.step, info.name, split)
                    for split, infos in sequences.items() for info in infos if info.source)  # fmt: skip
    reach: dict[tuple[str, Split], tuple[int, str]] = {}  # of every source and split: how far it goes, and in what
    for source, begin, end, name, split in placed:
        for (other, second), (last, neighbour) in reach.items():
            if other == source and second != split and begin <= last:
                raise SplitError(
                    f"{neighbour} ({second}) and {name} ({split}) overlap or touch in time: a model would be scored on "
                    f"frames that it has nearly seen; leave a gap, or insist with data.allow_overlap=true"
                )
        reach[source, split] = max(reach.get((source, split), (0, "")), (end, name))
