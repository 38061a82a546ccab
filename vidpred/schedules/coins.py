"""Coins of teacher forcing: how finely they are tossed, and the toss itself."""

from typing import Literal, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Bool
from torch import Tensor

from vidpred.seeds import Stream, mix_seed

Granularity = Literal["epoch", "batch", "clip", "frame"]
GRANULARITIES = get_args(Granularity)


@runtime_checkable
class Schedule(Protocol):
    """A forcing probability over the run, and what one coin decides for."""

    @property
    def granularity(self) -> Granularity:
        """One coin per epoch, batch, clip or frame."""

    def __call__(self, position: int, total: int) -> float:
        """The probability at an epoch."""


def toss(
    schedule: Schedule, prob: float, *, clips: int, steps: int, seed: int, epoch: int, step: int
) -> Bool[Tensor, "B S"]:
    """Toss the coins of one batch, on the CPU: a pure function of its arguments.

    Args:
        schedule: says what one coin decides for.
        prob: the forcing probability.
        clips: B, of all processes together, so that all see the same coins.
        steps: S, predicted frames of a clip. The first one's previous frame is true in any case.
        seed: of the run.
        epoch: of the run; alone with the seed it decides the coin of granularity "epoch".
        step: of the run, over all epochs.
    """
    moment = epoch if schedule.granularity == "epoch" else step
    generator = torch.Generator().manual_seed(mix_seed(seed, Stream.COINS, moment))
    shape = {"epoch": (1, 1), "batch": (1, 1), "clip": (clips, 1), "frame": (clips, steps)}[schedule.granularity]
    # float64: uniform on [0, 1), so that probability 1 always and probability 0 never wins
    return (torch.rand(shape, generator=generator, dtype=torch.float64) < prob).expand(clips, steps)
