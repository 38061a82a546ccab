"""What a figure is of: the machine, the versions, the day, the seed."""

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

import torch

import vidpred

_PROCESSOR = Path("/proc/cpuinfo")
_BFLOAT16 = ("amx_bf16", "avx512_bf16")  # what decides how fast a default step is on a CPU, the fastest first


def about(seed: int = 0) -> dict[str, str | int]:
    """All that a table should say of where it is from."""
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {"date": f"{datetime.now(UTC):%Y-%m-%d}", "processor": find_processor(), **gpu,
            "cores": os.cpu_count() or 1, "threads": torch.get_num_threads(), "torch": torch.__version__,
            "vidpred": vidpred.__version__, "seed": seed}  # fmt: skip


def heading(seed: int = 0) -> str:
    """The same in a line."""
    bare = ("date", "processor", "gpu")
    return ", ".join(str(value) if name in bare else f"{name} {value}" for name, value in about(seed).items())


def find_processor() -> str:
    """Its name, and how it multiplies in bfloat16 (Linux); elsewhere what Python knows."""
    told = _PROCESSOR.read_text() if _PROCESSOR.is_file() else ""
    name = re.search(r"^model name\s*:\s*(.*)$", told, re.MULTILINE)
    flag = next((flag for flag in _BFLOAT16 if re.search(rf"\b{flag}\b", told)), None)
    return (name[1] if name else platform.processor() or platform.machine()) + (f" ({flag})" if flag else "")
