"""Checkpoints: read without executing code, loaded into a model that must fit."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidpred.limits import check_archive

FORMAT = 9
KEPT = 5  # the oldest format whose networks are here
OURS = "vidpred.networks.CVAE"  # whose layers change with formats: those before KEPT had others
RENAMED = 9  # the format from which on layers have other names
MOVED = {
    "namer": "anchor.namer",
    "keyer": "anchor.keyer",
    "sharpness": "anchor.sharpness",
    "scene_net": "anchor.frame_net",
    "hider": "anchor.scene.hider",
    "place_fills": "anchor.scene.place_fills",
    "refine_scene": "anchor.scene.refine",
    "scene_head": "anchor.scene.head",
    "place_looks": "anchor.place_looks",
    "shade_net": "anchor.shade.conv",
    "hint_net": "anchor.hint_net",
    "hint_first": "anchor.hint_first",
    "hint_again": "anchor.hint_again",
    "hint_block": "anchor.hint_block",
    "hint_names": "anchor.hint_names",
}
ADDED = {"gap_": 6, "anchor.shade": 8, "anchor.hint_": 8}  # what begins layers, and the first format that has them
UNHEARD = ("anchor.hint_net", "anchor.hint_block.first")  # of those, what need not be 0 to do nothing: nobody listens
FILLED = 7  # the format from which on there is one more fill, the first
WIDENED = {  # by it; with these values it does nothing
    "anchor.scene.place_fills.weight": 0.0,
    "anchor.scene.head.weight": 0.0,
    "anchor.scene.head.bias": -1e4,
}


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
    if _is_ours(checkpoint) and checkpoint["vidpred"]["format"] < KEPT:
        raise CheckpointError(
            f"{path} was written by vidpred {checkpoint['vidpred']['version']}, whose networks this one has replaced: "
            f"train again, or use that version"
        )
    return checkpoint


def check_resumable(checkpoint: dict[str, Any], path: Path) -> None:
    """Refuse to go on with a training that an earlier version began: its optimizer knows other weights.

    Raises:
        CheckpointError: if an earlier format was written.
    """
    if checkpoint["vidpred"]["format"] < FORMAT:
        raise CheckpointError(
            f"{path} was written by vidpred {checkpoint['vidpred']['version']}, whose training this version cannot "
            f"continue: go on with that one, or start a new training from its weights with init_from=…"
        )


def load_weights(model: nn.Module, checkpoint: dict[str, Any], *, name: str) -> None:
    """Load a checkpoint's weights into a model; layers, and a fill, that an earlier format did not have do nothing.

    Raises:
        CheckpointError: if weights are missing, left over or of another shape, each by its name.
    """
    state = checkpoint["state_dict"]
    weights = {key.removeprefix("model."): value for key, value in state.items() if key.startswith("model.")}
    try:
        if _is_ours(checkpoint):
            weights = _bring_up(weights, model.state_dict(), checkpoint["vidpred"]["format"])
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"{name} does not fit this model: {' '.join(str(error).split())}") from None


def _is_ours(checkpoint: dict[str, Any]) -> bool:
    """Whether a checkpoint is of the networks whose layers have changed."""
    target = checkpoint["vidpred"].get("config", {}).get("model", {}).get("_target_")
    return bool(target == OURS)


def _bring_up(weights: dict[str, Tensor], wanted: dict[str, Tensor], written: int) -> dict[str, Tensor]:
    """Weights of a format for the layers of today, which do what they did."""
    if written < RENAMED:
        weights = {_present_name(key): value for key, value in weights.items()}
    later = tuple(start for start, since in ADDED.items() if written < since)
    added = {key: value for key, value in wanted.items() if key.startswith(later)}
    silent = {key: torch.zeros_like(value) for key, value in added.items() if not key.startswith(UNHEARD)}
    weights = added | silent | weights
    for key, value in WIDENED.items() if written < FILLED else ():
        if key in weights and key in wanted:
            fewer = [max(0, new - old) for new, old in zip(wanted[key].shape, weights[key].shape, strict=False)]
            before = [size for number in reversed(fewer) for size in (number, 0)]
            weights[key] = functional.pad(weights[key], before, value=value)
    return weights


def _present_name(key: str) -> str:
    """The name that a weight has today."""
    layer, dot, rest = key.partition(".")
    return MOVED.get(layer, layer) + dot + rest
