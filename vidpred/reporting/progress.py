"""Progress of what takes a while: a bar in a terminal, one line elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def count_frames(total: int, *, shown: bool = True, note: str = "") -> Iterator[Callable[[int], None]]:
    """Count predicted frames, and show how many there are a second.

    Args:
        total: how many there will be.
        shown: whether this process shows it.
        note: said first where there is no terminal.

    Yields:
        What is to be told of every few frames.
    """
    terminal = sys.stderr.isatty()
    if shown and note and not terminal:
        print(note, file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    started, done = time.perf_counter(), 0
    with Progress(*columns, transient=True, disable=not (shown and terminal)) as progress:
        task = progress.add_task("predicted frames", total=total)

        def advance(frames: int) -> None:
            nonlocal done
            done += frames
            speed = done / max(1e-9, time.perf_counter() - started)
            progress.update(task, advance=frames, description=f"predicted frames, {speed:.0f} a second")

        yield advance
