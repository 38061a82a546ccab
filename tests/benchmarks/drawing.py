"""Frames a second of the embedded data, drawn and packed, pose maps included.

python tests/benchmarks/drawing.py [workers]
"""

import sys
import tempfile
import time
from pathlib import Path

from machine import heading

from vidpred.data.dancers.film import Dancers
from vidpred.data.dancers.source import DancersSource, SplitSize

CLIPS, FRAMES = 320, 64  # as the default training split


def main() -> None:
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    for size in ((64, 64), (32, 64)):
        with tempfile.TemporaryDirectory() as folder:
            source = DancersSource(
                dancers=Dancers(height=size[0], width=size[1]),
                sizes={"train": SplitSize(CLIPS, FRAMES)},
                cache=Path(folder),
                workers=workers,
            )
            started = time.perf_counter()
            source.prepare()
            seconds = time.perf_counter() - started
        rate = CLIPS * FRAMES / seconds
        print(f"{size[0]}x{size[1]}: {rate:.0f} frames a second with {workers} workers, start included")


if __name__ == "__main__":
    print(heading())
    main()
