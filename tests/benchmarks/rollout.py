"""Rollouts: frames a second by number of clips, against the stock networks, and over ten thousand frames.

    python tests/benchmarks/rollout.py [--short]

Untrained models at 32x64 (the stock networks' size), z at the prior's mean, on the GPU where there is one. Sides of a
ratio are measured in turns; figures are medians.
"""

import sys
import time
from statistics import median

import torch
from machine import heading
from peaks import Peak

from vidpred.assembly import build_model, compose
from vidpred.assembly.devices import find_device
from vidpred.memory import keep_memory
from vidpred.networks import Model
from vidpred.networks.rollout import stream_rollout
from vidpred.types import FrameShape

SHAPE = FrameShape(3, 3, 32, 64)
CLIPS, PAIRS, LONG = (1, 8, 64), 5, 10_000


def build(*options: str, device: torch.device) -> Model:
    torch.manual_seed(0)
    return build_model(compose("run_dir=unused", *options), SHAPE).to(device).eval()


@torch.no_grad()
def seconds(model: Model, *, clips: int, frames: int, device: torch.device) -> float:
    """Of a rollout whose frames nobody keeps."""
    context = torch.rand(clips, 1, 3, SHAPE.height, SHAPE.width, device=device)
    poses = torch.zeros(1, 1, 3, SHAPE.height, SHAPE.width, dtype=torch.uint8, device=device)
    started = time.perf_counter()
    for piece in stream_rollout(model, context, poses.expand(clips, frames + 1, -1, -1, -1), z="mean"):
        last = piece
    float(last.sum())  # waits for the device
    return time.perf_counter() - started


def main(*, short: bool = False) -> dict[str, float]:
    """Print the table; the ratios."""
    keep_memory()
    device = find_device("auto")
    ours, stock = build(device=device), build("model=lab", "prior=standard", device=device)
    for model in (ours, stock):
        seconds(model, clips=1, frames=8, device=device)
    print("clips   frames a second")
    for clips in CLIPS:
        frames = max(16, 256 // clips)
        rate = median(clips * frames / seconds(ours, clips=clips, frames=frames, device=device) for _ in range(3))
        print(f"{clips:5}   {rate:15.0f}")
    ratio = median(seconds(stock, clips=1, frames=32, device=device) / seconds(ours, clips=1, frames=32, device=device)
                   for _ in range(PAIRS))  # fmt: skip
    print(f"one clip: {ratio:.1f} times the stock networks' rate (median of {PAIRS} pairs)")
    length = LONG // 10 if short else LONG
    per_frame = seconds(ours, clips=1, frames=length // 10, device=device) / (length // 10)
    with Peak(device) as peak:
        long = seconds(ours, clips=1, frames=length, device=device) / length
    print(f"{length} frames: {long / per_frame:.2f} times the seconds per frame of {length // 10}, "
          f"{peak.mebibytes:.0f} MiB more")  # fmt: skip
    return {"rollout: frames a second, by the stock networks'": ratio}


if __name__ == "__main__":
    print(heading())
    main(short="--short" in sys.argv)
