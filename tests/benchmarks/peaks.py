"""The peak of memory inside a block."""

import resource
from types import TracebackType
from typing import Self

import torch


class Peak:
    """Memory that a block takes above what there was before it, in MiB; on the CPU the peak is the process's."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.mebibytes = device, 0.0

    def _now(self) -> float:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def __enter__(self) -> Self:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        self._before = self._now()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.mebibytes = self._now() - self._before
