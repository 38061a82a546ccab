"""All that a training needs, from its configuration."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning import Trainer
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf

from vidpred.assembly.building import build, to_plain
from vidpred.assembly.devices import check_device, choose_precision
from vidpred.assembly.parts import build_data, build_model
from vidpred.assembly.plan import Plan, build_plan
from vidpred.assembly.trained import open_checkpoint
from vidpred.data.datamodule import ClipDataModule
from vidpred.networks.checkpoint import CheckpointError, check_resumable, load_weights, read_checkpoint
from vidpred.predictor import Predictor
from vidpred.runfolder import RunFolder
from vidpred.training.durable import DurableCheckpointIO
from vidpred.training.guard import StepGuard
from vidpred.training.interruption import Interruption
from vidpred.training.module import VideoPrediction


@dataclass(frozen=True)
class Run:
    """All that a training needs."""

    plan: Plan
    data: ClipDataModule
    module: VideoPrediction
    trainer: Trainer

    def best_predictor(self, folder: RunFolder) -> Predictor | None:
        """The trained model with the weights of the best validation; None where no callback kept them."""
        model = self.module.model
        if not folder.best.is_file() or not isinstance(model, torch.nn.Module):
            return None
        load_weights(model, read_checkpoint(folder.best), name=str(folder.best))
        model.to(self.trainer.strategy.root_device).eval()
        return Predictor(self.module.model, self.module.context_frames, self.module.config)


def build_run(cfg: DictConfig) -> Run:
    """Build data, module and trainer; draw or pack the data.

    Raises:
        ValueError: for what the options cannot mean, with the reason.
    """
    check_device(cfg.trainer)
    loggers = _build_loggers(cfg)
    precision = choose_precision(cfg.trainer)
    torch.manual_seed(cfg.seed)
    data, plan = prepare_plan(cfg)
    model = build_model(cfg, data.shape)
    if cfg.init_from is not None:
        assert isinstance(model, torch.nn.Module)
        load_weights(model, open_checkpoint(Path(cfg.init_from).expanduser()), name=cfg.init_from)
    data.prepare_data()
    module = VideoPrediction(
        model=model,
        objective=plan.objective,
        kl_anneal=plan.kl_anneal,
        teacher_forcing=plan.teacher_forcing,
        optimizer=build(cfg.optimizer, **({"fused": False} if precision == "16-mixed" else {})),
        lr_schedule=plan.lr_schedule,
        context_frames=cfg.context_frames,
        gradient=cfg.gradient,
        prior_share=cfg.prior_share,
        chunk=cfg.chunk,
        recompute=cfg.recompute,
        validation_z=cfg.validation.z,
        guard=StepGuard(**cfg.guard),
        seed=cfg.seed,
        compiled=cfg.trainer.compile,
        config=to_plain(cfg),
    )
    return Run(plan, data, module, _build_trainer(cfg, precision, loggers))


def prepare_plan(cfg: DictConfig) -> tuple[ClipDataModule, Plan]:
    """The data, not drawn yet, and the schedules: what can be known of a run before anything is paid for.

    Raises:
        ValueError: for what the options cannot mean, with the reason.
    """
    if "root" in list(cfg.data):  # also where it is missing; the checkpoint shall find it from elsewhere too
        cfg.data.root = str(Path(cfg.data.root).expanduser().resolve())
    if cfg.length_schedule.get("length_start", 0) is None:
        cfg.length_schedule.length_start = min(cfg.context_frames + 2, cfg.data.clip_length)
    data = build_data(to_plain(cfg)["data"])
    plan = build_plan(cfg, data)
    data.length_schedule = plan.length_schedule
    return data, plan


def find_resume_point(folder: RunFolder, resume: str | None) -> Path | None:
    """The newest checkpoint that a run can continue from; None to start anew.

    One that cannot be read, as a full disk or a lost machine leaves it, is passed over with a warning.

    Raises:
        ValueError: if there are checkpoints, and none can be read.
    """
    reasons = []
    for place in folder.resume_points(resume):
        try:
            check_resumable(read_checkpoint(place), place)
        except CheckpointError as error:
            reasons.append(str(error))
            continue
        for reason in reasons:
            warnings.warn(f"{reason}; going on from {place.name}", stacklevel=2)
        return place
    if reasons:
        raise ValueError(f"resume={resume}: no checkpoint can be read: {'; '.join(reasons)}")
    return None


def _build_loggers(cfg: DictConfig) -> list[Logger]:
    """All that are chosen.

    Raises:
        ValueError: if the package of one is not installed.
    """
    loggers: list[Logger] = []
    for name, options in cfg.logger.items():
        try:
            loggers += [build(options)] if options is not None else []
        except ValueError as error:
            if isinstance(getattr(error.__cause__, "__cause__", None), ModuleNotFoundError):
                raise ValueError(f"logger={name} needs a package that is not installed: pip install {name}") from None
            raise
    return loggers


def _build_trainer(cfg: DictConfig, precision: str, loggers: list[Logger]) -> Trainer:
    """Lightning's trainer with callbacks and loggers."""
    callbacks = [build(callback) for callback in cfg.callbacks.values() if callback is not None]
    options = {key: value for key, value in cfg.trainer.items() if key != "compile"}
    every = cfg.trainer.check_val_every_n_epoch
    if every is not None:  # a run that is shorter is validated at its end
        options["check_val_every_n_epoch"] = min(every, cfg.trainer.max_epochs)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*use_distributed_sampler.*")
        trainer: Trainer = build(
            OmegaConf.create(options),
            precision=precision,
            callbacks=[*callbacks, Interruption(RunFolder(Path(cfg.run_dir)))],
            plugins=[DurableCheckpointIO()],
            logger=loggers or False,
            default_root_dir=cfg.run_dir,
            use_distributed_sampler=False,
            enable_progress_bar=cfg.callbacks.get("progress") is not None,
        )
    return trainer
