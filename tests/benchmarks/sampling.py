"""What evaluation costs: rollouts of many samples side by side against one by one, and the memory of a long one.

    python tests/benchmarks/sampling.py [samples, 100]

An untrained default model at 32x64; clips of 64 frames, then one of 630, as the lab's; PSNR, SSIM, MSE and MAE.
"""

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from machine import heading
from peaks import Peak

from vidpred.assembly import build_data, build_model, compose, to_plain
from vidpred.evaluation import sampling
from vidpred.evaluation.scoring import Scorer
from vidpred.memory import keep_memory
from vidpred.metrics.protocol import Protocol
from vidpred.predictor import Predictor

FRAMES, PAIRS = 630, 5


def seconds(predictor, data, windows, *, samples: int) -> float:
    scorer = Scorer(Protocol(name="benchmark", samples=samples))
    started = time.perf_counter()
    sampling.sample_clips(predictor, data, "val", windows, scorer, context_frames=1)
    return time.perf_counter() - started


def main(samples: int = 100, *, short: bool = False) -> dict[str, float]:
    """Print the table; the ratio."""
    keep_memory()
    options = ["data.height=32", "data.width=64", "data.train_clips=1", "data.val_clips=1", "data.test_clips=1",
               f"data.val_frames={FRAMES}", "data.futures=1", "length_schedule=constant"]  # fmt: skip
    with tempfile.TemporaryDirectory() as cache:
        cfg = compose(*options, f"data.cache='{Path(cache)}'", "run_dir=unused")
        torch.manual_seed(0)
        data = build_data(to_plain(cfg)["data"])
        data.prepare_data()
        model = build_model(cfg, data.shape)
        predictor = Predictor(model.eval(), 1, {})
        windows = data.eval_sampler("val").windows
        clip = [windows[0]._replace(length=64)]
        seconds(predictor, data, clip, samples=1)
        pairs = [(16 * 63 / seconds(predictor, data, clip, samples=16),
                  4 * 63 / sum(seconds(predictor, data, clip, samples=1) for _ in range(4)))
                 for _ in range(PAIRS)]  # fmt: skip
        ratio = median(together / alone for together, alone in pairs)
        together, alone = (median(pair[side] for pair in pairs) for side in (0, 1))
        print(f"64 frames, rolled out and scored: {together:.0f} frames a second with 16 samples in batches, "
              f"{alone:.0f} one by one, {ratio:.2f} times (medians of {PAIRS} pairs)")  # fmt: skip
        if not short:
            with Peak(torch.device("cpu")) as long:
                whole = seconds(predictor, data, windows, samples=samples)
            print(f"{FRAMES} frames, {samples} samples: {whole:.0f} s, {long.mebibytes:.0f} MiB more than before")
    return {"sampling: speed in batches by one by one's": ratio}


if __name__ == "__main__":
    print(heading())
    main(*map(int, sys.argv[1:]))
