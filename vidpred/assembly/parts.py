"""Data, networks and preparations of a configuration."""

import inspect
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from vidpred.assembly.building import build, to_plain
from vidpred.data.datamodule import ClipDataModule
from vidpred.data.parallel import count_cores
from vidpred.data.splits import Splitting
from vidpred.networks import Model
from vidpred.pose.estimator import PoseEstimator
from vidpred.pose.fitted import FittedEstimator
from vidpred.pose.maps import Limbs
from vidpred.preparation.pipeline import Preparation
from vidpred.types import FrameShape


def build_data(options: dict[str, Any]) -> ClipDataModule:
    """The data module of plain options: those that it takes itself go to it, the others to the source.

    Raises:
        ValueError: for what the options cannot mean, with the reason.
    """
    own = inspect.signature(ClipDataModule).parameters
    loader = {name: value for name, value in options.items() if name in own}
    source = {name: value for name, value in options.items() if name not in own}
    return ClipDataModule(build(OmegaConf.create(source)), **build(OmegaConf.create(loader)))


def build_model(cfg: DictConfig, shape: FrameShape) -> Model:
    """The networks of a configuration, for frames of a shape."""
    model: Model = build(cfg.model, shape=shape, prior=build(cfg.prior))
    if isinstance(model, torch.nn.Module):
        model.to(memory_format=torch.channels_last)
    return model


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
    estimator = build(cfg.pose_estimator)
    if isinstance(estimator, FittedEstimator):
        raise ValueError("pose_estimator=fitted learns from keypoints that are known already, it cannot find the "
                         "first: use pose_estimator=blazepose or keypoint_rcnn")  # fmt: skip
    return preparation, estimator
