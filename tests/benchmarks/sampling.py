"""What evaluation costs: rollouts of many samples side by side against one by one, and the memory of a long one.

    python tests/benchmarks/sampling.py [samples, 100]

An untrained default model at 32x64; one clip of 630 frames, as the lab's.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import torch

from vidpred.assembly import build_data, build_model, compose, to_plain
from vidpred.evaluation import sampling
from vidpred.evaluation.scoring import Scorer
from vidpred.metrics.protocol import Protocol
from vidpred.predictor import Predictor

FRAMES = 630


def seconds(predictor, data, windows, *, samples: int) -> float:
    scorer = Scorer(Protocol(name="benchmark", definition="PSNR, SSIM and errors", samples=samples))
    started = time.perf_counter()
    sampling.sample_clips(predictor, data, "val", windows, scorer, context_frames=1, samples=samples)
    return time.perf_counter() - started


def peak() -> float:
    """Largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    options = ["data.height=32", "data.width=64", "data.train_clips=1", "data.val_clips=1", "data.test_clips=1",
               f"data.val_frames={FRAMES}", "data.futures=1"]  # fmt: skip
    with tempfile.TemporaryDirectory() as cache:
        cfg = compose(*options, f"data.cache='{Path(cache)}'", "run_dir=unused")
        torch.manual_seed(0)
        data = build_data(to_plain(cfg)["data"])
        data.prepare_data()
        model = build_model(cfg, data.shape)
        predictor = Predictor(model.eval(), 1, {})
        windows = data.eval_sampler("val").windows
        short = [windows[0]._replace(length=64)]
        seconds(predictor, data, short, samples=1)
        together = 8 * 63 / seconds(predictor, data, short, samples=8)
        alone = 63 / seconds(predictor, data, short, samples=1)
        before = peak()
        whole = seconds(predictor, data, windows, samples=samples)
        print(f"rolled out and scored: {together:.0f} frames a second with 8 samples side by side, {alone:.0f} one by "
              f"one: {together / alone:.2f} times; {torch.get_num_threads()} threads, seed 0")  # fmt: skip
        print(f"{FRAMES} frames, {samples} samples: {whole:.0f} s, {peak() - before:.0f} MiB above what the model and "
              f"a short evaluation take ({before:.0f} MiB)")  # fmt: skip


if __name__ == "__main__":
    main()
