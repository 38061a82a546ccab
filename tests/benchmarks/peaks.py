"""The peak of memory inside a block."""

import resource
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

_STATUS = Path("/proc/self/status")


class Peak:
    """Memory that a block takes above what there was before it, in MiB; on the CPU the peak is the process's."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.mebibytes = device, 0.0

    def _now(self) -> float:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        if _STATUS.is_file():  # of this program alone: getrusage counts what started it, too
            return int(_STATUS.read_text().partition("VmHWM:")[2].split()[0]) / 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def __enter__(self) -> Self:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        elif _STATUS.is_file():
            _STATUS.with_name("clear_refs").write_text("5")  # begins a new peak (Linux)
        self._before = self._now()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.mebibytes = self._now() - self._before
