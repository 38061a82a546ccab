"""What packing saves: clips from the cache against decoding pictures each time, and what 100,000 frames cost to open.

    python tests/benchmarks/loading.py [--frames 512] [--store 100000]

Prints frames a second (one frame and its pose) of both ways, measured in turn on the same pictures, and their ratio;
then the seconds to open a store of that many frames at 64x64, and the private memory of four loader processes over that
of their interpreters.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from machine import heading
from PIL import Image
from torch.utils.data import DataLoader

from vidpred.data.clips import Clips, Window, keep_batch
from vidpred.data.dancers.film import Dancers
from vidpred.data.draft import Layout, create_store, lay_out
from vidpred.data.folder import FolderSource
from vidpred.data.posing import PoseInput
from vidpred.data.sampler import ClipBatchSampler
from vidpred.data.store import Store, open_store

IMAGES = PoseInput(images="only")
LENGTH, BATCH = 16, 4


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=512, help="pairs of 128x128 pictures")
    parser.add_argument("--store", type=int, default=100_000, help="frames of the large store")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare_reading(Path(folder), options.frames)
        measure_opening(Path(folder), options.store)


def compare_reading(folder: Path, frames: int) -> None:
    """Decode and resize each time, or read from the cache: five passes over the same frames each, in turn."""
    film = Dancers(height=128, width=128).film("train", 0, frames)
    for kind, array in (("img", film.frames), ("label", film.poses)):
        for split, part in (("train", array), ("val", array[:2] // 2)):
            place = folder / "pictures" / split / f"{split}_{kind}"
            place.mkdir(parents=True)
            for number, pixels in enumerate(part):
                Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(place / f"{number}.png")
    source = FolderSource(root=folder / "pictures", cache=folder / "cache", height=64, width=64)
    source.prepare()
    clips = Clips(source.open("train"), IMAGES)
    batches = list(ClipBatchSampler([frames], length=LENGTH, batch_size=BATCH, seed=0, random_start=False))
    decoded, read = [], []
    for _ in range(5):
        decoded.append(_rate(lambda: _decode_all(folder / "pictures" / "train", batches), batches))
        read.append(_rate(lambda: [clips.__getitems__(batch) for batch in batches], batches))
    ratios = [fast / slow for fast, slow in zip(read, decoded, strict=True)]
    print(f"{frames} pairs of 128x128 PNGs to 64x64, median of 5 passes")
    print(f"  decoding each time   {statistics.median(decoded):10.0f} frames/s")
    print(f"  clips from the cache {statistics.median(read):10.0f} frames/s")
    print(f"  ratio                {statistics.median(ratios):10.1f}   ({min(ratios):.1f} to {max(ratios):.1f})")


def measure_opening(folder: Path, frames: int) -> None:
    """Seconds to open a large store, and the private memory of four processes that read it."""
    length = 1000
    shapes = {"frames": (3, 64, 64), "poses": (3, 64, 64)}
    layout = Layout(
        sequences=lay_out([str(number) for number in range(frames // length)], [length] * (frames // length)),
        shapes=shapes, fingerprint="benchmark", about={"fps": 25.0},
    )  # fmt: skip
    with create_store(folder / "large", layout) as draft:
        for name in shapes:
            array = draft.array(name)
            for first in range(0, layout.rows, length):
                array[first : first + length] = first % 251
    begin = time.perf_counter()
    store = open_store(folder / "large")
    seconds = time.perf_counter() - begin
    idle, busy = (_private_memory(store, batches) for batches in (4, 400))
    print(f"{layout.rows} frames at 64x64")
    print(f"  opened in            {seconds * 1000:10.1f} ms")
    print(
        f"  four loaders' own    {idle / 2**20:10.0f} MiB after 4 batches, {(busy - idle) / 2**20:+.0f} MiB after 400"
    )


def _private_memory(store: Store, batches: int) -> int:
    """USS of four loader processes after so many batches, in bytes."""
    sampler = ClipBatchSampler(store.lengths, length=LENGTH, batch_size=BATCH, seed=0)
    loader = DataLoader(Clips(store, IMAGES), batch_sampler=sampler, collate_fn=keep_batch, num_workers=4,
                        multiprocessing_context="fork")  # fmt: skip
    stream = iter(loader)
    for _ in range(batches):
        next(stream)
    return sum(_uss(worker.pid) for worker in stream._workers)  # type: ignore[attr-defined]


def _uss(process: int) -> int:
    """Memory that a process shares with no other, in bytes (Linux)."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))


def _decode_all(folder: Path, batches: list[list[Window]]) -> None:
    """What a loader without a cache does: open, convert, resize, stack."""
    for batch in batches:
        for kind in ("img", "label"):
            torch.stack([torch.from_numpy(picture) for window in batch for picture in _pictures(folder, kind, window)])


def _pictures(folder: Path, kind: str, window: Window) -> Iterator[np.ndarray]:
    for number in range(window.start, window.start + window.length):
        with Image.open(folder / f"train_{kind}" / f"{number}.png") as image:
            resized = image.convert("RGB").resize((64, 64), Image.Resampling.LANCZOS)
        yield np.asarray(resized).transpose(2, 0, 1).copy()


def _rate(work: Callable[[], object], batches: list[list[Window]]) -> float:
    begin = time.perf_counter()
    work()
    return sum(window.length for batch in batches for window in batch) / (time.perf_counter() - begin)


if __name__ == "__main__":
    print(heading())
    main()
