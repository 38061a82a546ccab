"""Where a run comes from: seed, command, revision, data and versions."""

import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import yaml

from vidpred import __version__
from vidpred.runfolder import RunFolder

_PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "numpy", "einops")


def describe(
    folder: RunFolder, *, config: dict[str, Any], choices: dict[str, Any], data: str, protocol: str, parameters: int,
    precision: str,
) -> None:  # fmt: skip
    """Write ``config.yaml`` and ``run.json`` before training starts; how an earlier start has ended is forgotten.

    Args:
        folder: of the run.
        config: the configuration, resolved, as plain containers.
        choices: what tells this run from others: the groups' choices and what the user has set.
        data: fingerprint of the data.
        protocol: fingerprint of that of its validations.
        parameters: number of weights.
        precision: in which the run computes.
    """
    for outdated in ("failed.json", "summary.json"):
        (folder.path / outdated).unlink(missing_ok=True)
    folder.write("config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    folder.write_json(
        "run.json",
        {
            "seed": config["seed"],
            "choices": choices,
            "command": shlex.join(["python", "-m", "vidpred.run", *sys.argv[1:]]),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "git": _revision(),
            "data": data,
            "protocol": protocol,
            "parameters": parameters,
            "precision": precision,
            "device": _device(),
            "python": platform.python_version(),
            "versions": {"vidpred": __version__} | {name: _version(name) for name in _PACKAGES},
        },
    )


def _revision() -> str | None:
    """The checkout's commit, marked where files differ from it; None outside of a checkout."""
    here = Path(__file__).resolve().parent
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=here, capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _device() -> str:
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    return f"{platform.machine()}, {torch.get_num_threads()} threads"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
