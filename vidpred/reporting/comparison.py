"""Which runs can be compared, how they rank, and whether one is better than the others."""

import string
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vidpred.reporting.runs import Run, differences
from vidpred.reporting.tables import Cell, Column, Table, number
from vidpred.statistics import Interval, interval, paired_interval

_SEED = "seed"
_ENOUGH = 6  # clips: that all of fewer lie on one side happens by chance more often than once in twenty times


class Setting(NamedTuple):
    """Runs that differ in their seed alone."""

    label: str
    runs: Sequence[Run]

    @property
    def best(self) -> float | None:
        """Mean over the seeds of the best validation PSNR, in dB."""
        scores = [run.best for run in self.runs if run.best is not None]
        return float(np.mean(scores)) if scores else None


class Field(NamedTuple):
    """Runs whose scores can be compared: same data, same validation clips, same protocol."""

    name: str
    data: str | None  # fingerprint
    protocol: str | None  # likewise
    runs: Sequence[Run]  # best first
    settings: Sequence[Setting]  # best first
    options: dict[str, dict[str, Any]]  # by run, those in which not all agree

    def setting_of(self, run: Run) -> Setting:
        """The setting that a run belongs to."""
        return next(setting for setting in self.settings if run in setting.runs)


def make_fields(runs: Sequence[Run]) -> list[Field]:
    """Part runs by what their scores hold for; the largest field comes first. What is unreadable is in none."""
    parts: dict[tuple[Any, ...], list[Run]] = {}
    known = [run for run in runs if run.unreadable is None]
    for run in sorted(known, key=lambda run: "model" not in run.psnr):  # those without scores join others
        origin = (run.about.get("data"), _protocol(run))
        key = (*origin, _clips(run))
        if "model" not in run.psnr:
            key = next((other for other in parts if other[:2] == origin), key)
        parts.setdefault(key, []).append(run)
    fields = sorted(parts.items(), key=lambda part: -len(part[1]))
    return [_make_field(_letter(place), key[0], key[1], members) for place, (key, members) in enumerate(fields)]


def verdict(field: Field) -> str:
    """Say which setting is best, if the paired interval of the best two tells."""
    scored = [setting for setting in field.settings if any(len(run.clip_scores) for run in setting.runs)]
    if not scored:
        return "No run has been validated yet."
    first = scored[0]
    if len(scored) == 1:
        spread = [run.best for run in first.runs if run.best is not None]
        if len(spread) > 1:
            return (
                f"{len(spread)} seeds of one setting: {np.mean(spread):.2f} dB, {min(spread):.2f} to {max(spread):.2f}."
            )
        return "One run: there is nothing to compare it with."
    second = scored[1]
    matrices = [_scores(setting) for setting in (first, second)]
    found = paired_interval(*matrices)
    clips, seeds = matrices[0].shape[1], [len(matrix) for matrix in matrices]
    basis = f"paired over {clips} validation clip{'s' * (clips > 1)}"
    caveat = "" if min(seeds) > 1 else " One of the two has a single seed: another seed may rank them otherwise."
    if np.isnan(found.low):
        return (f"{first.label} is ahead of {second.label} by {found.mean:.2f} dB; one validation clip gives no "
                f"interval, so there is no winner.{caveat}")  # fmt: skip
    if clips < _ENOUGH:
        return (f"{first.label} is ahead of {second.label} by {found.mean:.2f} dB; {clips} validation clips are too "
                f"few to name a winner.{caveat}")  # fmt: skip
    span = f"{found.mean:+.2f} dB, 95 % interval {found.low:+.2f} to {found.high:+.2f}, {basis}"
    if found.low > 0:
        return f"The best is {first.label}: ahead of the next, {second.label} ({span}).{caveat}"
    return f"No winner: {first.label} and {second.label} cannot be told apart ({span}).{caveat}"


def summary_table(field: Field) -> Table:
    """One row per run, best first: options in which the runs differ, scores with their intervals, cost."""
    names = list(dict.fromkeys(name for options in field.options.values() for name in options))
    columns = [
        Column("run", numeric=False),
        *(Column(name.replace(".", ".\n"), numeric=False) for name in names),
        Column("best\nPSNR", "dB"), Column("95 %\ninterval", "dB", drop=8),
        Column("last\nPSNR", "dB", drop=3), Column("95 %\ninterval", "dB", drop=9),
        Column("SSIM", drop=4), Column("to\noracle", drop=6), Column("z\nworth", "dB", drop=2),
        Column("KL", "nats", drop=1), Column("time", "min", drop=5), Column("frames/s", drop=7),
        Column("status", numeric=False),
    ]  # fmt: skip
    rows = [[Cell(run.name), *(_option(field.options[run.name].get(name)) for name in names), *_measures(run)]
            for run in field.runs]  # fmt: skip
    count = len(field.runs)
    return Table(
        key="summary",
        title=f"{count} run{'s' * (count > 1)}, best first: validation rollouts, mean PSNR per frame",
        columns=columns,
        rows=rows,
        note=f"data {field.data or 'unknown'}, protocol validation {field.protocol or 'unknown'}. {verdict(field)}",
    )


def _measures(run: Run) -> list[Cell]:
    """What a run has reached, and at what cost."""
    best, last = _interval(run.clip_scores), _last(run)
    seconds = run.rows[-1].get("seconds") if run.rows else None
    way = run.summary.get("way_to_oracle")
    speeds = run.course("speed/frames_per_second")[1]
    return [
        number(run.best),
        _span(best),
        number(None if last is None else last.mean),
        _span(last),
        number(_ssim(run), ".3f"),
        number(None if way is None else way["db"], ".0%"),
        number(run.doctor.get("worth_db")),
        number(run.doctor.get("rate"), ".3g"),
        number(None if seconds is None else seconds / 60, ".1f"),
        number(float(speeds.mean()) if len(speeds) else None, ".0f"),
        Cell(run.status),
    ]


def _last(run: Run) -> Interval | None:
    if "psnr" in run.validations:
        return _interval(run.validations["psnr"][-1])
    scores = run.course("psnr/val")[1]
    return Interval(float(scores[-1]), float("nan"), float("nan")) if len(scores) else None


def _ssim(run: Run) -> float | None:
    """At the best validation."""
    if "psnr" not in run.validations:
        return run.summary.get("ssim_best")
    value = run.validations["ssim"][int(np.argmax(run.validations["psnr"].mean(axis=1)))].mean()
    return float(value) if np.isfinite(value) else None


def _interval(scores: np.ndarray) -> Interval | None:
    return interval(scores.astype(float)) if len(scores) else None


def _span(found: Interval | None) -> Cell:
    if found is None or np.isnan(found.low):
        return Cell("-")
    return Cell(f"{found.low:.2f} to {found.high:.2f}")


def _option(value: Any) -> Cell:
    if value is None:
        return Cell("-")
    return Cell(str(value), float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None)


def _make_field(name: str, data: str | None, protocol: str | None, runs: Sequence[Run]) -> Field:
    ranked = sorted(runs, key=lambda run: -(float("-inf") if run.best is None else run.best))
    options = dict(zip([run.name for run in ranked], differences([run.options for run in ranked]), strict=True))
    groups: dict[str, list[Run]] = {}
    for run in ranked:
        groups.setdefault(_label(options[run.name], run.name), []).append(run)
    if len(groups) == 1:
        groups = {"all runs" if len(runs) > 1 else ranked[0].name: ranked}
    settings = [Setting(label, members) for label, members in groups.items()]
    settings.sort(key=lambda setting: -(float("-inf") if setting.best is None else setting.best))
    return Field(name, data, protocol, ranked, settings, options)


def _label(options: dict[str, Any], name: str) -> str:
    """What tells a setting from others; runs that differ in nothing that is known are known by their names."""
    told = [f"{key}={value}" for key, value in options.items() if key != _SEED]
    return ", ".join(told) if told or _SEED in options else name


def _scores(setting: Setting) -> np.ndarray:
    """Best PSNR of every seed and clip."""
    return np.stack([run.clip_scores for run in setting.runs if len(run.clip_scores)]).astype(float)


def _protocol(run: Run) -> str | None:
    return run.about.get("protocol") or run.summary.get("protocol")


def _clips(run: Run) -> tuple[Any, ...]:
    """What the scores are of: clips, frames, context."""
    if "model" not in run.psnr:
        return ()
    return (*run.psnr["clips"].tolist(), run.psnr["model"].shape[1], int(run.psnr["context_frames"]))


def _letter(place: int) -> str:
    """A, B, … Z, and then A1, B1."""
    turn, letter = divmod(place, 26)
    return string.ascii_uppercase[letter] + (str(turn) if turn else "")
