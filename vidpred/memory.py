"""Memory that a process has freed: kept for what comes next."""

import ctypes
import os
import sys

_PARAMETERS = {"M_TRIM_THRESHOLD": -1, "M_MMAP_THRESHOLD": -3}  # of glibc's malloc.h
_KEPT = 2**30  # bytes: smaller blocks come from the heap, at whose end as much may lie idle


def keep_memory() -> bool:
    """Let this process keep the memory that it frees; False where it cannot, or where the user has set malloc up.

    glibc gives large blocks back to the system at once, and gets the next ones with every page to be cleared anew. On
    the CPU that took a third of a training step, and made steps that are computed together slower than one by one.
    See ``mallopt(3)`` of Linux; other systems have other allocators.
    """
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    return all(mallopt(parameter, _KEPT) == 1 for parameter in _PARAMETERS.values())
