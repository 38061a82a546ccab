"""Where a training clip has its context from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidpred.data.clips import Window


@dataclass(frozen=True)
class Contexts:
    """Draws the context of every clip from the frames before and after it.

    In a rollout the context stays behind, while a clip has seen hardly a movement since the frame before it: a model
    may then learn to copy. With a gap pictures are moved to poses far from theirs, as pairs of random frames train
    image animation (Siarohin et al. 2019, arXiv 2003.00196). Of the frames before a clip most are near, since only the
    last clips of a sequence have far ones; the farthest of several, from before and after, is more like what most of a
    rollout sees. How a rollout begins is learnt from a share of clips without a gap. What the pose does not tell
    changes meanwhile: see ``relight``, and ``GapNote`` of the networks.

    Args:
        gap: the most frames left out between a clip and its context; 0 takes what lies right before it, None is any
            number.
        near: share of the clips whose context lies right before them all the same.
        after: draw them from after their clips, too: for scenes that time does not change for good.
        draws: contexts drawn for a clip, evenly from all that there are, of which the farthest is taken.

    Raises:
        ValueError: for a negative gap, a share outside [0, 1], or no draw.
    """

    gap: int | None = 0
    near: float = 0.0
    after: bool = False
    draws: int = 1

    def __post_init__(self) -> None:
        if (self.gap or 0) < 0 or not 0 <= self.near <= 1 or self.draws < 1:
            raise ValueError(
                f"data.context_gap must be >= 0 frames, data.context_near in [0, 1] and data.context_draws >= 1, "
                f"got {self.gap}, {self.near} and {self.draws}"
            )

    def draw(self, windows: Sequence[Window], lengths: Sequence[int], rng: np.random.Generator) -> list[Window]:
        """The same windows with a gap, in sequences of so many frames."""
        if self.gap == 0:
            return list(windows)
        far = [self._draw_far(window, lengths[window.sequence], rng) for window in windows]
        near = rng.random(len(windows)) < self.near
        return [window._replace(gap=0 if close else gap) for window, gap, close in zip(windows, far, near, strict=True)]

    def _draw_far(self, window: Window, frames: int, rng: np.random.Generator) -> int:
        most = frames if self.gap is None else self.gap
        before, after = range(min(most, window.start) + 1), range(0)
        if self.after:
            first = (window.length - 1) * window.step + 1  # from a clip's start to the first frame behind it
            last = frames - window.start - (window.context - 1) * window.step - 1
            after = range(-first, -min(last, first + most) - 1, -1)
        drawn = map(int, rng.integers(len(before) + len(after), size=self.draws))
        gaps = [before[number] if number < len(before) else after[number - len(before)] for number in drawn]
        return max(gaps, key=abs)


NEAR = Contexts()  # right before their clips
