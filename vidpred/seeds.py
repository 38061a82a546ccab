"""Random numbers as pure functions of (seed, stream, position): reseeded at every use, never carried.

A run that is killed and resumed therefore draws the same numbers, and so do processes that must agree.
"""

from collections.abc import Iterable
from enum import IntEnum

from torch import Generator

_MASK = 0xFFFFFFFFFFFFFFFF


class Stream(IntEnum):
    """What random numbers are for; streams of one seed are independent."""

    NOISE = 1  # of a training step, per rank
    COINS = 2  # of teacher forcing, shared by all ranks
    ROLLOUT = 3  # of one clip's rollout


def mix_seed(*parts: int) -> int:
    """One 63-bit seed from several numbers, by SplitMix64 (Steele et al. 2014, doi 10.1145/2660193.2660195)."""
    state = 0
    for part in parts:
        state = (state + part + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


def clip_generators(seed: int, clips: Iterable[int], *, samples: Iterable[int] = (0,)) -> list[Generator]:
    """One generator per clip and sample: the same film in whatever batch or process it is rolled out.

    Args:
        seed: of the rollouts.
        clips: their numbers.
        samples: numbers of the samples of a clip, which follow each other; sample 0 is the one that validation draws.
    """
    drawn = list(samples)
    return [
        Generator().manual_seed(mix_seed(seed, Stream.ROLLOUT, clip, *([sample] if sample else [])))
        for clip in clips
        for sample in drawn
    ]
