"""Trained models, from checkpoints and run folders."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import OmegaConf

from vidpred.assembly.building import build
from vidpred.assembly.devices import find_device
from vidpred.assembly.parts import build_data, build_model
from vidpred.data.datamodule import ClipDataModule
from vidpred.networks.checkpoint import load_weights, read_checkpoint
from vidpred.pose.maps import PoseMap
from vidpred.pose.skeletons import Skeleton, skeleton_from_dict
from vidpred.predictor import Predictor
from vidpred.types import FrameShape


class PoseLook(NamedTuple):
    """How the pose maps of a model are drawn from keypoints."""

    skeleton: Skeleton
    draw: PoseMap


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
    model.to(find_device(device)).eval()
    skeleton = None if stored.get("skeleton") is None else skeleton_from_dict(stored["skeleton"])
    return Predictor(model, context_frames=cfg.context_frames, config=stored["config"], skeleton=skeleton)


def data_of(predictor: Predictor) -> ClipDataModule:
    """The data that a model was trained on, drawn or packed where it is missing."""
    data = build_data(predictor.config["data"])
    data.prepare_data()
    return data


def pose_look_of(predictor: Predictor) -> PoseLook:
    """How a model's pose maps are drawn: as its training data's were.

    Raises:
        ValueError: if it was trained on pose images without keypoints.
    """
    draw = build(OmegaConf.create(predictor.config["data"]["poses"])).draw
    skeleton = predictor.skeleton or build_data(predictor.config["data"]).source.content.skeleton
    if skeleton is None or draw is None:
        raise ValueError("this model knows pose images alone, which nobody can draw from keypoints: give "
                         "poses=FOLDER of such images")  # fmt: skip
    if draw.channels(skeleton) != predictor.model.shape.pose_channels:
        raise ValueError(f"this model takes pose maps of {predictor.model.shape.pose_channels} channels, which "
                         f"{type(draw).__name__} does not draw: give poses=FOLDER of pose images")  # fmt: skip
    return PoseLook(skeleton, draw)


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
