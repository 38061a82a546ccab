"""Why a model scores as it does: each diagnosis ends in a sentence, with the numbers that it stands on.

Costs and gains are differences in PSNR, in dB, of the same clips under two conditions: means over clips of means over
frames, with 95 % bootstrap intervals over clips.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.doctor import Chart, judge
from vidpred.evaluation.conditions import POSE_CHANGES, SHIFT, ExaminedClip
from vidpred.evaluation.pose_following import CORRECT, follow
from vidpred.evaluation.sampling import SampledClip
from vidpred.statistics import Interval, interval, slope

_MATTERS = 0.1  # dB; a smaller cost or gain is none
_CALIBRATED = (0.5, 2.0)  # ratio of variance and squared error that passes for agreement
_FOLLOWS = (0.1, 0.6)  # of the way in PCK from the copied frame to the true ones: in part, and well
_SETTLED = 5  # first predicted frames, which are easy for being near the context and do not count as drift


class Diagnosis(NamedTuple):
    """What was asked, what was found, and the numbers behind it."""

    question: str
    sentence: str
    numbers: dict[str, float]


def diagnose_conditions(
    clips: Sequence[ExaminedClip], chart: Chart, *, deterministic: bool | None, seed: int = 0
) -> list[Diagnosis]:
    """Does the model use pose and z, do its own frames mislead it, has the posterior collapsed, does it follow poses?

    Args:
        clips: rolled out under changed conditions.
        chart: of the doctor, of the same clips.
        deterministic: whether the data is known to be a function of context and poses.
        seed: of the bootstrap.
    """
    differences = _Differences(clips, seed)
    verdict, vitals = judge(chart.report(), deterministic=deterministic), chart.report()
    collapse = Diagnosis("Has the posterior collapsed?", verdict.sentence,
                         {"active_units": vitals.active_units, "rate": vitals.rate, "worth_db": vitals.worth,
                          "room_db": vitals.room})  # fmt: skip
    found = [_pose_use(differences), _z_use(differences), collapse, _exposure(differences, clips)]
    return [*found, _following(clips)] if all(clip.joints for clip in clips) else found


def diagnose_samples(
    clips: Sequence[SampledClip], baselines: Mapping[str, Sequence[Float[Array, " S"]]], *, seed: int = 0
) -> list[Diagnosis]:
    """Does PSNR fall over the clip, and does the spread of samples tell their error?

    Args:
        clips: with the scores of their samples.
        baselines: PSNR per clip and frame, of which the oracle's is the fall that no model can avoid.
        seed: of the bootstrap.
    """
    found = [_drift(clips, baselines, seed)]
    return [*found, _calibration(clips)] if all(clip.spread is not None for clip in clips) else found


class _Differences:
    """PSNR of one condition less that of another, on the same clips."""

    def __init__(self, clips: Sequence[ExaminedClip], seed: int) -> None:
        self._clips, self._seed = clips, seed

    def __call__(self, name: str, than: str) -> Interval:
        return interval(
            np.array([float(clip.psnr[name].mean() - clip.psnr[than].mean()) for clip in self._clips]), seed=self._seed
        )


def _named(**found: Interval) -> dict[str, float]:
    """Numbers of intervals: ``name_db``, ``name_low`` and ``name_high``."""
    return {f"{name}_{part}": value for name, one in found.items()
            for part, value in zip(("db", "low", "high"), one, strict=True)}  # fmt: skip


def _sure(found: Interval) -> bool:
    """Whether a gain matters and is no accident of these clips; one clip alone cannot tell accidents."""
    return found.mean > _MATTERS and not found.low <= 0


def _negative(found: Interval) -> Interval:
    return Interval(-found.mean, -found.high, -found.low)


def _span(found: Interval) -> str:
    """The interval in words; one clip has none."""
    return "" if np.isnan(found.low) else f" (95 % interval {found.low:+.2f} to {found.high:+.2f})"


def _pose_use(differences: _Differences) -> Diagnosis:
    costs = {name: differences("normal", f"pose {name}") for name in POSE_CHANGES}
    told = (f"with the poses of other moments it loses {costs['shuffled'].mean:.2f} dB, with the first pose for all "
            f"{costs['frozen'].mean:.2f} dB, {SHIFT} frames late {costs['late'].mean:.2f} dB, with none "
            f"{costs['zeroed'].mean:.2f} dB")  # fmt: skip
    uses = _sure(costs["shuffled"]) and _sure(costs["frozen"])
    return Diagnosis("Does it use the pose?", f"{'It uses the pose' if uses else 'It hardly uses the pose'}: {told}.",
                     _named(**costs))  # fmt: skip


def _z_use(differences: _Differences) -> Diagnosis:
    gain = differences("z posterior", "z mean")
    costs = {name: differences("z mean", condition) for name, condition in
             (("shuffled", "z shuffled"), ("sample", "normal"), ("zero", "z zero"))}  # fmt: skip
    return Diagnosis(
        "Does it use z?",
        f"{'It uses z' if _sure(gain) else 'It does not use z'}: against the prior's mean, the posterior (which sees "
        f"the target) gains {gain.mean:+.2f} dB, the posterior of other moments costs {costs['shuffled'].mean:+.2f} "
        f"dB, a sample of the prior {costs['sample'].mean:+.2f} dB, zeros {costs['zero'].mean:+.2f} dB.",
        _named(posterior=gain, **costs),
    )


def _exposure(differences: _Differences, clips: Sequence[ExaminedClip]) -> Diagnosis:
    gap = differences("forced", "z mean")
    gaps = [clip.psnr["forced"] - clip.psnr["z mean"] for clip in clips]
    late = float(np.mean([curve[-max(1, len(curve) // 4) :].mean() for curve in gaps]))
    early = float(np.mean([curve[: max(1, len(curve) // 4)].mean() for curve in gaps]))
    course = "and grows" if late > early + _MATTERS else "and shrinks" if late < early - _MATTERS else "and stays"
    verdict = "They do" if _sure(gap) else "They do not"
    return Diagnosis(
        "Do its own frames mislead it?",
        f"{verdict}: with the true frame before each it scores {gap.mean:+.2f} dB against running free {course}, from "
        f"{early:+.2f} dB in the first quarter of the clips to {late:+.2f} dB in the last: the cost of its own errors "
        f"and of what it cannot foresee, together.",
        {**_named(gap=gap), "first_quarter_db": early, "last_quarter_db": late},
    )


def _following(clips: Sequence[ExaminedClip]) -> Diagnosis:
    films = {name: follow([clip.joints[name] for clip in clips]) for name in clips[0].joints}
    model, truth, copied = films["model"], films["truth"], films["copy_context"]
    numbers = {f"{name}_{key}": value for name, one in films.items() for key, value in one._asdict().items()}
    room = truth.pck - copied.pck
    way = (model.pck - copied.pck) / max(room, 1e-9)
    verdict = ("These clips do not tell, the copied frame has most joints in place" if room < _FOLLOWS[0]
               else "They take them" if way > _FOLLOWS[1] else "They take them in part" if way > _FOLLOWS[0]
               else "They do not take them")  # fmt: skip
    return Diagnosis(
        "Do people take the poses asked for?",
        f"{verdict}: joints are {model.akd:.2f} pixels from their place ({truth.akd:.2f} in the true frames, "
        f"{copied.akd:.2f} in the copied one), {model.mkr:.1%} of those found there are missing, and {model.pck:.0%} "
        f"are within {CORRECT:.0%} of the person's height or width ({truth.pck:.0%} and {copied.pck:.0%}).",
        numbers,
    )


def _drift(clips: Sequence[SampledClip], baselines: Mapping[str, Sequence[Float[Array, " S"]]], seed: int) -> Diagnosis:
    changes = np.array([_fall(clip.scores["psnr"].mean(axis=0)) for clip in clips])
    found = interval(changes, seed=seed)
    numbers = {"db": found.mean, "low": found.low, "high": found.high}
    falls = _sure(_negative(found))
    verdict = "It drifts" if falls else "It does not drift, as far as these clips tell"
    beside = ""
    if "oracle" in baselines:
        against = interval(changes - np.array([_fall(curve) for curve in baselines["oracle"]]), seed=seed)
        numbers |= _named(against_oracle=against)
        if falls and not _sure(_negative(against)):
            verdict = "Its PSNR falls, but no faster than that of the best forecast"
        beside = f"; against the oracle's change {against.mean:+.2f} dB{_span(against)}"
    said = (f"PSNR changes by {found.mean:+.2f} dB from predicted frame {_SETTLED + 1} to the last of a clip"
            f"{_span(found)}{beside}")  # fmt: skip
    return Diagnosis("Does it drift?", f"{verdict}: {said}.", numbers)


def _fall(curve: Float[Array, " S"]) -> float:
    """The slope of a clip's PSNR times its frames, the easy ones at its start left out."""
    rest = curve[min(_SETTLED, len(curve) // 2) :]
    return slope(rest) * (len(rest) - 1)


def _calibration(clips: Sequence[SampledClip]) -> Diagnosis:
    """Where samples are like the truth, the squared error of their mean is (1 + 1/N) times their variance."""
    samples = clips[0].scores["psnr"].shape[0]
    spreads = [clip.spread for clip in clips if clip.spread is not None]
    variance = float(np.mean([spread.variance.mean() for spread in spreads])) * (1 + 1 / samples)
    error = float(np.mean([spread.error_of_mean.mean() for spread in spreads]))
    ratio = variance / max(error, 1e-12)
    low, high = _CALIBRATED
    verdict = (
        "Its samples are too much alike" if ratio < low else "They spread too far" if ratio > high else "They agree"
    )
    return Diagnosis(
        "Does the spread of samples tell the error?",
        f"{verdict}: by their spread the mean of {samples} samples should err by {variance:.2e} (squared, per pixel), "
        f"and errs by {error:.2e}, {ratio:.0%} foreseen.",
        {"foreseen": ratio, "variance": variance, "squared_error": error},
    )
