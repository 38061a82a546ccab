"""What a report says in words, computed from the runs' numbers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vidpred.reporting.comparison import Field, Setting
from vidpred.reporting.runs import Run, differences
from vidpred.reporting.tables import Cell, Column, Table, number

_MOST = 8  # settings that get a sentence
_ABOUT = ("run", "schedule", "loss", "z", "evaluation")
_JUMP = 3.0  # times the loss of the epoch before


class Note(NamedTuple):
    """Something to know of some runs."""

    about: str  # one of _ABOUT
    runs: Sequence[str]  # their names
    sentence: str


def tell_schedules(field: Field) -> list[str]:
    """Of every setting, what its loss did while forcing fell and beta rose."""
    sentences = []
    for setting in field.settings[:_MOST]:
        run = setting.runs[0]
        loss = dict(zip(*(values.tolist() for values in run.course("train/loss")), strict=True))
        told = [
            _tell_move(run, "schedule/forcing_prob", "the forcing probability", loss),
            _tell_move(run, "schedule/beta", "beta", loss),
        ]
        known = [sentence for sentence in told if sentence]
        if known:
            sentences.append(f"{setting.label}: {'; '.join(known)}.")
    return sentences


def _tell_move(run: Run, column: str, name: str, loss: dict[float, float]) -> str:
    """The longest rise or fall of a schedule, and the loss at both of its ends."""
    epochs, values = run.course(column)
    if not len(values):
        return ""
    steps = np.diff(values)
    if not np.any(steps):
        return f"{name} stays at {values[0]:.3g}"
    first, last = _longest_move(steps)
    verb = "falls" if values[last] < values[first] else "rises"
    start, end = epochs[first], epochs[last]
    losses = ""
    if start in loss and end in loss:
        losses = f", the loss goes from {loss[start]:.3g} to {loss[end]:.3g}"
    times = _count_moves(steps)
    again = f" (the first of {times} such times)" if times > 1 else ""
    return (f"as {name} {verb} from {values[first]:.3g} at epoch {start:.0f} to {values[last]:.3g} at epoch {end:.0f}"
            f"{again}{losses}{_tell_lengths(run, start, end)}")  # fmt: skip


def _tell_lengths(run: Run, start: float, end: float) -> str:
    """What else moves the loss in these epochs: clips that grow."""
    epochs, lengths = run.course("schedule/clip_length")
    if not len(lengths):
        return ""
    shortest, longest = np.interp([start, end], epochs, lengths).round()
    return f" (clips grow from {shortest:.0f} to {longest:.0f} frames meanwhile)" if longest > shortest else ""


def _longest_move(steps: np.ndarray) -> tuple[int, int]:
    """Places where the first of the longest runs of steps of one sign begins and ends."""
    best, start = (0, 0), 0
    signs = np.sign(steps)
    for place in range(len(signs) + 1):
        if place == len(signs) or signs[place] != signs[start]:
            if signs[start] and place - start > best[1] - best[0]:
                best = (start, place)
            start = place
    return best


def _count_moves(steps: np.ndarray) -> int:
    """How often a schedule moves as long, in the same direction, as in its longest move."""
    first, last = _longest_move(steps)
    sign = np.sign(steps[first])
    same = (np.sign(steps) == sign).astype(int)
    begins = np.flatnonzero(np.diff(np.r_[0, same]) == 1)
    ends = np.flatnonzero(np.diff(np.r_[same, 0]) == -1) + 1
    return int((ends - begins >= last - first - 1).sum())


def settings_table(field: Field) -> Table:
    """One row a setting, means over its seeds: what annealings and forcings are compared by."""
    columns = [
        Column("setting", numeric=False), Column("seeds"), Column("best PSNR", "dB"), Column("of seeds", "dB"),
        Column("loss"), Column("reconstruction"), Column("KL term"), Column("KL", "nats a frame"),
        Column("z worth", "dB"),
    ]  # fmt: skip
    rows = [[Cell(setting.label), number(len(setting.runs), "d"), number(setting.best), _spread(setting),
             *(number(_last_mean(setting, name), form) for name, form in
               (("train/loss", ".4g"), ("train/reconstruction", ".4g"), ("train/kl", ".3g"), ("doctor/rate", ".3g"),
                ("doctor/worth_db", ".2f")))]
            for setting in field.settings]  # fmt: skip
    note = "Loss, terms and what z is worth: at the last epoch; losses of other objectives are in other units."
    return Table("settings", "Settings, means over seeds", columns, rows, note)


def _spread(setting: Setting) -> Cell:
    scores = [run.best for run in setting.runs if run.best is not None]
    return Cell("-") if len(scores) < 2 else Cell(f"{min(scores):.2f} to {max(scores):.2f}", max(scores) - min(scores))


def _last_mean(setting: Setting, column: str) -> float | None:
    last = [values[-1] for _, values in (run.course(column) for run in setting.runs) if len(values)]
    return float(np.mean(last)) if last else None


def collect_notes(field: Field) -> list[Note]:
    """What the doctor, the schedules and evaluations say of the runs; what several have in common is said once."""
    said: dict[tuple[str, str], list[str]] = {}
    for run in field.runs:
        for about, sentence in _notes_of(run):
            said.setdefault((about, sentence), []).append(run.name)
    notes = [Note(about, runs, sentence) for (about, sentence), runs in said.items()]
    return sorted(notes, key=lambda note: _ABOUT.index(note.about))


def notes_table(field: Field) -> Table:
    """All notes, and the runs that each is of."""
    columns = [Column(name, numeric=False) for name in ("about", "note", "runs")]
    rows = [[Cell(note.about), Cell(note.sentence),
             Cell("all" if len(note.runs) == len(field.runs) else ", ".join(note.runs))]
            for note in collect_notes(field)]  # fmt: skip
    return Table("notes", "Doctor's notes", columns, rows)


def _notes_of(run: Run) -> list[tuple[str, str]]:
    notes = [("schedule", course["sentence"]) for course in run.courses]
    notes += [("loss", sentence) for sentence in _tell_jumps(run)]
    if "sentence" in run.doctor:
        notes.append(("z", run.doctor["sentence"]))
    notes += [("evaluation", f"{one['question']} {one['sentence']}") for one in run.evaluation.get("diagnoses", [])]
    notes += [("evaluation", sentence) for sentence in run.evaluation.get("left_out", [])]
    if run.failure is not None:
        notes.append(("run", f"The run has {run.status}: {run.failure}"))
    elif not run.summary:
        notes.append(("run", f"The run is {run.status}: its scores may still change."))
    if "model" not in run.psnr:
        notes.append(("run", "It has not been validated: there is no PSNR yet."))
    if run.summary.get("skipped_steps"):
        notes.append(("run", f"{run.summary['skipped_steps']} steps were not finite and did not change the weights."))
    if run.summary.get("overlap_allowed"):
        notes.append(("run", "Splits were allowed to share frames: scores may be memory."))
    return notes + [("run", problem) for problem in run.problems]


def _tell_jumps(run: Run) -> list[str]:
    """Where the training loss leapt from one epoch to the next."""
    epochs, loss = run.course("train/loss")
    return [f"The training loss leapt from {loss[place]:.3g} to {loss[place + 1]:.3g} at epoch {epochs[place + 1]:.0f}."
            for place in range(len(loss) - 1) if loss[place] > 0 and loss[place + 1] > _JUMP * loss[place]]  # fmt: skip


def tell_mixture(fields: Sequence[Field]) -> list[str]:
    """Say why runs stand apart, and which were made by other versions."""
    sentences = []
    if len(fields) > 1:
        parts = [f"{field.name}: {len(field.runs)} run{'s' * (len(field.runs) > 1)}, data {field.data or 'unknown'}, "
                 f"protocol {field.protocol or 'unknown'}" for field in fields]  # fmt: skip
        sentences.append(f"These runs are of {len(fields)} kinds, whose scores cannot be compared, since data, "
                         f"validation clips or protocol differ. {'. '.join(parts)}.")  # fmt: skip
    runs = [run for field in fields for run in field.runs]
    origins = differences([{**run.about.get("versions", {}), "git": run.about.get("git")} for run in runs])
    for name in {name: None for row in origins for name in row}:
        found: dict[str, list[str]] = {}
        for run, row in zip(runs, origins, strict=True):
            found.setdefault(str(row.get(name)), []).append(run.name)
        parts = [f"{version} ({_names(names)})" for version, names in found.items()]
        sentences.append(
            f"Made with several versions of {'the code (git)' if name == 'git' else name}: {', '.join(parts)}."
        )
    return sentences


def tell_left_out(runs: Sequence[Run]) -> list[str]:
    """Which runs could not be read, and why."""
    return [f"{run.name} is left out: {run.unreadable}" for run in runs if run.unreadable is not None]


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown


def config_table(field: Field) -> Table:
    """Every key of the configurations in which the runs differ; of one run, its command's options."""
    runs = field.runs
    if len(runs) == 1:
        columns = [Column("option", numeric=False), Column("value", numeric=False)]
        rows = [[Cell(name), Cell(str(value))] for name, value in runs[0].options.items()]
        return Table("config", "What was chosen", columns, rows)
    rows_of = differences([run.config for run in runs])
    names = list(dict.fromkeys(name for row in rows_of for name in row))
    columns = [Column("option", numeric=False), *(Column(run.name, numeric=False) for run in runs)]
    rows = [[Cell(name), *(Cell(str(row.get(name, "-"))) for row in rows_of)] for name in names]
    return Table("config", "Configuration: what differs", columns, rows)


def origin_table(field: Field) -> Table:
    """Where every run comes from."""
    columns = [Column(name, numeric=False) for name in ("run", "command", "seed", "started", "git", "device",
                                                        "precision", "vidpred", "torch", "lightning")]  # fmt: skip
    rows = [[Cell(run.name), *(Cell(_told(run.about.get(name))) for name in
                               ("command", "seed", "started", "git", "device", "precision")),
             *(Cell(_told(run.about.get("versions", {}).get(name))) for name in ("vidpred", "torch", "lightning"))]
            for run in field.runs]  # fmt: skip
    return Table("origin", "Where the runs come from", columns, rows)


def _told(value: Any) -> str:
    return "-" if value is None else str(value)
