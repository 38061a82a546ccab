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
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from vidpred.interop.card import write_card
from vidpred.limits import read_json
from vidpred.networks.checkpoint import CheckpointError, check_own

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
_KEYS = frozenset({"format", "version", "shape", "config"})  # that make a config.json ours
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
        ValueError: if something else is there, also beside an older one.
    """
    weights = {key.removeprefix(_PREFIX): value.contiguous() for key, value in checkpoint["state_dict"].items()
               if key.startswith(_PREFIX)}  # fmt: skip
    parameters = sum(value.numel() for value in weights.values())
    about, name = checkpoint["vidpred"], folder.absolute().name
    with whole_folder(folder, files=(WEIGHTS, CONFIG, CARD), marker=CONFIG, keys=_KEYS) as place:
        (place / WEIGHTS).write_bytes(save(weights, metadata={"format": "pt"}))
        (place / CONFIG).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        card = write_card(about, parameters=parameters, facts=facts, metrics=metrics, name=name)
        (place / CARD).write_text(card, encoding="utf-8")


def read_bundle(folder: Path) -> dict[str, Any]:
    """A checkpoint of ours, from such a folder; nothing in it is executed.

    Raises:
        CheckpointError: if it cannot be read, or a newer version wrote it.
    """
    try:
        about = read_json(folder / CONFIG)
        weights = load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{folder} cannot be read as a model: {' '.join(str(error).split())}") from None
    if not isinstance(about, dict) or not about.keys() >= _KEYS or not isinstance(about["format"], int):
        raise CheckpointError(f"{folder / CONFIG} does not say what the model is")
    state = {f"{_PREFIX}{key}": value for key, value in weights.items()}
    return check_own({"state_dict": state, "vidpred": about}, folder)


@contextmanager
def whole_folder(folder: Path, *, files: Collection[str], marker: str, keys: Collection[str]) -> Iterator[Path]:
    """A temporary folder beside the target, which takes its name when all is in it.

    Args:
        folder: the target: absent, empty, or an older one of its kind, which is replaced.
        files: what one of its kind may hold; whatever else is found is somebody's work.
        marker: the JSON file that tells its kind,
        keys: by what it has. The names of files alone do not tell: other programs use them too.

    Yields:
        The temporary folder.

    Raises:
        ValueError: if something else is at the target.
    """
    target = folder.resolve()
    if target.exists():
        _refuse_others(target, folder, files, _has_keys(target / marker, keys))
    temporary, old = (target.with_name(f".{target.name}-{os.getpid()}{end}") for end in ("", "-old"))
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
    temporary.mkdir(parents=True)
    try:
        yield temporary
        _swap(temporary, target, old)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _refuse_others(target: Path, named: Path, files: Collection[str], own: bool) -> None:
    if target.is_file():
        raise ValueError(f"out={named} is a file, a folder is to be written: choose another name")
    others = sorted({file.name for file in target.iterdir()} - set(files if own else ()))
    if others:
        raise ValueError(f"out={named} holds something else ({', '.join(others[:3])}): move it, or choose another name")


def _swap(new: Path, target: Path, old: Path) -> None:
    """Give a folder its final name; what had it before is gone only when that has worked."""
    if target.exists():
        os.replace(target, old)
    try:
        os.replace(new, target)
    except OSError:
        if old.exists():
            os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _has_keys(file: Path, keys: Collection[str]) -> bool:
    try:
        values = read_json(file)
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and values.keys() >= set(keys)
