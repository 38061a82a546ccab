"""Evaluations, from their configuration."""

from collections.abc import Iterator, Sequence
from glob import glob
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig

from vidpred.assembly.building import build
from vidpred.assembly.processes import Processes
from vidpred.assembly.trained import LabOptions, data_of, load_predictor
from vidpred.data.clips import Window
from vidpred.data.datamodule import ClipDataModule
from vidpred.data.posing import skeleton_of
from vidpred.doctor import Chart
from vidpred.evaluation.assessment import AssessedClip, Assessment, assess_clips
from vidpred.evaluation.comparison import compare
from vidpred.evaluation.conditions import CONDITIONS, ExaminedClip, examine_clips
from vidpred.evaluation.diagnoses import Diagnosis, diagnose_conditions, diagnose_samples
from vidpred.evaluation.films import record_films
from vidpred.evaluation.guards import EvaluationError, check_shape, check_split, choose_windows
from vidpred.evaluation.pose_following import Follower
from vidpred.evaluation.records import clear, record
from vidpred.evaluation.scoring import Scorer
from vidpred.interop.bundle import is_bundle
from vidpred.pose.fitted import FittedEstimator
from vidpred.predictor import Predictor
from vidpred.reporting.progress import count_frames
from vidpred.runfolder import RunFolder, home_of


class Evaluation(NamedTuple):
    """A checkpoint that was scored."""

    name: str
    assessment: Assessment
    folder: RunFolder
    data: str  # fingerprint


class _Findings(NamedTuple):
    """What one process has found, or all of them."""

    assessed: list[AssessedClip]
    examined: list[ExaminedClip]  # empty without diagnoses
    charts: list[Chart]  # of the doctor


def find_checkpoints(pattern: str) -> list[Path]:
    """Checkpoints and run folders of a path, the runs below a multirun's folder, or what a pattern matches.

    Raises:
        EvaluationError: if there is none.
    """
    path = Path(pattern).expanduser()
    literal = str(path).replace("[", "[[]")  # brackets are part of a name, * and ? are not
    found = [path] if path.exists() else [Path(match) for match in sorted(glob(literal))]
    if path.is_dir() and not (path / "checkpoints").is_dir() and not is_bundle(path):
        found = [file.parent for file in sorted(path.rglob("run.json"))]
    if not found:
        raise EvaluationError(f"ckpt={pattern}: there is no checkpoint and no run")
    return found


def evaluate_checkpoints(
    cfg: DictConfig, scorer: Scorer, left_out: Sequence[str], processes: Processes
) -> Iterator[Evaluation]:
    """Score checkpoints one after the other, compare all others with the first, and write what was found.

    Args:
        cfg: of the evaluation.
        scorer: of the frames.
        left_out: what could not be measured.
        processes: that share the clips; the first one writes.

    Raises:
        ValueError: for what would not mean what it says, with the reason.
    """
    paths = find_checkpoints(cfg.ckpt)
    first: Evaluation | None = None
    for path, folder in zip(paths, _places(cfg.out, paths), strict=True):
        found = _evaluate(cfg, path, folder, scorer, left_out, processes)
        if first is None:
            first = found
        elif processes.is_first:
            difference = compare(first.assessment, found.assessment, names=(first.name, found.name),
                                 data=(first.data, found.data), seed=cfg.seed)  # fmt: skip
            found.folder.write_json("comparison.json", difference)
        yield found


def _places(out: str | None, paths: Sequence[Path]) -> list[RunFolder]:
    """Where each evaluation goes: into its run; or to one folder, with one below it each where there are several."""
    if out is None:
        homes = [home_of(path) for path in paths]
        names = ["evaluation" if homes.count(home) == 1 else f"evaluation-{path.stem}"
                 for home, path in zip(homes, paths, strict=True)]  # fmt: skip
        return [RunFolder(home / name) for home, name in zip(homes, names, strict=True)]
    place = Path(out).expanduser()
    if len(paths) == 1:
        return [RunFolder(place)]
    width = len(str(len(paths) - 1))
    return [RunFolder(place / f"{number:0{width}}-{path.stem}") for number, path in enumerate(paths)]


def _evaluate(
    cfg: DictConfig, path: Path, folder: RunFolder, scorer: Scorer, left_out: Sequence[str], processes: Processes
) -> Evaluation:
    predictor = load_predictor(path, device=cfg.device, lab=LabOptions(**cfg.lab))
    data = data_of(predictor)
    check_split(data, cfg.split, allow_selection_split=cfg.allow_selection_split)
    check_shape(predictor, data)
    known = scorer.protocol.context_frames or predictor.context_frames
    windows = choose_windows(data, cfg.split, context_frames=known, frames=scorer.protocol.frames)
    if processes.is_first:
        clear(folder)
    missing = [*left_out, *scorer.missing(*data.shape[-2:]).values()]
    follower = _build_follower(cfg, data, predictor, missing, processes) if cfg.diagnoses else None
    findings = _measure(cfg, predictor, data, windows, scorer, follower, known, processes)
    assessment = Assessment(scorer.protocol, known, findings.assessed)
    if processes.is_first:
        about = {
            "checkpoint": str(path),
            "chosen_on": "val" if cfg.split == "val" else None,
            "data": data.source.fingerprint,
            "split": cfg.split,
            "overlap_allowed": data.source.allow_overlap,
            "seed": cfg.seed,
        }
        diagnoses = _diagnose(findings, assessment, deterministic=data.source.deterministic, seed=cfg.seed)
        record(folder, assessment, findings.examined, diagnoses, about=about, left_out=missing, seed=cfg.seed)
        if cfg.films:
            record_films(folder, assessment, predictor, data, cfg.split, seed=cfg.seed)
    return Evaluation(str(path), assessment, folder, data.source.fingerprint)


def _measure(
    cfg: DictConfig, predictor: Predictor, data: ClipDataModule, windows: Sequence[Window], scorer: Scorer,
    follower: Follower | None, known: int, processes: Processes,
) -> _Findings:  # fmt: skip
    """Every clip once, each by one of the processes; in every process the findings of all, in the clips' order."""
    mine = windows[processes.rank :: processes.size]
    assessed: list[AssessedClip] = []
    examined: list[ExaminedClip] = []
    charts: list[Chart] = []
    rollouts = scorer.protocol.samples + (len(CONDITIONS) if cfg.diagnoses else 0)
    total = rollouts * sum(window.length - known for window in mine)
    note = f"{len(mine)} clip{'s' * (len(mine) > 1)}, {rollouts} rollouts of each: {total} frames to predict"
    with count_frames(total, shown=processes.is_first, note=note) as advance:
        if mine:
            assessed = assess_clips(predictor, data, cfg.split, mine, scorer, context_frames=known, seed=cfg.seed,
                                    advance=advance)  # fmt: skip
        if mine and cfg.diagnoses:
            examined, chart = examine_clips(predictor, data, cfg.split, mine, context_frames=known, follower=follower,
                                            seed=cfg.seed, advance=advance)  # fmt: skip
            charts = [chart]
    shares = processes.gather(_Findings(assessed, examined, charts))
    return _Findings(
        sorted(chain(*(one.assessed for one in shares)), key=lambda clip: clip.sampled.window.sequence),
        sorted(chain(*(one.examined for one in shares)), key=lambda clip: clip.window.sequence),
        list(chain(*(one.charts for one in shares))),
    )


def _diagnose(findings: _Findings, assessment: Assessment, *, deterministic: bool | None, seed: int) -> list[Diagnosis]:
    if not findings.examined:
        return []
    chart = Chart(findings.charts[0].latent_shape)
    for one in findings.charts:
        chart.add(one)
    baselines = {name: curves["psnr"] for name, curves in assessment.baselines.items()}
    return [
        *diagnose_conditions(findings.examined, chart, deterministic=deterministic, seed=seed),
        *diagnose_samples(assessment.sampled, baselines, seed=seed),
    ]


def _build_follower(
    cfg: DictConfig, data: ClipDataModule, predictor: Predictor, missing: list[str], processes: Processes
) -> Follower | None:
    """What finds joints in films; None where nobody asked for it, or where there is nothing to learn it from."""
    if not cfg.pose_following:
        return None
    estimator = build(cfg.pose_estimator)
    if isinstance(estimator, FittedEstimator):
        store = data.store("train")
        if store.keypoints is None:
            missing.append("Pose following is left out: this data has no keypoints to learn joints from; "
                           "pose_estimator=blazepose finds those of people in pictures.")  # fmt: skip
            return None
        for turn in (True, False):  # the first process learns, the others find what it has learned
            if processes.is_first is turn:
                estimator.fit(store.frames, store.keypoints, skeleton_of(store).joints, fingerprint=store.fingerprint,
                              device=predictor.device)  # fmt: skip
            processes.gather(None)
    return Follower(estimator, data)
