"""Devices and precision: what is asked for, and what is there."""

import torch
from omegaconf import DictConfig

_FULL = {"16": "16-mixed", "bf16": "bf16-mixed", "32": "32-true", "64": "64-true"}  # Lightning's short names


def check_device(trainer: DictConfig) -> None:
    """Refuse a device that is not there.

    Raises:
        ValueError: that says which are.
    """
    present = {"cpu": "any number of processes"}
    if torch.cuda.is_available():
        present["gpu"] = f"{torch.cuda.device_count()}"
    if torch.backends.mps.is_available():
        present["mps"] = "1"
    wanted = {"cuda": "gpu"}.get(trainer.accelerator, trainer.accelerator)
    listed = ", ".join(f"{name} ({count})" for name, count in present.items())
    if wanted != "auto" and wanted not in present:
        raise ValueError(f"trainer.accelerator={trainer.accelerator}: no such device here; there is {listed}")
    devices = trainer.devices
    if isinstance(devices, int) and (devices == 0 or devices < -1):
        raise ValueError(f"trainer.devices must be a positive number, -1 (all) or a list, got {devices}")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus and wanted in ("gpu", "auto") and isinstance(devices, int) and devices > gpus:
        raise ValueError(f"trainer.devices={devices}: there is {listed}")
    if not isinstance(trainer.max_epochs, int) or trainer.max_epochs < 1:
        raise ValueError(f"trainer.max_epochs must be a whole number >= 1, got {trainer.max_epochs}: schedules need to "
                         f"know the length of the run")  # fmt: skip


def choose_precision(trainer: DictConfig) -> str:
    """``trainer.precision`` by its full name; "auto" is bf16-mixed where the hardware computes it, else 32-true."""
    if trainer.precision != "auto":
        return _FULL.get(str(trainer.precision), str(trainer.precision))
    if trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if trainer.accelerator in ("auto", "mps") and torch.backends.mps.is_available():
        return "32-true"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "32-true"


def find_device(name: str) -> torch.device:
    """The device of a name; "auto" is the GPU where there is one.

    Raises:
        ValueError: if it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device={name} is not here: {str(error).splitlines()[0]}") from None


def count_processes(trainer: DictConfig) -> int:
    """Processes of all nodes: one per device; -1 and "auto" are all GPUs that there are, or one process on the CPU."""
    devices = trainer.devices
    if isinstance(devices, str) and devices.lstrip("-").isdigit():
        devices = int(devices)
    if devices in (-1, "auto"):
        gpus = torch.cuda.device_count() if trainer.accelerator in ("auto", "gpu", "cuda") else 0
        return max(1, gpus) * int(trainer.num_nodes)
    if isinstance(devices, int):
        return devices * int(trainer.num_nodes)
    return len(devices.split(",") if isinstance(devices, str) else devices) * int(trainer.num_nodes)
