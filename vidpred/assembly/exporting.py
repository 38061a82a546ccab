"""Models handed on, from their configuration."""

from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from vidpred.assembly.trained import LabOptions, load_predictor, open_checkpoint
from vidpred.interop.bundle import write_bundle
from vidpred.interop.deployment import export_onnx, export_torch
from vidpred.interop.lab import export_checkpoint
from vidpred.networks import LabCVAE
from vidpred.predictor import Predictor
from vidpred.runfolder import RunFolder, home_of

_GRAPHS = {"torch_export": export_torch, "onnx": export_onnx}
FORMATS = ("safetensors", "lab", *_GRAPHS)


def export(cfg: DictConfig) -> Path:
    """Write the model in the format that is asked for; where it is.

    Raises:
        ValueError: for another format, or a model that it cannot hold.
    """
    if cfg.format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {cfg.format!r}")
    path, lab = Path(cfg.ckpt).expanduser(), LabOptions(**cfg.lab)
    name = "export/lab.ckpt" if cfg.format == "lab" else f"export/{cfg.format}"
    out = Path(cfg.out).expanduser() if cfg.out is not None else home_of(path) / name
    if cfg.format == "safetensors":
        home = RunFolder(home_of(path))
        write_bundle(out, open_checkpoint(path, lab=lab), facts=_known(home, "run.json") or {},
                     metrics=_known(home, "evaluation/metrics.json"))  # fmt: skip
        return out
    predictor = load_predictor(path, device="cpu", lab=lab)
    if cfg.format == "lab":
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = out.with_name(f".{out.name}.part")
        torch.save(_as_labs(predictor, cfg.ckpt), temporary)
        temporary.replace(out)
    else:
        assert isinstance(predictor.model, torch.nn.Module)
        predictor.model.to(memory_format=torch.contiguous_format)
        _GRAPHS[cfg.format](predictor.model, out, context_frames=predictor.context_frames)
    return out


def _as_labs(predictor: Predictor, name: str) -> dict[str, Any]:
    if not isinstance(predictor.model, LabCVAE):
        raise ValueError(f"format=lab holds the lab's networks alone (model=lab), {name} has "
                         f"{type(predictor.model).__name__}")  # fmt: skip
    config = predictor.config
    return export_checkpoint(predictor.model, lr=float(config["optimizer"]["lr"]), forcing_prob=0.0,
                             epoch=int(config["trainer"]["max_epochs"]) - 1)  # fmt: skip


def _known(home: RunFolder, name: str) -> dict[str, Any] | None:
    return home.read_json(name) if (home.path / name).is_file() else None
