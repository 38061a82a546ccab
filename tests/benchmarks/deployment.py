"""Frames a second of a rollout: as it is, in bfloat16, as exported graphs of torch and ONNX, and compiled.

    python tests/benchmarks/deployment.py [compiled]

An untrained default model at 64x64, 4 clips of 32 frames, z at the prior's mean; all forms alternate in one run.
Compiling takes minutes on a CPU, and is done on demand.
"""

import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

import onnxruntime
import torch
from machine import heading

from vidpred.assembly import build_model, compose
from vidpred.interop.deployment import export_onnx, export_torch, rollout_exported
from vidpred.networks import rollout
from vidpred.types import FrameShape

CLIPS, FRAMES, ROUNDS, SIDE = 4, 32, 5, 64


def onnx_part(folder: Path, part: str):
    session = onnxruntime.InferenceSession(folder / f"{part}.onnx")
    names = json.loads((folder / "export.json").read_text())[part]["inputs"]
    taken = {entry.name for entry in session.get_inputs()}

    def run(*inputs):
        given = {name: value.numpy() for name, value in zip(names, inputs, strict=True) if name in taken}
        found = [torch.from_numpy(value) for value in session.run(None, given)]
        return found[0] if part == "step" else found

    return run


def forms(model, folder: Path, frames, poses, noise) -> dict:
    """Every form of the rollout."""
    found = {"eager": partial(rollout, model, frames, poses, z="mean")}

    def half():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return rollout(model, frames, poses, z="mean")

    found["eager, bfloat16"] = half
    plain = model.to(memory_format=torch.contiguous_format)
    export_torch(plain, folder / "torch", context_frames=1)
    export_onnx(plain, folder / "onnx", context_frames=1)
    graphs = {
        "torch.export": [torch.export.load(folder / "torch" / f"{part}.pt2").module() for part in ("encoder", "step")],
        "ONNX": [onnx_part(folder / "onnx", part) for part in ("encoder", "step")],
    }
    for name, pair in graphs.items():
        found[name] = partial(rollout_exported, *pair, frames, poses, noise)
    model.to(memory_format=torch.channels_last)
    return found


@torch.no_grad()
def main() -> None:
    torch.manual_seed(0)
    model = build_model(compose("run_dir=unused"), FrameShape(3, 3, SIDE, SIDE)).eval()
    frames, poses = torch.rand(CLIPS, 1, 3, SIDE, SIDE), torch.rand(CLIPS, FRAMES + 1, 3, SIDE, SIDE)
    noise = torch.zeros(CLIPS, FRAMES, *model.latent_shape)
    with tempfile.TemporaryDirectory() as folder:
        every = forms(model, Path(folder), frames, poses, noise)
        if "compiled" in sys.argv:
            twin = build_model(compose("run_dir=unused"), FrameShape(3, 3, SIDE, SIDE)).eval()
            twin.load_state_dict(model.state_dict())
            twin.decode, twin.encode_poses = torch.compile(twin.decode), torch.compile(twin.encode_poses)
            every["compiled"] = partial(rollout, twin, frames, poses, z="mean")
        truth = every["eager"]()
        errors = {name: float((form() - truth).abs().max()) for name, form in every.items()}  # and warm up
        seconds = {name: [] for name in every}
        for _ in range(ROUNDS):
            for name, form in every.items():
                started = time.perf_counter()
                form()
                seconds[name].append(time.perf_counter() - started)
    ratios = {name: median(mine / own for mine, own in zip(seconds["eager"], times, strict=True))
              for name, times in seconds.items()}  # fmt: skip
    print(f"{CLIPS} clips of {FRAMES} frames at {SIDE}x{SIDE}, medians of {ROUNDS} rounds; {heading()}")
    for name, times in seconds.items():
        print(f"{name:<16}{CLIPS * FRAMES / median(times):8.0f} frames a second, {ratios[name]:5.2f} times eager, "
              f"largest difference {errors[name]:.1e}")  # fmt: skip


if __name__ == "__main__":
    main()
