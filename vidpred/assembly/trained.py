"""Trained models, from checkpoints and run folders."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import OmegaConf

from vidpred import __version__
from vidpred.assembly.building import build, refuse_foreign_code, to_plain
from vidpred.assembly.devices import find_device
from vidpred.assembly.parts import build_data, build_model
from vidpred.configuration import compose
from vidpred.data.datamodule import ClipDataModule
from vidpred.interop.bundle import is_bundle, read_bundle
from vidpred.interop.lab import import_weights, is_lab_checkpoint
from vidpred.networks.checkpoint import FORMAT, check_own, load_weights, read_file
from vidpred.pose.maps import PoseMap
from vidpred.pose.skeletons import Skeleton, skeleton_from_dict
from vidpred.predictor import Predictor
from vidpred.types import FrameShape


class PoseLook(NamedTuple):
    """How the pose maps of a model are drawn from keypoints."""

    skeleton: Skeleton
    draw: PoseMap


@dataclass(frozen=True, kw_only=True)
class LabOptions:
    """What public checkpoints of the lab do not tell.

    Args:
        activation: of the output: "none", "sigmoid" or "clamp".
        bn_mode: "batch", as most of them were tested, or "running"; see ``LabCVAE``.
        height: of frames.
        width: of frames.
        root: folder of the lab's data; None where nothing is read from it.
    """

    activation: str = "none"
    bn_mode: str = "batch"
    height: int = 32
    width: int = 64
    root: str | None = None


def load_predictor(path: str | Path, *, device: str = "auto", lab: LabOptions | None = None) -> Predictor:
    """A trained model from a checkpoint, the folder of a run (its best checkpoint), or an exported folder.

    Args:
        path: of one of these, or of a public checkpoint of the lab.
        device: to compute on.
        lab: what such a checkpoint does not tell.

    Raises:
        ValueError: if the file is no checkpoint, its configuration names foreign code, or the device is absent.
    """
    checkpoint = open_checkpoint(Path(path), lab=lab)
    stored = checkpoint["vidpred"]
    for part in ("model", "prior", "data"):  # what is ever built of it
        refuse_foreign_code(stored["config"][part], name=f"{path}: {part}")
    cfg = OmegaConf.create(stored["config"])
    model = build_model(cfg, FrameShape(*stored["shape"]))
    assert isinstance(model, torch.nn.Module)
    load_weights(model, checkpoint, name=str(path))
    model.to(find_device(device)).eval()
    skeleton = None if stored.get("skeleton") is None else skeleton_from_dict(stored["skeleton"])
    return Predictor(model, context_frames=cfg.context_frames, config=stored["config"], skeleton=skeleton)


def open_checkpoint(path: Path, *, lab: LabOptions | None = None) -> dict[str, Any]:
    """Whatever holds a model, as a checkpoint of ours; nothing in it is executed.

    Args:
        path: a checkpoint of ours or the lab's, the folder of a run, or an exported folder.
        lab: what a checkpoint of the lab does not tell.

    Raises:
        CheckpointError: if it is none of these, or its weights do not fit.
    """
    if is_bundle(path):
        return read_bundle(path)
    found = read_file(path)
    return _as_ours(found, lab or LabOptions()) if is_lab_checkpoint(found) else check_own(found, path)


def _as_ours(checkpoint: dict[str, Any], lab: LabOptions) -> dict[str, Any]:
    """A public checkpoint with the configuration that trains such networks."""
    widths, weights = import_weights(checkpoint)
    names = ("frame_width", "pose_width", "z_channels", "fused_width")
    cfg = compose(
        "experiment=lab", "data=folder", f"data.height={lab.height}", f"data.width={lab.width}",
        f"model.activation={lab.activation}", f"model.bn_mode={lab.bn_mode}",
        *(f"model.{name}={getattr(widths, name)}" for name in names), "run_dir=unused",
    )  # fmt: skip
    cfg.data.root = None if lab.root is None else str(Path(lab.root).expanduser().resolve())
    shape = [widths.channels, widths.pose_channels, lab.height, lab.width]
    about = {"format": FORMAT, "version": __version__, "shape": shape, "config": to_plain(cfg), "skeleton": None}
    return {"state_dict": {f"model.{key}": value for key, value in weights.items()}, "vidpred": about}


def data_of(predictor: Predictor) -> ClipDataModule:
    """The data that a model was trained on, drawn or packed where it is missing.

    Raises:
        ValueError: if nobody knows where it is.
    """
    options = predictor.config["data"]
    if "root" in options and options["root"] is None:
        raise ValueError("a public checkpoint does not know its data: lab.root=… is the folder of the lab's data")
    data = build_data(options)
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
