"""From a configuration to objects: the only place that instantiates what YAML files name."""

import inspect
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning import Trainer
from omegaconf import DictConfig, OmegaConf

from vidpred.configuration import compose
from vidpred.data.datamodule import ClipDataModule
from vidpred.data.parallel import count_cores
from vidpred.data.splits import Splitting
from vidpred.networks import Model
from vidpred.networks.checkpoint import load_weights, read_checkpoint
from vidpred.objectives import Controller, KlBalance, Objective
from vidpred.pose.estimator import PoseEstimator
from vidpred.pose.maps import Limbs
from vidpred.predictor import Predictor
from vidpred.preparation.pipeline import Preparation
from vidpred.schedules import Fittable
from vidpred.schedules.kl_anneal import Constant
from vidpred.schedules.teacher_forcing import Schedule
from vidpred.training.guard import StepGuard
from vidpred.training.module import Law, VideoPrediction
from vidpred.types import FrameShape

__all__ = [
    "Run",
    "build",
    "build_data",
    "build_model",
    "build_preparation",
    "build_run",
    "compose",
    "data_of",
    "load_predictor",
]


@dataclass(frozen=True)
class Run:
    """All that a training needs."""

    data: ClipDataModule
    module: VideoPrediction
    trainer: Trainer


def build(cfg: DictConfig, **extra: Any) -> Any:
    """Instantiate what a part of the configuration names.

    Raises:
        ValueError: what the constructor raised, or that it has no such option.
    """
    try:
        return instantiate(cfg, **extra, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, ValueError):
            raise error.__cause__ from None
        raise ValueError(" ".join(str(error).split())) from error


def build_run(cfg: DictConfig) -> Run:
    """Build data, module and trainer; draw or pack the data.

    Raises:
        ValueError: for what the options cannot mean, with the reason.
    """
    check_device(cfg.trainer)
    precision = choose_precision(cfg.trainer)
    torch.manual_seed(cfg.seed)
    kl_anneal: Law = build(cfg.kl_anneal)
    teacher_forcing: Schedule = build(cfg.teacher_forcing)
    objective: Objective = build(cfg.objective)
    _check_objective(objective, kl_anneal, cfg)
    if "root" in list(cfg.data):  # also where it is missing; the checkpoint shall find it from elsewhere too
        cfg.data.root = str(Path(cfg.data.root).expanduser().resolve())
    data = build_data(to_plain(cfg)["data"])
    if not 1 <= cfg.context_frames < data.clip_length:
        raise ValueError(f"context_frames must be at least 1 and below data.clip_length={data.clip_length}, "
                         f"got {cfg.context_frames}")  # fmt: skip
    model = build_model(cfg, data.shape)
    if cfg.init_from is not None:
        assert isinstance(model, torch.nn.Module)
        load_weights(model, read_checkpoint(Path(cfg.init_from)), name=cfg.init_from)
    data.prepare_data()
    batches = len(data.train_sampler(world_size=_processes(cfg.trainer)))
    steps = math.ceil(batches / cfg.trainer.accumulate_grad_batches)
    total = cfg.trainer.max_epochs * (steps if kl_anneal.by == "step" else 1)
    if cfg.fit_schedules:
        kl_anneal = _fit(kl_anneal, cfg.kl_anneal, total)
        teacher_forcing = _fit(teacher_forcing, cfg.teacher_forcing, cfg.trainer.max_epochs)
    kl_anneal(0, total)
    teacher_forcing(0, cfg.trainer.max_epochs)
    module = VideoPrediction(
        model=model,
        objective=objective,
        kl_anneal=kl_anneal,
        teacher_forcing=teacher_forcing,
        optimizer=build(cfg.optimizer, **({"fused": False} if precision == "16-mixed" else {})),
        lr_schedule=build(cfg.lr_schedule),
        context_frames=cfg.context_frames,
        gradient=cfg.gradient,
        chunk=cfg.chunk,
        validation_z=cfg.validation.z,
        guard=StepGuard(**cfg.guard),
        seed=cfg.seed,
        compiled=cfg.trainer.compile,
        config=to_plain(cfg),
    )
    return Run(data, module, _build_trainer(cfg, precision))


def _build_trainer(cfg: DictConfig, precision: str) -> Trainer:
    """Lightning's trainer with callbacks and loggers."""
    callbacks = [build(callback) for callback in cfg.callbacks.values() if callback is not None]
    loggers = [build(logger) for logger in cfg.logger.values() if logger is not None]
    options = {key: value for key, value in cfg.trainer.items() if key != "compile"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*use_distributed_sampler.*")
        trainer: Trainer = build(
            OmegaConf.create(options),
            precision=precision,
            callbacks=callbacks,
            logger=loggers or False,
            default_root_dir=cfg.run_dir,
            use_distributed_sampler=False,
            enable_progress_bar=cfg.callbacks.get("progress") is not None,
        )
    return trainer


def build_data(options: dict[str, Any]) -> ClipDataModule:
    """The data module of plain options: those that it takes itself go to it, the others to the source.

    Raises:
        ValueError: for what the options cannot mean, with the reason.
    """
    own = inspect.signature(ClipDataModule).parameters
    loader = {name: value for name, value in options.items() if name in own}
    source = {name: value for name, value in options.items() if name not in own}
    return ClipDataModule(build(OmegaConf.create(source)), **build(OmegaConf.create(loader)))


def build_preparation(cfg: DictConfig) -> tuple[Preparation, PoseEstimator]:
    """What turns films into data, and what finds people in them.

    Raises:
        ValueError: for an option out of its range.
    """
    preparation = Preparation(
        out=Path(cfg.out).expanduser(),
        height=cfg.height,
        width=cfg.width,
        fps=cfg.fps,
        crop=str(cfg.crop),
        margin=cfg.margin,
        splitting=Splitting(**to_plain(cfg)["split"]),
        min_confidence=cfg.min_confidence,
        max_gap=cfg.max_gap,
        min_stretch=cfg.min_stretch,
        maps=Limbs() if cfg.store_maps else None,
        workers=cfg.workers or count_cores(),
    )
    return preparation, build(cfg.pose_estimator)


def build_model(cfg: DictConfig, shape: FrameShape) -> Model:
    """The networks of a configuration, for frames of a shape."""
    model: Model = build(cfg.model, shape=shape, prior=build(cfg.prior))
    if isinstance(model, torch.nn.Module):
        model.to(memory_format=torch.channels_last)
    return model


def load_predictor(path: str | Path, *, device: str = "auto") -> Predictor:
    """A trained model from a checkpoint, or from the folder of a run (its best checkpoint).

    Raises:
        ValueError: if the file is no checkpoint of ours, its configuration names foreign code, or the device is absent.
    """
    checkpoint = read_checkpoint(Path(path))
    stored = checkpoint["vidpred"]
    cfg = OmegaConf.create(stored["config"])
    _refuse_foreign_code(stored["config"])
    model = build_model(cfg, FrameShape(*stored["shape"]))
    assert isinstance(model, torch.nn.Module)
    load_weights(model, checkpoint, name=str(path))
    model.to(_find_device(device)).eval()
    return Predictor(model, context_frames=cfg.context_frames, config=stored["config"])


def data_of(predictor: Predictor) -> ClipDataModule:
    """The data that a model was trained on, drawn or packed where it is missing."""
    data = build_data(predictor.config["data"])
    data.prepare_data()
    return data


def _refuse_foreign_code(config: Any) -> None:
    """The configuration inside a checkpoint comes from a stranger: what it builds must be ours or torch's."""
    if isinstance(config, dict):
        target = config.get("_target_")
        if isinstance(target, str) and target.split(".")[0] not in ("vidpred", "torch", "lightning", "pathlib"):
            raise ValueError(f"the checkpoint's configuration names {target}, which is not code of vidpred or torch")
        for value in config.values():
            _refuse_foreign_code(value)
    elif isinstance(config, list):
        for value in config:
            _refuse_foreign_code(value)


def _find_device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device={name} is not here: {str(error).splitlines()[0]}") from None


def check_device(trainer: DictConfig) -> None:
    """Refuse a device that is not there.

    Raises:
        ValueError: that says which are.
    """
    present = {"cpu": "any number of processes"}
    if torch.cuda.is_available():
        present["gpu"] = f"{torch.cuda.device_count()}"
    if torch.backends.mps.is_available():
        present["mps"] = "1"
    wanted = {"cuda": "gpu"}.get(trainer.accelerator, trainer.accelerator)
    listed = ", ".join(f"{name} ({count})" for name, count in present.items())
    if wanted != "auto" and wanted not in present:
        raise ValueError(f"trainer.accelerator={trainer.accelerator}: no such device here; there is {listed}")
    devices = trainer.devices
    if isinstance(devices, int) and (devices == 0 or devices < -1):
        raise ValueError(f"trainer.devices must be a positive number, -1 (all) or a list, got {devices}")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus and wanted in ("gpu", "auto") and isinstance(devices, int) and devices > gpus:
        raise ValueError(f"trainer.devices={devices}: there is {listed}")
    if trainer.max_epochs is None or trainer.max_epochs < 1:
        raise ValueError(f"trainer.max_epochs must be >= 1, got {trainer.max_epochs}: schedules need its length")


def choose_precision(trainer: DictConfig) -> str:
    """``trainer.precision``; "auto" is bf16-mixed where the hardware computes it, else 32-true."""
    if trainer.precision != "auto":
        return str(trainer.precision)
    if trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if trainer.accelerator in ("auto", "mps") and torch.backends.mps.is_available():
        return "32-true"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "32-true"


def to_plain(cfg: DictConfig) -> dict[str, Any]:
    """The configuration, resolved, as dicts, lists and scalars alone."""
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _check_objective(objective: Objective, kl_anneal: Law, cfg: DictConfig) -> None:
    """Refuse what would be ignored beside a controller, and a prior that KL balancing has nothing to balance with.

    Raises:
        ValueError: that says what to set.
    """
    name = f"objective={type(objective).__name__}"
    if isinstance(objective, Controller) and kl_anneal not in (Constant(), Constant(by="step")):
        raise ValueError(f"{name} sets beta itself and would ignore kl_anneal={kl_anneal}: set kl_anneal=none, with "
                         f"beta_stop=1, or choose another objective")  # fmt: skip
    if isinstance(objective, KlBalance) and not build(cfg.prior).func.sees_previous:
        raise ValueError(f"{name} balances posterior and learned prior: set prior=learned, or choose another objective")


def _processes(trainer: DictConfig) -> int:
    return trainer.devices * trainer.num_nodes if isinstance(trainer.devices, int) and trainer.devices > 0 else 1


def _fit(law: Any, options: DictConfig, total: int) -> Any:
    """The law, shrunk to a short run where it does not fit; its options, which the run records, follow."""
    if not isinstance(law, Fittable):
        return law
    fitted: Any = law.fit(total)
    for name in options:
        if name != "_target_" and getattr(fitted, str(name)) != getattr(law, str(name)):
            options[name] = getattr(fitted, str(name))
    return fitted
