"""Evaluations, from their configuration."""

import sys
from collections.abc import Sequence
from glob import glob
from pathlib import Path

from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vidpred.assembly.trained import data_of, load_predictor
from vidpred.evaluation.assessment import Assessment, assess, check_split
from vidpred.evaluation.diagnoses import diagnose
from vidpred.evaluation.records import record, record_films
from vidpred.evaluation.sampling import EvaluationError, choose_windows
from vidpred.evaluation.scoring import Scorer
from vidpred.runfolder import RunFolder, home_of


def find_checkpoints(pattern: str) -> list[Path]:
    """Checkpoints and run folders of a path, the runs below a multirun's folder, or what a pattern matches.

    Raises:
        EvaluationError: if there is none.
    """
    path = Path(pattern).expanduser()
    literal = str(path).replace("[", "[[]")  # brackets are part of a name, * and ? are not
    found = [path] if path.exists() else [Path(match) for match in sorted(glob(literal))]
    if path.is_dir() and not (path / "checkpoints").is_dir():
        found = [file.parent for file in sorted(path.rglob("run.json"))]
    if not found:
        raise EvaluationError(f"ckpt={pattern}: there is no checkpoint and no run")
    return found


def evaluate_checkpoint(
    cfg: DictConfig, path: Path, scorer: Scorer, left_out: Sequence[str]
) -> tuple[Assessment, RunFolder]:
    """Score one checkpoint and write what was found.

    Args:
        cfg: of the evaluation.
        path: a checkpoint, or a run's folder.
        scorer: of the frames.
        left_out: what could not be measured.

    Raises:
        ValueError: for what would not mean what it says, with the reason.
    """
    predictor = load_predictor(path, device=cfg.device)
    data = data_of(predictor)
    check_split(data, cfg.split, allow_selection_split=cfg.allow_selection_split)
    folder = RunFolder(Path(cfg.out).expanduser() if cfg.out is not None else home_of(path) / "evaluation")
    protocol = scorer.protocol
    known = protocol.context_frames or predictor.context_frames
    windows = choose_windows(data, cfg.split, context_frames=known, frames=protocol.frames)
    samples = protocol.samples if cfg.z == "sample" else 1
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=not sys.stderr.isatty()) as progress:
        total = samples * sum(window.length - known for window in windows)
        task = progress.add_task("predicted frames", total=total)
        assessment = assess(predictor, data, cfg.split, scorer, z=cfg.z, seed=cfg.seed,
                            advance=lambda frames: progress.advance(task, frames))  # fmt: skip
    diagnoses = (
        diagnose(predictor, data, cfg.split, windows, assessment.sampled, context_frames=known,
                 seed=cfg.seed)
        if cfg.diagnoses else []
    )  # fmt: skip
    about = {
        "checkpoint": str(path),
        "chosen_on": "val" if cfg.split == "val" else None,
        "data": data.source.fingerprint,
        "split": cfg.split,
        "overlap_allowed": data.source.allow_overlap,
        "z": cfg.z,
        "mask": cfg.mask,
        "seed": cfg.seed,
    }
    record(folder, assessment, diagnoses, protocol=protocol, about=about, left_out=left_out, seed=cfg.seed)
    if cfg.films:
        record_films(folder, assessment, predictor, data, cfg.split, z=cfg.z, seed=cfg.seed)
    return assessment, folder
