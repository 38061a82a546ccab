"""A model as a folder that describes itself: weights in safetensors, its configuration as JSON, and a model card.

======================  ====================================================================================
file                    what
======================  ====================================================================================
``model.safetensors``   the weights
``config.json``         ``format``, ``version``, ``shape`` (C, P, H, W), ``skeleton`` and the whole ``config``
``README.md``           what the model is, what it was trained on, and what it scores under which protocol
======================  ====================================================================================
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from vidpred.interop.card import write_card
from vidpred.networks.checkpoint import CheckpointError, check_own

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
_PREFIX = "model."  # of weights in a checkpoint


def is_bundle(path: Path) -> bool:
    """Whether a path is such a folder."""
    return (path / WEIGHTS).is_file() and (path / CONFIG).is_file()


def write_bundle(
    folder: Path, checkpoint: Mapping[str, Any], *, facts: Mapping[str, Any], metrics: Mapping[str, Any] | None
) -> None:
    """Write the folder, whole or not at all.

    Args:
        folder: where; an older one of this kind is replaced.
        checkpoint: of ours.
        facts: ``run.json`` of the run; empty where nobody knows.
        metrics: ``metrics.json`` of an evaluation; None without one.

    Raises:
        CheckpointError: if something else is there.
    """
    if folder.exists() and not is_bundle(folder) and (folder.is_file() or any(folder.iterdir())):
        raise CheckpointError(f"out={folder} holds something else: choose another name")
    weights = {key.removeprefix(_PREFIX): value.contiguous() for key, value in checkpoint["state_dict"].items()
               if key.startswith(_PREFIX)}  # fmt: skip
    parameters = sum(value.numel() for value in weights.values())
    temporary = folder.with_name(f".{folder.name}-{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        (temporary / WEIGHTS).write_bytes(save(weights, metadata={"format": "pt"}))
        (temporary / CONFIG).write_text(json.dumps(checkpoint["vidpred"], indent=2) + "\n", encoding="utf-8")
        card = write_card(checkpoint["vidpred"], parameters=parameters, facts=facts, metrics=metrics, name=folder.name)
        (temporary / CARD).write_text(card, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_bundle(folder: Path) -> dict[str, Any]:
    """A checkpoint of ours, from such a folder; nothing in it is executed.

    Raises:
        CheckpointError: if it cannot be read, or a newer version wrote it.
    """
    try:
        about = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{folder} cannot be read as a model: {' '.join(str(error).split())}") from None
    if not isinstance(about, dict) or not {"format", "version", "shape", "config"} <= about.keys():
        raise CheckpointError(f"{folder / CONFIG} does not say what the model is")
    state = {f"{_PREFIX}{key}": value for key, value in weights.items()}
    return check_own({"state_dict": state, "vidpred": about}, folder)
