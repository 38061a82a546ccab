"""Run folders as training writes them, made of known numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vidpred.runfolder import RunFolder

ABOUT = {"seed": 0, "data": "data0", "protocol": "protocol0", "git": "abc", "command": "python -m vidpred.run",
         "started": "2026-01-31T12:00:00+00:00", "versions": {"vidpred": "0.1.0", "torch": "2.14.1"}}  # fmt: skip


def make_run(
    path: Path,
    choices: dict[str, Any] | None = None,
    *,
    psnr: float | None = 22.0,
    finished: bool = True,
    epochs: int = 4,
    clips: int = 6,
    films: bool = False,
    about: dict[str, Any] | None = None,
    columns: dict[str, Any] | None = None,
) -> RunFolder:
    """A run whose clips score from ``psnr`` to 0.04 dB more; None is one without validation."""
    folder, choices = RunFolder(path), choices or {}
    folder.write_json("run.json", {**ABOUT, "choices": choices, "seed": choices.get("seed", 0), **(about or {})})
    folder.write("config.yaml", yaml.safe_dump({**choices, "trainer": {"max_epochs": 4}, "run_dir": str(path)}))
    course = {
        "schedule/beta": lambda epoch: min(1.0, epoch / 2), "schedule/forcing_prob": lambda epoch: 1 - epoch / 3,
        "train/loss": lambda epoch: 4.0 - epoch, "train/reconstruction": lambda epoch: 3.5 - epoch,
        "train/kl": lambda epoch: 0.5, "schedule/clip_length": lambda epoch: 4 if epoch < 2 else 8,
        "speed/frames_per_second": lambda epoch: 100.0, **(columns or {}),
    }  # fmt: skip
    rows = [{"epoch": epoch, "step": 8 * (epoch + 1), "seconds": 60.0 * (epoch + 1),
             **{name: float(law(epoch)) for name, law in course.items()}} for epoch in range(epochs)]  # fmt: skip
    folder.write_json("schedules.json", {"epochs": 4, "courses": [
        {"name": "beta", "sentence": "beta rises.", "values": [0.0, 0.5, 1.0, 1.0]},
        {"name": "clip length", "sentence": "Clips grow.", "values": [4.0, 4.0, 8.0, 8.0]},
    ]})  # fmt: skip
    if psnr is not None:
        scores = psnr + np.linspace(0, 0.04, clips)[:, None] + np.linspace(1, -1, 6)[None]
        rows[-1] |= {"psnr/val": float(scores.mean()), "ssim/val": 0.6, "doctor/rate": 20.0, "doctor/worth_db": 1.0}
        folder.write_arrays("psnr.npz", clips=np.arange(clips), model=scores.astype(np.float32),
                            context_frames=np.array(1), copy_context=np.full((clips, 6), 18, np.float32))  # fmt: skip
        folder.write_arrays("validations.npz", epochs=np.array([epochs - 1]), steps=np.array([8 * epochs]),
                            clips=np.arange(clips), psnr=scores.mean(axis=1)[None].astype(np.float32),
                            ssim=np.full((1, clips), 0.6, np.float32))  # fmt: skip
        folder.write_json("doctor.json", {"state": "live", "sentence": "z is alive.", "worth_db": 1.0, "rate": 20.0})
    folder.write_rows(rows)
    if films:
        write_films(folder)
    if finished:
        folder.write_json("summary.json", {"status": "finished", "protocol": "protocol0", "skipped_steps": 3,
                                           "way_to_oracle": {"db": 0.5, "squared_error": 0.7}})  # fmt: skip
    return folder


def write_films(folder: RunFolder) -> None:
    """Clips 0 and 1, six frames of 16x24: frame t of the prediction is t/8 bright, the truth a constant."""
    shape = (6, 16, 24, 3)
    brightness = (np.arange(6) * 32).astype(np.uint8)[:, None, None, None]
    arrays = {"clips": np.array([0, 1]), "best": np.array(1), "worst": np.array(0)}
    for clip in (0, 1):
        arrays |= {f"every_{clip}": np.array(1), f"truth_{clip}": np.full(shape, 96, np.uint8),
                   f"pose_{clip}": np.zeros(shape, np.uint8),
                   f"prediction_{clip}": np.broadcast_to(brightness, shape).copy()}  # fmt: skip
    folder.write_arrays("films.npz", **arrays)
