"""Peak memory of a training step by clip length, with and without activation checkpointing.

    python tests/benchmarks/memory.py [--short]

The default model and its default step, 4 clips at 64x64, fresh process a row: what the step takes above the process
before it, on the CPU (resident) or the GPU (allocated).
"""

import json
import subprocess
import sys
import time

LENGTHS = (8, 16, 32)


def measure(length: int, recompute: bool) -> dict[str, float]:
    """MiB and seconds of a step, in this process."""
    import torch
    from peaks import Peak

    from vidpred.assembly import build_model, compose
    from vidpred.assembly.devices import find_device
    from vidpred.memory import keep_memory
    from vidpred.networks import unroll
    from vidpred.types import FrameShape

    keep_memory()
    device = find_device("auto")
    torch.manual_seed(0)
    model = build_model(compose("run_dir=unused"), FrameShape(3, 3, 64, 64)).to(device)
    film, poses = torch.rand(2, 4, length, 3, 64, 64, device=device)
    noise = torch.randn(4, length - 1, *model.latent_shape, device=device)
    forced = torch.zeros(4, length - 1, dtype=torch.bool)
    from_prior = torch.arange(4, device=device) < 2

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            found = unroll(model, film, poses, noise=noise, forced=forced, from_prior=from_prior, gradient="detached",
                           recompute=recompute)  # fmt: skip
            loss = (found.frames - film[:, 1:]).square().mean() + found.posterior.mean.square().mean()
        loss.backward()

    with Peak(device) as peak:
        step()
    started = time.perf_counter()
    step()
    return {"MiB": peak.mebibytes, "seconds": time.perf_counter() - started}


def main(*, short: bool = False) -> dict[str, float]:
    """Print the table; ratios of the longest clip."""
    lengths = LENGTHS[-1:] if short else LENGTHS
    print("clip   kept MiB   recomputed MiB   less by   time")
    for length in lengths:
        kept, less = (json.loads(subprocess.run([sys.executable, __file__, str(length), str(number)], check=True,
                                                capture_output=True, text=True).stdout)
                      for number in (0, 1))  # fmt: skip
        saved, slower = kept["MiB"] / less["MiB"], less["seconds"] / kept["seconds"]
        print(f"{length:4}   {kept['MiB']:8.0f}   {less['MiB']:14.0f}   {saved:7.2f}   {slower:4.2f}")
    return {"recomputed: memory of a step": saved}


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(int(sys.argv[1]), bool(int(sys.argv[2])))))
    else:
        from machine import heading

        print(heading())
        main(short="--short" in sys.argv)
