"""Work spread over processes, behind a progress bar where there is a terminal."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
_FEW = 8  # jobs that are done before further processes have started


def map_processes(
    function: Callable[[Job], Result], jobs: Sequence[Job], *, title: str, workers: int, chunk: int = 4
) -> Iterator[Result]:
    """Results in the order of the jobs.

    Args:
        function: of a module, so that another process finds it; what it raises is raised here.
        jobs: its arguments.
        title: of the progress bar.
        workers: processes; a few jobs are done in this one.
        chunk: jobs that a process takes at once.
    """
    if len(jobs) < _FEW * chunk / 4 or workers == 1:
        yield from _shown(map(function, jobs), title, total=len(jobs))
        return
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(workers, mp_context=context) as pool:
        try:
            yield from _shown(pool.map(function, jobs, chunksize=chunk), title, total=len(jobs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _shown(results: Iterator[Result], title: str, *, total: int) -> Iterator[Result]:
    """The results behind a bar; where there is no terminal, behind a line."""
    if sys.stdout.isatty():
        from rich.progress import track

        return iter(track(results, description=title, total=total, transient=total < _FEW))
    if total >= _FEW:
        print(f"{title} …", flush=True)
    return results


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that start here compute on one thread: there is one process per core already."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
