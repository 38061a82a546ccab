"""Whether long rollouts of a trained model drift: 630 frames of embedded data, ten times longer than it was trained on.

    python tests/benchmarks/drift.py RUN [clips, 64]

PSNR of the first and of the last tenth of the rollout, frames 1 to 5 left out, z at the prior's mean, on validation
dancers drawn with the run's own strength of light, wind and ball; with those, beside the oracle's fall. Errors add up
where a rollout falls more than the same model does that is given every true previous frame: what both fall by is the
distance of the poses from the context. One dancer's fall differs from another's by a decibel: mind the standard error.
"""

import sys

import numpy as np
import torch
from machine import heading

import vidpred
from vidpred.assembly import build_data, compose, to_plain
from vidpred.metrics import psnr
from vidpred.networks import predict_next

FRAMES, LEFT_OUT = 630, 5


def tenths(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of every clip's curve over the first and the last tenth."""
    size = curves.shape[1] // 10
    return curves[:, LEFT_OUT:size].mean(axis=1), curves[:, -size:].mean(axis=1)


def with_error(changes: np.ndarray) -> str:
    """Mean over clips, and its standard error where there are several."""
    spread = f" ±{changes.std(ddof=1) / len(changes) ** 0.5:.2f}" if len(changes) > 1 else ""
    return f"{changes.mean():+8.2f}{spread}"


def main(run: str, clips: int = 64) -> None:
    """Print the table."""
    predictor = vidpred.load(run)
    print(heading(predictor.config["seed"]))
    kept = predictor.config["data"]
    options = [f"data.{name}={kept[name]}" for name in ("height", "width", "stochastic")]
    cfg = compose("run_dir=unused", "length_schedule=constant", f"data.val_frames={FRAMES}", f"data.val_clips={clips}",
                  "data.futures=8", "data.train_clips=1", "data.test_clips=1", *options)  # fmt: skip
    data = build_data(to_plain(cfg)["data"])
    data.prepare_data()
    oracles = data.source.oracles("val", [(number, FRAMES) for number in range(clips)]) if kept["stochastic"] else None
    names = ("model", "given true previous frames", "copy the context", "oracle")
    curves: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    for number, window in enumerate(data.eval_sampler("val").windows):
        clip = data.clips("val").__getitems__([window])
        film, poses = clip.frames[0].float() / 255, clip.poses[0].float() / 255
        predicted = {
            "given true previous frames": predict_next(predictor.model, film[None], poses[None], context_frames=1)[0],
            "model": predictor.rollout(film[0], poses, z="mean"),
            "copy the context": film[:1].expand_as(film[1:]),
        }
        if oracles is not None:
            predicted["oracle"] = torch.from_numpy(oracles[number][1:])
        for name, frames in predicted.items():
            curves[name].append(psnr(frames[None], film[None, 1:], data_range=1.0)[0])
    print(f"{clips} clips of {FRAMES} frames     mean dB   first tenth   last tenth   change, standard error")
    falls = {}
    for name, found in curves.items():
        if found:
            first, last = tenths(torch.stack(found).numpy())
            falls[name], mean = last - first, float(torch.stack(found).mean())
            print(f"{name:26} {mean:9.2f} {first.mean():13.2f} {last.mean():12.2f} {with_error(falls[name])}")
    if "oracle" in falls:
        print(f"{'model, beside the oracle':26} {'':36} {with_error(falls['model'] - falls['oracle'])}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], *map(int, sys.argv[2:]))
