"""What ends a run from outside, in words that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vidpred.runfolder import RunFolder

_LOST = ("onnection reset by peer", "onnection closed by peer", "Broken pipe")  # as gloo and NCCL have it
_SHORT = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory")


class LostProcessError(RuntimeError):
    """Another process of the run died, and this one cannot go on without it."""


class MemoryShortError(RuntimeError):
    """A step needs more memory than there is."""


class DiskError(OSError):
    """The disk is full, or refuses a file of the run for another reason."""


@contextmanager
def told_in_words(folder: RunFolder) -> Iterator[None]:
    """Say in one line what torch says in many.

    Args:
        folder: of the run.

    Raises:
        LostProcessError: where the exchange with another process broke off.
        MemoryShortError: where device or machine have no memory left.
        DiskError: where a file cannot be written that others write, as loggers do.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # told in words already
            raise
        raise DiskError(
            f"a file of the run in {folder.path} cannot be written ({error}); the last checkpoint is kept. Make room, "
            f"then go on with resume='{folder.path}'"
        ) from error
    except RuntimeError as error:
        reason = str(error)
        if any(sign in reason for sign in _LOST):
            raise LostProcessError(
                f"another process of this run has ended, see its own messages; go on from the last checkpoint with "
                f"resume='{folder.path}'"
            ) from error
        if isinstance(error, torch.OutOfMemoryError) or any(sign in reason for sign in _SHORT):
            raise MemoryShortError(
                f"there is not enough memory for a step ({reason.splitlines()[0]}); the last checkpoint is kept. Lower "
                f"data.batch_size (trainer.accumulate_grad_batches makes up for it), data.clip_length or chunk, or set "
                f"recompute=true"
            ) from error
        raise
