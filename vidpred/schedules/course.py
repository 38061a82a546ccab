"""The course of a schedule in plain words, read off its values: what happens, not what the options wish for."""

import math
from collections.abc import Sequence
from itertools import pairwise

from vidpred.schedules.law import By

LISTED = 8  # restarts that are named one by one


def describe_beta(values: Sequence[float], *, stop: float, by: By) -> str:
    """What beta does over a run, in one sentence.

    Args:
        values: beta at every position, at least one.
        stop: what full weight means.
        by: what positions count.
    """
    if _is_constant(values):
        return f"beta is {values[0]:.4g} throughout{', KL is not weighted' if values[0] == 0 else ''}."
    full = [math.isclose(value, stop, rel_tol=1e-9, abs_tol=1e-12) for value in values]
    starts = find_starts(values)
    if len(starts) > 1:
        return f"beta restarts at {_enumerate(starts, by)} and {_describe_cycles(values, full, starts, by)}."
    begin = f"from {values[0]:.4g} at {by} {starts[0]}"
    if not full[-1]:
        return (
            f"beta {_verb(values)} {begin} to {values[-1]:.4g} at {by} {len(values) - 1}, the last: "
            f"KL is never fully weighted (beta {stop:.4g})."
        )
    return f"beta {_verb(values)} {begin} and KL is fully weighted (beta {stop:.4g}) from {by} {full.index(True)}."


def describe_forcing(values: Sequence[float]) -> str:
    """What the forcing probability does over a run, in one sentence.

    Args:
        values: the probability at every epoch, at least one; it falls or rises, not both.
    """
    if _is_constant(values):
        always = {0.0: "off throughout", 1.0: "on throughout"}
        return f"Teacher forcing is {always.get(values[0], f'on with probability {values[0]:.4g} throughout')}."
    begin, arrival, last = _count_held(values) - 1, list(values).index(values[-1]), values[-1]
    way = f"Teacher forcing {_verb(values)} from {values[0]:.4g} at epoch {begin}"
    if last == 0:
        return f"{way} and ends at epoch {arrival}."
    final = ", the last" if arrival == len(values) - 1 else ", where it stays"
    never = "" if last > values[0] else "; it never reaches 0"
    return f"{way} to {last:.4g} at epoch {arrival}{final}{never}."


def describe_lengths(values: Sequence[int], *, clip_length: int, by: By) -> str:
    """How long training clips are over a run, in one sentence.

    Args:
        values: frames of a clip at every position, at least one; never falling.
        clip_length: frames of a whole clip.
        by: what positions count.
    """
    if _is_constant(values):
        return f"Clips have {values[0]} of {clip_length} frames throughout."
    grows = f"Clips have {values[0]} frames to {by} {_count_held(values) - 1}, then grow"
    if values[-1] < clip_length:
        return f"{grows} to {values[-1]} at {by} {len(values) - 1}, the last; they never have all {clip_length}."
    return f"{grows}; from {by} {values.index(clip_length)} they have all {clip_length}."


def describe_rate(factors: Sequence[float], *, by: By) -> str:
    """What the learning rate does over a run, in one sentence.

    Args:
        factors: on the optimizer's learning rate, at every position, at least one.
        by: what positions count.
    """
    if _is_constant(factors):
        return f"The learning rate is {factors[0]:.4g} of optimizer.lr throughout."
    peak, last = factors.index(max(factors)), len(factors) - 1
    parts = [f"warms up to {max(factors):.4g} of optimizer.lr at {by} {peak}"] if peak else []
    falls = [position for position in range(peak + 1, last + 1) if factors[position] < factors[position - 1]]
    if 0 < len(falls) <= LISTED and len(falls) < last - peak:
        parts.append(f"falls at {_enumerate(falls, by)} to {factors[-1]:.4g} of optimizer.lr")
    elif falls:
        parts.append(f"falls to {factors[-1]:.4g} of optimizer.lr at {by} {last}, the last")
    return f"The learning rate {', then '.join(parts)}."


def find_starts(values: Sequence[float]) -> list[int]:
    """Where the rises of a course begin: the end of its first hold, and every step against its direction.

    Args:
        values: at least two that differ. The first change gives the direction.
    """
    begin = _count_held(values) - 1
    falls = values[begin + 1] < values[begin]
    against = [
        position
        for position, (before, after) in enumerate(pairwise(values), start=1)
        if before != after and (after < before) != falls
    ]
    return [begin, *against]


def _describe_cycles(values: Sequence[float], full: Sequence[bool], starts: Sequence[int], by: By) -> str:
    if not any(full):
        furthest = max(values, key=lambda value: abs(value - values[0]))
        return f"is never fully weighted: it gets to {furthest:.4g}"
    cycles = [full[start:stop] for start, stop in pairwise([*starts, len(full)])]
    if all(2 * sum(cycle) == len(cycle) for cycle in cycles):
        return "is fully weighted for half of each cycle"
    if len({(sum(cycle), len(cycle)) for cycle in cycles}) == 1:
        return f"is fully weighted for {sum(cycles[0])} of the {len(cycles[0])} {by}s of each cycle"
    return f"is fully weighted for {sum(full)} of the {len(full)} {by}s"


def _enumerate(positions: Sequence[int], by: By) -> str:
    if len(positions) <= LISTED:
        return f"{by}s {', '.join(map(str, positions))}"
    return f"{by}s {', '.join(map(str, positions[:3]))}, …, {positions[-1]} ({len(positions)} in all)"


def _verb(values: Sequence[float]) -> str:
    return "rises" if values[-1] > values[0] else "falls"


def _is_constant(values: Sequence[float] | Sequence[int]) -> bool:
    return all(value == values[0] for value in values)


def _count_held(values: Sequence[float] | Sequence[int]) -> int:
    """Positions before the first change."""
    return next(position for position, value in enumerate(values) if value != values[0])
