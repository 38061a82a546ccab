"""Train a model: ``python -m vidpred.run kl_anneal=monotonic trainer.devices=1``."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from vidpred import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(cfg: "DictConfig") -> float:
    """Train, score baselines and best model, print the outcome; its validation PSNR in dB (NaN on ranks above 0).

    With ``preview=true`` the schedules are drawn instead, and nothing is trained.
    """
    from vidpred.assembly import build_run, prepare_plan
    from vidpred.configuration import list_choices
    from vidpred.data.statistics import describe_store
    from vidpred.evaluation.outcome import record_outcome, validation_protocol
    from vidpred.reporting.data import print_statistics
    from vidpred.reporting.outcome import print_changes, print_outcome
    from vidpred.reporting.schedules import print_expectations, print_preview
    from vidpred.runfolder import RunFolder
    from vidpred.training.provenance import describe
    from vidpred.training.tracking import log_outcome
    from vidpred.viz.courses import courses_figure, to_dict

    # Lightning 2.6 calls what torch 2.14 has deprecated; there is nothing that a user could do about it
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
    folder = RunFolder(Path(cfg.run_dir))
    if cfg.preview:
        _, plan = prepare_plan(cfg)
        courses_figure(plan.courses(), epochs=plan.epochs).savefig(folder["schedules.png"])
        print_preview(plan.courses(), epochs=plan.epochs)
        print(f"drawn in {folder.path / 'schedules.png'}")
        return float("nan")
    checkpoint = folder.resume_point(cfg.resume)
    run = build_run(cfg)
    module, trainer = run.module, run.trainer
    if trainer.is_global_zero:
        statistics = {split: describe_store(run.data.store(split))._asdict() for split in ("train", "val")}
        folder.write_json("data.json", statistics)
        print_statistics(statistics)
        courses = run.plan.courses()
        courses_figure(courses, epochs=run.plan.epochs).savefig(folder["schedules.png"])
        folder.write_json("schedules.json", {"epochs": run.plan.epochs, "courses": [to_dict(one) for one in courses]})
        print_expectations(courses)
        if checkpoint is not None:
            print_changes(folder, list_choices(cfg))
        parameters = sum(weight.numel() for weight in module.parameters())
        describe(folder, config=module.config, choices=list_choices(cfg), data=run.data.source.fingerprint,
                 protocol=validation_protocol(cfg.validation.z).fingerprint, parameters=parameters,
                 precision=str(trainer.precision))  # fmt: skip
    trainer.fit(module, datamodule=run.data, ckpt_path=checkpoint, weights_only=True)
    if not trainer.is_global_zero:
        return float("nan")
    skipped = int(module.guard.skipped)
    scores = record_outcome(folder, run.data, baselines=cfg.baselines, best=run.best_predictor(folder),
                            z=cfg.validation.z, skipped_steps=skipped)  # fmt: skip
    log_outcome(trainer, list_choices(cfg), scores)
    print_outcome(folder)
    return scores["psnr_best"]


if __name__ == "__main__":
    cli.launch("run", main)
