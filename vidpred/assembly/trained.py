"""Trained models, from checkpoints and run folders."""

from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from vidpred.assembly.devices import find_device
from vidpred.assembly.parts import build_data, build_model
from vidpred.data.datamodule import ClipDataModule
from vidpred.networks.checkpoint import load_weights, read_checkpoint
from vidpred.predictor import Predictor
from vidpred.types import FrameShape


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
