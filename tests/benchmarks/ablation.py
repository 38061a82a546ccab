"""What each part of the default recipe is worth: the same training without it, several seeds each.

    python tests/benchmarks/ablation.py FOLDER [options of vidpred.run]

    python tests/benchmarks/ablation.py runs/ablation                                     # embedded data at 32x32
    python tests/benchmarks/ablation.py runs/mine data=folder data.root=my/pictures       # your own

Every run is a folder in FOLDER. Runs that are finished are not repeated, and one that was stopped goes on where it was:
start the command again after whatever happened. It ends with a table, and with FOLDER/ablation.json, which
notebooks/speed.ipynb draws. Differences are of the last validation's PSNR, with 95 % intervals of a bootstrap over
seeds and validation clips, paired by clip; where there is one clip, with the least and the largest over seeds.
"""

import csv
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import find_processor

from vidpred.runfolder import RunFolder
from vidpred.statistics import paired_interval

SEEDS = (0, 1, 2)
BASELINES = ("copy_context", "nearest_pose")
SHORT = ("trainer.max_epochs=10", "trainer.check_val_every_n_epoch=1")
DATA = ("data.height=32", "data.width=32", "data.train_clips=160")
VARIANTS: dict[str, tuple[str, ...]] = {
    "default": (),
    "context right before the clip": ("data.context_gap=0",),
    "context from before, one draw": ("data.context_draws=1", "data.context_after=false"),
    "context in its own light": ("data.relight=false",),
    "no anchor in the context": ("model.anchor=false",),
    "one scale": ("model.widths=[32,1,1]",),  # one channel is left of the coarser ones
    "always forced": ("teacher_forcing=always",),
    "forcing that decays": ("teacher_forcing=linear", "teacher_forcing.decay_start=0"),
    "no annealing": ("kl_anneal=none",),
    "cyclical annealing": ("kl_anneal=cyclical",),
    "prior N(0, I)": ("prior=standard", "prior_share=0.0", "validation.z=sample"),
    "z from the posterior alone": ("prior_share=0.0",),
    "whole clips from the start": ("length_schedule=constant",),
    "AdamW": ("optimizer=adamw",),
    "the lab's optimizer": ("optimizer=adam", "optimizer.lr=1e-3", "lr_schedule=multistep"),
}


def place(folder: Path, name: str, seed: int) -> RunFolder:
    """The folder of a run."""
    return RunFolder(folder / re.sub("[^a-z0-9]+", "-", name.lower()).strip("-") / str(seed))


def train(run: RunFolder, options: list[str]) -> None:
    """Train a run, or the rest of it, on one thread; one that fails stays unfinished, and says why."""
    command = [sys.executable, "-m", "vidpred.run", f"hydra.run.dir={run.path}", "resume=auto", "logger=none",
               "callbacks.progress=null", *options]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
    last = done.stderr.strip().rpartition("\n")[2]
    outcome = f"ended with {done.returncode}: {last}" if done.returncode else "trained"
    print(f"{run.path.parent.name} {run.path.name}: {outcome}", flush=True)


def train_all(folder: Path, options: list[str], workers: int) -> None:
    """Train what is not finished, several runs at a time."""
    with ThreadPoolExecutor(workers) as pool:
        for seed in SEEDS:
            for name, changes in VARIANTS.items():
                run = place(folder, name, seed)
                if run["summary.json"].is_file() and run.read_json("summary.json")["status"] == "finished":
                    continue
                baselines = f"baselines={name == 'default'}"
                pool.submit(train, run, [f"seed={seed}", baselines, *options, *changes])


def collect(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Of every finished run: PSNR of every validation, when it was, and of every clip at the end."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in VARIANTS:
        for seed in SEEDS:
            run = place(folder, name, seed)
            if not run["summary.json"].is_file():
                continue
            summary = run.read_json("summary.json")
            with run["metrics.csv"].open(newline="") as stream:
                rows = [row for row in csv.DictReader(stream) if row["psnr/val"]]
            last, curves = run.read_arrays("validations.npz")["psnr"][-1], run.read_arrays("psnr.npz")
            found.setdefault(name, []).append({
                "seed": seed,
                "steps": [int(row["step"]) for row in rows],
                "seconds": [round(float(row["seconds"]), 1) for row in rows],
                "psnr": [round(float(row["psnr/val"]), 3) for row in rows],
                "clips": [round(float(value), 3) for value in last],
                "z": summary["doctor"]["sentence"],
                **{name: round(float(curves[name].mean()), 3) for name in BASELINES if name in curves},
            })  # fmt: skip
    return found


def compare(found: dict[str, list[dict[str, Any]]]) -> dict[str, list[float]]:
    """What every variant gains over the default, in dB: mean, and the interval's ends."""
    scores = {name: np.array([run["clips"] for run in runs]) for name, runs in found.items()}
    gains = {}
    for name, score in scores.items():
        default = scores.get("default")
        if name == "default" or default is None:
            continue
        gain = paired_interval(score, default)
        if score.shape[1] == 1:
            both = min(len(score), len(default))
            each = score[:both, 0] - default[:both, 0]
            gain = gain._replace(low=float(each.min()), high=float(each.max()))
        gains[name] = [round(value, 3) for value in (gain.mean, gain.low, gain.high)]
    return gains


def show(found: dict[str, list[dict[str, Any]]]) -> None:
    """Print the table."""
    gains = compare(found)
    print(f"{'':32}   PSNR dB   to the default")
    for name, runs in found.items():
        line = f"{name:32}   {np.mean([run['clips'] for run in runs]):7.2f}"
        if name in gains:
            mean, low, high = gains[name]
            line += f"   {mean:+.2f} [{low:+.2f}, {high:+.2f}]"
        print(line)


def main() -> None:
    """Train what is missing, collect, print."""
    if len(sys.argv) < 2 or "=" in sys.argv[1]:
        sys.exit(__doc__)
    folder, given = Path(sys.argv[1]).resolve(), sys.argv[2:]
    options = [*SHORT, *(given or DATA)]
    train_all(folder, options, 1 if torch.cuda.is_available() else os.cpu_count() or 1)
    found = collect(folder)
    shown = [option for option in options if not option.startswith("data.root")]
    trained = place(folder, "default", SEEDS[0]).read_json("run.json")
    about = {"options": shown, "variants": {name: list(VARIANTS[name]) for name in found}, "date": trained["started"],
             "processor": find_processor(), "threads": 1, "versions": trained["versions"]}  # fmt: skip
    results = {"about": about, "runs": found, "gains": compare(found)}
    (folder / "ablation.json").write_text(json.dumps(results, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{about['date'][:10]}, {about['processor']}, a thread a run, torch {trained['versions']['torch']}, "
          f"vidpred {trained['versions']['vidpred']}, seeds {', '.join(map(str, SEEDS))}")  # fmt: skip
    show(found)


if __name__ == "__main__":
    main()
