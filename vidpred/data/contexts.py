"""Where a training clip has its context from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidpred.data.clips import Window


@dataclass(frozen=True)
class Contexts:
    """Draws the context of every clip from the whole of its sequence.

    In a rollout the context stays behind, while a clip has seen hardly a movement since the frame before it: a model
    may then learn to copy. With a gap pictures are moved to poses far from theirs, as pairs of random frames train
    image animation (Siarohin et al. 2019, arXiv 2003.00196). Of the frames before a clip most are near, since only the
    last clips of a sequence have far ones; the farthest of several, from before and after, is more like what a rollout
    starts from. What the pose does not tell changes meanwhile: see ``relight``, and ``GapNote`` of the networks.

    Args:
        gap: the most frames left out between a clip and its context; 0 takes what lies right before it, None is any
            number.
        after: contexts lie after their clip, too, where nothing but time tells them from those before.
        draws: contexts drawn for a clip, evenly from all that there are, of which the farthest is taken.

    Raises:
        ValueError: for a negative gap, or no draw.
    """

    gap: int | None = 0
    after: bool = False
    draws: int = 1

    def __post_init__(self) -> None:
        if (self.gap or 0) < 0 or self.draws < 1:
            raise ValueError(f"data.context_gap must be >= 0 frames and data.context_draws >= 1, "
                             f"got {self.gap} and {self.draws}")  # fmt: skip

    def draw(self, windows: Sequence[Window], lengths: Sequence[int], rng: np.random.Generator) -> list[Window]:
        """The same windows with a gap, in sequences of so many frames."""
        if self.gap == 0:
            return list(windows)
        choices = [self._choices(window, lengths[window.sequence]) for window in windows]
        counts = [before + after for before, after, _ in choices]
        drawn = rng.integers(counts, size=(self.draws, len(counts)))
        gaps = [[number if number < before else before - number - first for number in numbers]
                for (before, _, first), numbers in zip(choices, drawn.T.tolist(), strict=True)]  # fmt: skip
        return [window._replace(gap=max(found, key=abs)) for window, found in zip(windows, gaps, strict=True)]

    def _choices(self, window: Window, frames: int) -> tuple[int, int, int]:
        """How many contexts lie before a clip, how many after it, and how much later the first of those begins."""
        first = (window.length - 1) * window.step + 1
        last = frames - window.start - (window.context - 1) * window.step - 1
        after = max(0, last - first + 1) if self.after else 0
        most = frames if self.gap is None else self.gap
        return min(most, window.start) + 1, min(most + 1, after), first


NEAR = Contexts()  # right before their clips
