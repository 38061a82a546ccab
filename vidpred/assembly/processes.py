"""Several processes that share one evaluation, as torchrun starts them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import torch
from torch import distributed

T = TypeVar("T")


class Processes(NamedTuple):
    """This process among those that share the work."""

    rank: int
    size: int

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes and prints."""
        return self.rank == 0

    def gather(self, found: T) -> list[T]:
        """What every process has found, in the order of ranks, in every process."""
        if self.size == 1:
            return [found]
        everyone: list[T | None] = [None] * self.size
        distributed.all_gather_object(everyone, found)
        return [one for one in everyone if one is not None]


@contextmanager
def join_processes() -> Iterator[Processes]:
    """The processes that torchrun has started with this one; one alone where there is no torchrun.

    They exchange results through gloo, which needs no GPU; where there are GPUs, each takes its own.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes(0, 1)
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    distributed.init_process_group("gloo")
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
