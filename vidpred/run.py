"""Train a model: ``python -m vidpred.run kl_anneal=monotonic trainer.devices=1``."""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from vidpred import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from vidpred.assembly import Run
    from vidpred.runfolder import RunFolder


def main(cfg: "DictConfig") -> float:
    """Train, score baselines and best model, print the outcome; its validation PSNR in dB (NaN on ranks above 0).

    With ``preview=true`` the schedules are drawn instead, and nothing is trained.
    """
    from vidpred.assembly import build_run, find_resume_point
    from vidpred.configuration import list_choices, list_varied
    from vidpred.evaluation.outcome import record_outcome
    from vidpred.reporting.outcome import finished_score, print_outcome
    from vidpred.runfolder import RunFolder
    from vidpred.training.faults import told_in_words
    from vidpred.training.tracking import log_outcome

    _log_warnings()
    # Lightning 2.6 calls what torch 2.14 has deprecated; there is nothing that a user could do about it
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
    folder = RunFolder(Path(cfg.run_dir))
    if cfg.preview:
        _preview(cfg, folder)
        return float("nan")
    if _job() is not None and (score := finished_score(folder, list_choices(cfg))) is not None:
        print(f"{folder.path.name} is finished already, and is not repeated")
        return score
    checkpoint = find_resume_point(folder, cfg.resume)
    run = build_run(cfg)
    if run.trainer.is_global_zero:
        _begin(cfg, run, folder, resumed=checkpoint is not None)
    with told_in_words(folder):
        run.trainer.fit(run.module, datamodule=run.data, ckpt_path=checkpoint, weights_only=True)
    if not run.trainer.is_global_zero:
        return float("nan")
    skipped = int(run.module.guard.skipped)
    scores = record_outcome(folder, run.data, baselines=cfg.baselines, best=run.best_predictor(folder),
                            z=cfg.validation.z, skipped_steps=skipped)  # fmt: skip
    log_outcome(run.trainer, list_choices(cfg), scores, varied=list_varied())
    print_outcome(folder, next_steps=_job() is None)
    return scores["psnr_best"]


def _log_warnings() -> None:
    """Warnings go to the log too. What other processes than the first have to say goes to their logs alone."""
    from lightning.pytorch.utilities import rank_zero_only

    logging.captureWarnings(True)
    if getattr(rank_zero_only, "rank", 0) == 0:
        return
    for logger in (logging.getLogger(), logging.getLogger("py.warnings")):
        for handler in [one for one in logger.handlers if not isinstance(one, logging.FileHandler)]:
            logger.removeHandler(handler)


def _preview(cfg: "DictConfig", folder: "RunFolder") -> None:
    """Draw the schedules."""
    from vidpred.assembly import prepare_plan
    from vidpred.reporting.schedules import print_preview
    from vidpred.viz.courses import courses_figure

    _, plan = prepare_plan(cfg)
    courses_figure(plan.courses(), epochs=plan.epochs).savefig(folder["schedules.png"])
    print_preview(plan.courses(), epochs=plan.epochs)
    print(f"drawn in {folder.path / 'schedules.png'}")


def _begin(cfg: "DictConfig", run: "Run", folder: "RunFolder", *, resumed: bool) -> None:
    """Write and print what is known of a run before it trains: data, schedules, origin."""
    from vidpred.configuration import list_choices
    from vidpred.data.statistics import describe_store
    from vidpred.evaluation.outcome import validation_protocol
    from vidpred.reporting.data import print_statistics
    from vidpred.reporting.outcome import print_changes
    from vidpred.reporting.schedules import print_expectations
    from vidpred.training.provenance import describe
    from vidpred.viz.courses import courses_figure, to_dict

    statistics = {split: describe_store(run.data.store(split))._asdict() for split in ("train", "val")}
    folder.write_json("data.json", statistics)
    if _job() in (None, 0):  # the other jobs of a sweep would repeat it
        print_statistics(statistics)
    courses = run.plan.courses()
    courses_figure(courses, epochs=run.plan.epochs).savefig(folder["schedules.png"])
    folder.write_json("schedules.json", {"epochs": run.plan.epochs, "courses": [to_dict(one) for one in courses]})
    print_expectations(courses)
    if resumed:
        print_changes(folder, list_choices(cfg))
    describe(
        folder,
        config=run.module.config,
        choices=list_choices(cfg),
        data=run.data.source.fingerprint,
        protocol=validation_protocol(cfg.validation.z).fingerprint,
        parameters=sum(weight.numel() for weight in run.module.parameters()),
        precision=str(run.trainer.precision),
    )


def _job() -> int | None:
    """Which job of a sweep this is; None outside of sweeps."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra = HydraConfig.get()
    return hydra.job.num if hydra.mode == RunMode.MULTIRUN else None


if __name__ == "__main__":
    cli.launch("run", main)
