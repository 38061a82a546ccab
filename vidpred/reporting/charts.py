"""The charts of a report: schedules above losses, annealings overlaid, PSNR per frame."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from vidpred.reporting.comparison import Field
from vidpred.reporting.runs import Run
from vidpred.runfolder import short_name
from vidpred.statistics import interval_band
from vidpred.viz.charts import GREY, Chart, Line, Panel, colors_of, spread_over_orders

_DASHES = ("solid", "dashed", "dotted")
_EXACT = 60.0  # dB; a baseline that is the truth itself would flatten the others
_BANDS = 6  # curves with intervals that are still told apart
_LABEL = 56  # characters of a name in a legend


class Look:
    """How the runs of a field are drawn: a colour a setting, a dash a seed, a name in legends."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self._colors = colors_of([setting.label for setting in field.settings])

    def color(self, run: Run) -> str:
        """That of its setting."""
        return self._colors[self.field.setting_of(run).label]

    def label(self, run: Run) -> str:
        """Its setting, and its seed where others have the same; its name where that is long, or it stands alone."""
        setting = self.field.setting_of(run)
        if len(self.field.runs) == 1:
            return run.name
        label = setting.label if len(self.field.settings) > 1 else ""
        if len(setting.runs) > 1:
            label = f"{label}, seed {run.about.get('seed', '?')}" if label else f"seed {run.about.get('seed', '?')}"
            if len({one.about.get("seed") for one in setting.runs}) < len(setting.runs):
                label = f"{label}, run {run.name}"
        return label if len(label) <= _LABEL else f"run {run.name}"

    def line(self, run: Run, x: Array, y: Array, *, label: str | None = None,
             band: tuple[Array, Array] | None = None) -> Line:  # fmt: skip
        """A curve of a run."""
        dash = _DASHES[list(self.field.setting_of(run).runs).index(run) % len(_DASHES)]
        return Line(label or self.label(run), x, y, self.color(run), dash, run.name,  # type: ignore[arg-type]
                    self.field.setting_of(run).label, band)  # fmt: skip

    def ordered(self) -> Iterator[Run]:
        """The runs, setting by setting."""
        for setting in self.field.settings:
            yield from setting.runs


def schedules_chart(look: Look, *, note: str) -> Chart:
    """Forcing probability and beta, each above the loss that it goes with, on one axis of epochs."""
    columns = {"forcing probability": "schedule/forcing_prob", "beta": "schedule/beta", "learning rate": "schedule/lr"}
    panels = [Panel(title, "", _with_plans(look, column, title)) for title, column in columns.items()]
    loss = _columns(look, "train/loss")
    panels.insert(2, Panel("training loss", "", loss, log=spread_over_orders(loss), noisy=True))
    lengths = _columns(look, "schedule/clip_length")
    if any(np.ptp(line.y) for line in lengths):  # longer clips are harder: the loss rises with them
        panels.append(Panel("clip length", "frames", lengths))
    return Chart("schedules", "Schedules", "epoch", [panel for panel in panels if panel.lines], note=note)


def losses_chart(look: Look, *, note: str) -> Chart:
    """What each annealing does to loss, reconstruction, KL and the rollouts, overlaid."""
    wanted = [
        ("training loss", "", "train/loss", True),
        ("reconstruction term", "", "train/reconstruction", True),
        ("KL term", "", "train/kl", True),
        ("what the loss pays for KL: beta × KL", "", "train/weighted_kl", True),
        ("KL of validation clips", "nats a frame", "doctor/rate", False),
        ("what z is worth in rollouts", "dB", "doctor/worth_db", False),
        ("PSNR of validation rollouts", "dB", "psnr/val", False),
    ]
    panels = []
    for title, unit, column, noisy in wanted:
        lines = _columns(look, column)
        panels.append(Panel(title, unit, lines, log=unit != "dB" and spread_over_orders(lines), noisy=noisy))
    return Chart("losses", "Losses", "epoch", [panel for panel in panels if panel.lines], columns=2, note=note)


def psnr_chart(look: Look, *, note: str) -> Chart:
    """PSNR per predicted frame of every run at its best epoch, and of what costs nothing."""
    scored = [run for run in look.ordered() if "model" in run.psnr]
    lines = [look.line(run, *_curve(run, "model"), label=_with_mean(look.label(run), run.psnr["model"]),
                       band=interval_band(run.psnr["model"]) if _banded(run, len(scored)) else None)
             for run in scored]  # fmt: skip
    for setting in look.field.settings:  # in legends that name settings, their mean is that of their seeds
        scores = [run.psnr["model"] for run in setting.runs if "model" in run.psnr]
        if scores:
            told = _with_mean(setting.label, np.concatenate(scores))
            lines = [line._replace(group=told) if line.group == setting.label else line for line in lines]
    for run in scored[:1]:
        lines += _baselines(next((one for one in scored if len(one.psnr) > 4), run))
    return Chart("psnr_per_frame", "PSNR per frame", "frame", [Panel("", "PSNR (dB)", lines)] if lines else [],
                 note=note)  # fmt: skip


def heat_maps(look: Look, *, most: int) -> dict[str, Float[Array, "B S"]]:
    """PSNR of every clip and frame, by run: the best of each setting first, at most so many."""
    chosen = choose(look.field, most, lambda run: "model" in run.psnr)
    return {look.label(run): run.psnr["model"] for run in chosen}


def choose(field: Field, most: int, having: Callable[[Run], bool]) -> list[Run]:
    """At most so many runs to be shown closely: the best of each setting, then the second of each, and so on."""
    runs = [[run for run in setting.runs if having(run)] for setting in field.settings]
    longest = max((len(members) for members in runs), default=0)
    turns = [members[place] for place in range(longest) for members in runs if place < len(members)]
    return turns[:most]


def _columns(look: Look, column: str) -> list[Line]:
    """A column of every run's ``metrics.csv``."""
    courses = [(run, *run.course(column)) for run in look.ordered()]
    return [look.line(run, epochs, values) for run, epochs, values in courses if len(values)]


def _with_plans(look: Look, column: str, title: str) -> list[Line]:
    """A schedule as it went, and dotted as it was to go on in runs that are not finished."""
    lines = _columns(look, column)
    name = {"forcing probability": "forcing_prob"}.get(title, title)
    for run in look.ordered():
        planned = _plan_of(run, name)
        if run.summary or planned is None:
            continue
        epochs, values = planned
        ahead = epochs >= run.epochs - 1
        label = f"{look.label(run)}, planned"
        lines.append(Line(label, epochs[ahead], values[ahead], look.color(run), "dotted", run.name, label))
    return lines


def _plan_of(run: Run, name: str) -> tuple[Array, Array] | None:
    """Epochs and values of a schedule as it was planned; None where that was not known."""
    values = next((course["values"] for course in run.courses if course["name"] == name), None)
    if not values or not run.planned:
        return None
    return np.linspace(0, run.planned - 1, len(values)), np.array(values, float)


def _curve(run: Run, name: str) -> tuple[Array, Array]:
    """Numbers of the predicted frames, and the mean over clips."""
    scores = run.psnr[name]
    first = int(run.psnr["context_frames"])
    there = np.isfinite(scores).any(axis=0)
    values = np.full(scores.shape[1], np.nan)
    values[there] = np.nanmean(scores[:, there], axis=0)
    return np.arange(first, first + scores.shape[1]), values


def _baselines(run: Run) -> list[Line]:
    """Of a run, those that are not the truth itself; drawn in grey."""
    names = [name for name, values in run.psnr.items()
             if values.ndim == 2 and not name.startswith("model") and _mean(values) < _EXACT]  # fmt: skip
    dashes: Sequence[str] = ("dashed", "dotted", "solid")
    return [Line(_with_mean(short_name(name), run.psnr[name]), *_curve(run, name), GREY, dashes[place % 3])  # type: ignore[arg-type]
            for place, name in enumerate(names)]  # fmt: skip


def _with_mean(label: str, scores: Array) -> str:
    return f"{label}  (mean {_mean(scores):.2f} dB)"


def _mean(scores: Array) -> float:
    """Over clips of the mean over a clip's frames."""
    return float(np.nanmean(np.nanmean(scores, axis=1)))


def _banded(run: Run, runs: int) -> bool:
    return runs <= _BANDS and len(run.psnr["model"]) > 2
