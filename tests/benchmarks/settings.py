"""What settings are worth: the default training step under each of them, by its speed with the defaults.

    python tests/benchmarks/settings.py [compiled]

Two clips of eight frames at 64x64, a fresh process a measurement, settings in turns; medians over rounds. Defaults:
bfloat16 autocast where the processor computes it, channels_last, all cores, freed memory kept, steps together after a
rehearsal, not compiled. Compiling takes minutes a round on a CPU, and is done on demand.
"""

import json
import os
import subprocess
import sys
import time
from statistics import median

CLIPS, LENGTH, STEPS, ROUNDS = 2, 8, 20, 5
SETTINGS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {  # words for the process, and its environment
    "default": ((), {}),
    "float32": (("float32",), {}),
    "contiguous instead of channels_last": (("contiguous",), {}),
    "one thread": ((), {"OMP_NUM_THREADS": "1"}),
    "memory is given back": (("give",), {}),
    "steps in turn": (("in-turn",), {}),
}
COMPILED = {"torch.compile": (("compile",), {})}


def measure(words: list[str]) -> float:
    """Seconds of a step, in this process."""
    import torch

    from vidpred.assembly import build_model, compose
    from vidpred.assembly.devices import choose_precision, find_device
    from vidpred.memory import keep_memory
    from vidpred.networks import unroll
    from vidpred.networks.compilation import compile_networks
    from vidpred.objectives import Elbo
    from vidpred.training.muon import MuonAdamW
    from vidpred.types import FrameShape

    if "give" not in words:
        keep_memory()
    torch.manual_seed(0)
    cfg, device = compose("run_dir=unused"), find_device("auto")
    model = build_model(cfg, FrameShape(3, 3, 64, 64)).to(device)
    if "contiguous" in words:
        model.to(memory_format=torch.contiguous_format)
    if "compile" in words:
        compile_networks(model)
    film, poses = torch.rand(2, CLIPS, LENGTH, 3, 64, 64, device=device)
    noise = torch.randn(CLIPS, LENGTH - 1, *model.latent_shape, device=device)
    coins, from_prior = (
        torch.zeros(CLIPS, LENGTH - 1, dtype=torch.bool),
        torch.arange(CLIPS, device=device) < CLIPS // 2,
    )
    optimizer = MuonAdamW(model.parameters(), lr=1e-4, fused=True)
    chunk = 1 if "in-turn" in words else None
    objective, half = Elbo(sigma=0.05, kl_reduction="per_dimension"), "bf16" in choose_precision(cfg.trainer)

    def step() -> float:
        with torch.autocast(device.type, torch.bfloat16, enabled=half and "float32" not in words):
            found = unroll(model, film, poses, noise=noise, forced=coins, from_prior=from_prior, gradient="detached",
                           chunk=chunk)  # fmt: skip
            terms = objective(found, film[:, 1:], poses[:, 1:])
        loss = (terms["reconstruction"] + terms["kl"]).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    for _ in range(3):
        step()
    started = time.perf_counter()
    for _ in range(STEPS):
        step()
    return (time.perf_counter() - started) / STEPS


def run(words: tuple[str, ...], environment: dict[str, str]) -> float:
    """Seconds of a step, in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--", *words], env=os.environ | environment, check=True,
                          capture_output=True, text=True)  # fmt: skip
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print the table."""
    from machine import heading

    settings = SETTINGS | COMPILED if "compiled" in sys.argv else SETTINGS
    seconds: dict[str, list[float]] = {name: [] for name in settings}
    for _ in range(ROUNDS):
        for name, (words, environment) in settings.items():
            seconds[name].append(run(words, environment))
    print(f"{'':38}   ms a step   speed by the default's")
    for name, found in seconds.items():
        ratio = median(before / now for before, now in zip(seconds["default"], found, strict=True))
        print(f"{name:38}   {1000 * median(found):9.0f}   {ratio:.2f}")
    print(f"medians of {ROUNDS} rounds; {heading()}")


if __name__ == "__main__":
    if "--" in sys.argv:
        print(json.dumps(measure(sys.argv[2:])))
    else:
        main()
