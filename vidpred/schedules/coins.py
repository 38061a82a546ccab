"""How the true frame gets into the previous one: by coins, how finely they are tossed, or by a mean of pixels."""

from typing import Literal, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vidpred.seeds import Stream, mix_seed

Granularity = Literal["epoch", "batch", "clip", "frame"]
Mixing = Literal["coin", "pixels"]


@runtime_checkable
class Schedule(Protocol):
    """A forcing probability over the run, and what one coin decides for."""

    @property
    def granularity(self) -> Granularity:
        """One coin per epoch, batch, clip or frame."""

    @property
    def mixing(self) -> Mixing:
        """Whether a coin chooses between the true frame and the predicted one, or their pixels are averaged."""

    def __call__(self, position: int, total: int) -> float:
        """The probability at an epoch."""


def mix(
    schedule: Schedule, prob: float, *, clips: int, steps: int, seed: int, epoch: int, step: int
) -> Bool[Tensor, "B S"] | Float[Tensor, "B S"]:
    """The share of the true frame in the previous frame of every step of a batch, on the CPU.

    With "pixels" it is ``prob`` itself: previous = prob · true + (1 − prob) · predicted; with "coin" it is a ``toss``.
    """
    if schedule.mixing == "pixels":
        return torch.full((clips, steps), prob)
    return toss(schedule, prob, clips=clips, steps=steps, seed=seed, epoch=epoch, step=step)


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


def check_coins(granularity: str, mixing: str, **probs: float) -> None:
    """Refuse what is no granularity, no mixing or no probability, and a granularity of coins that are not tossed.

    Raises:
        ValueError: that names the option and its choices.
    """
    for name, value, choices in (("granularity", granularity, Granularity), ("mixing", mixing, Mixing)):
        if value not in get_args(choices):
            raise ValueError(f"teacher_forcing.{name} must be one of {list(get_args(choices))}, got {value!r}")
    if mixing == "pixels" and granularity != "epoch":
        raise ValueError(
            f"teacher_forcing.mixing=pixels tosses no coin: granularity={granularity} would be ignored; leave it out"
        )
    for name, prob in probs.items():
        if not 0 <= prob <= 1:
            raise ValueError(f"teacher_forcing.{name} must lie in [0, 1], got {prob}")
