"""The order of clips, a pure function of (seed, epoch), that knows where in an epoch it starts.

Lightning does not skip consumed batches when a run is resumed inside an epoch; here the sampler starts where the run
was. Loaders with workers call ``iter()`` more than once, hence the start is consumed when the iterator first runs.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from vidpred.data.augmentation import Augmentation
from vidpred.data.clips import Window
from vidpred.data.contexts import NEAR, Contexts


class ClipBatchSampler(Sampler[list[Window]]):
    """Batches of random windows for training.

    Every sequence is cut into as many windows as fit; a random offset, drawn per pass and sequence, shifts them all.
    A pass visits all windows in random order; an epoch is the next ``clips_per_epoch`` of them.

    Args:
        lengths: number of frames of every sequence.
        length: frames of a clip, T.
        stride: frames from the start of one window to the next; None cuts without overlap.
        frame_step: take every so many-th frame of a sequence.
        fraction: share of the windows that is used, spread evenly over all; below 1 they are not shifted and have their
            contexts right before them, so that the frames between them are never seen.
        context_frames: K, frames of a clip that are its context.
        contexts: draws the context of every clip.
        augmentation: draws a change for every clip; None is none.
        batch_size: clips a process gets in a batch.
        seed: of order and offsets.
        clips_per_epoch: windows in an epoch, over all processes; None is one pass.
        random_start: draw offsets; otherwise windows start at multiples of ``length``.
        rank: of this process.
        world_size: number of processes.
        length_at: frames of the clips of a batch, by epoch and batch, at most ``length``; the windows are cut to their
            first so many. None leaves them whole.

    Raises:
        ValueError: if no sequence holds a clip, or an epoch holds no batch.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        length: int,
        batch_size: int,
        seed: int,
        clips_per_epoch: int | None = None,
        random_start: bool = True,
        stride: int | None = None,
        frame_step: int = 1,
        fraction: float = 1.0,
        context_frames: int = 1,
        contexts: Contexts = NEAR,
        augmentation: Augmentation | None = None,
        rank: int = 0,
        world_size: int = 1,
        length_at: Callable[[int, int], int] | None = None,
    ) -> None:
        self.sampler = self  # Lightning looks here for set_epoch
        if frame_step < 1 or (stride is not None and stride < 1) or not 0 < fraction <= 1:
            raise ValueError(f"data.frame_step and data.clip_stride must be >= 1 and data.fraction in (0, 1], "
                             f"got {frame_step}, {stride}, {fraction}")  # fmt: skip
        self._length, self._frame_step = length, frame_step
        self._context, self._contexts = context_frames, contexts if fraction == 1 else NEAR
        self._span = (length - 1) * frame_step + 1
        self._stride = stride or self._span
        self._lengths = list(lengths)
        self._counts = [max(0, (frames - self._span) // self._stride + 1) for frames in lengths]
        total = sum(self._counts)
        if not total:
            longest = max(lengths, default=0)
            raise ValueError(f"a clip of {length} frames, {self._span} of the video, is longer than every sequence; "
                             f"the longest has {longest}: lower data.clip_length or data.frame_step")  # fmt: skip
        self._pass_size = max(1, round(total * fraction))
        self._kept = [index * total // self._pass_size for index in range(self._pass_size)]
        self._seed, self._random_start = seed, random_start and fraction == 1
        self._augmentation, self._length_at = augmentation, length_at
        self._batch_size, self._rank, self._world_size = batch_size, rank, world_size
        self._clips = clips_per_epoch or self._pass_size
        if len(self) < 1:
            raise ValueError(
                f"an epoch of {self._clips} clips holds no batch of {batch_size} for {world_size} process(es); "
                f"lower data.batch_size"
            )
        self._epoch, self._start = 0, 0
        self._cached: tuple[int, list[Window]] | None = None

    def __len__(self) -> int:
        return self._clips // (self._batch_size * self._world_size)

    def set_epoch(self, epoch: int) -> None:
        """Move to an epoch; a start inside it is kept if it is the current one."""
        if epoch != self._epoch:
            self._epoch, self._start = epoch, 0

    def resume(self, epoch: int, batch: int) -> None:
        """Continue inside an epoch, ``batch`` batches after its beginning."""
        self._epoch, self._start = epoch, batch

    def __iter__(self) -> Iterator[list[Window]]:
        start, self._start = self._start, 0
        epoch = self._epoch
        step = self._batch_size * self._world_size
        for batch in range(start, len(self)):
            first = epoch * len(self) * step + batch * step + self._rank * self._batch_size
            windows = [self.window(position) for position in range(first, first + self._batch_size)]
            length = self._length_at(epoch, batch) if self._length_at else self._length
            yield [window._replace(length=length) for window in windows]

    def window(self, position: int) -> Window:
        """The window at a position of the endless stream of clips."""
        number, place = divmod(position, self._pass_size)
        return self._pass(number)[place]

    def _pass(self, number: int) -> list[Window]:
        if self._cached is None or self._cached[0] != number:
            rng = np.random.default_rng([self._seed, number])
            windows = []
            for sequence, (frames, count) in enumerate(zip(self._lengths, self._counts, strict=True)):
                slack = frames - (count - 1) * self._stride - self._span
                offset = int(rng.integers(slack + 1)) if self._random_start and count else 0
                starts = range(offset, offset + count * self._stride, self._stride)
                windows += [Window(sequence, start, self._length, self._frame_step, self._context) for start in starts]
            chosen = [windows[self._kept[index]] for index in rng.permutation(self._pass_size)]
            chosen = self._contexts.draw(chosen, self._lengths, rng)
            if self._augmentation is not None:
                chosen = [window._replace(change=self._augmentation.draw(rng)) for window in chosen]
            self._cached = (number, chosen)
        return self._cached[1]


class SequenceBatchSampler(Sampler[list[Window]]):
    """The beginnings of sequences in their order, each once whatever the number of processes: for evaluation.

    Args:
        lengths: number of frames of every sequence.
        batch_size: clips in a batch; sequences of different lengths are not mixed in one.
        max_sequences: use at most that many, spread evenly over all; None is all.
        max_length: cut longer sequences to their first so many frames; None keeps them whole.
        frame_step: take every so many-th frame of a sequence.
        rank: of this process.
        world_size: number of processes.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        batch_size: int,
        max_sequences: int | None = None,
        max_length: int | None = None,
        frame_step: int = 1,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        count = min(len(lengths), max_sequences or len(lengths))
        chosen = [index * len(lengths) // count for index in range(count)]
        frames = {index: (lengths[index] - 1) // frame_step + 1 for index in chosen}
        self.windows = [
            Window(index, 0, min(frames[index], max_length or frames[index]), frame_step) for index in chosen
        ]
        batches: list[list[Window]] = []
        for window in self.windows[rank::world_size]:
            if batches and len(batches[-1]) < batch_size and batches[-1][0].length == window.length:
                batches[-1].append(window)
            else:
                batches.append([window])
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Window]]:
        return iter(self._batches)
