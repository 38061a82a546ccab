"""Checkpoints: read without executing code, loaded into a model that must fit."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from vidpred.limits import check_archive

FORMAT = 5
REPLACED = "vidpred.networks.CVAE"  # whose layers were others in every earlier format


class CheckpointError(ValueError):
    """A file is not a checkpoint that this version can use."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of ours; nothing in the file is executed.

    Args:
        path: of the checkpoint, or the folder of a run, whose best checkpoint is taken.

    Raises:
        CheckpointError: if the file is missing, unreadable, not of vidpred or of a newer format.
    """
    return check_own(read_file(path), path)


def read_file(path: Path) -> Any:
    """What is in a checkpoint, whoever wrote it; nothing in the file is executed.

    Raises:
        CheckpointError: if the file is missing or unreadable.
    """
    file = path / "checkpoints" / "best.ckpt" if path.is_dir() else path
    if not file.is_file():
        raise CheckpointError(f"there is no checkpoint {file}")
    try:
        check_archive(file, most=file.stat().st_size)  # torch does not compress
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{file} cannot be read as a checkpoint: {reason}") from None


def check_own(checkpoint: Any, path: Path) -> dict[str, Any]:
    """A checkpoint that is ours.

    Raises:
        CheckpointError: if it is not, is of a newer format, or its networks are no longer here.
    """
    if not isinstance(checkpoint, dict) or "vidpred" not in checkpoint:
        raise CheckpointError(f"{path} is not a checkpoint of vidpred")
    if checkpoint["vidpred"]["format"] > FORMAT:
        raise CheckpointError(f"{path} was written by vidpred {checkpoint['vidpred']['version']}; this one is older")
    model = checkpoint["vidpred"].get("config", {}).get("model", {}).get("_target_")
    if model == REPLACED and checkpoint["vidpred"]["format"] < FORMAT:
        raise CheckpointError(
            f"{path} was written by vidpred {checkpoint['vidpred']['version']}, whose networks this one has replaced: "
            f"train again, or use that version"
        )
    return checkpoint


def load_weights(model: nn.Module, checkpoint: dict[str, Any], *, name: str) -> None:
    """Load a checkpoint's weights into a model.

    Raises:
        CheckpointError: if weights are missing, left over or of another shape, each by its name.
    """
    state = checkpoint["state_dict"]
    weights = {key.removeprefix("model."): value for key, value in state.items() if key.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"{name} does not fit this model: {' '.join(str(error).split())}") from None
