"""What the Lightning loop costs over a bare loop of the same step, and what training waits for data.

    python tests/benchmarks/loop.py [options of vidpred.run]

Both sides train the default model on the same batches in one process, in turns; the ratio is the median over pairs.
"""

import logging
import statistics
import sys
import tempfile
import time
import warnings

import torch
from lightning import Callback
from machine import heading

from vidpred import assembly
from vidpred.data.datamodule import to_batch
from vidpred.memory import keep_memory
from vidpred.networks import unroll
from vidpred.schedules.teacher_forcing import toss

STEPS, PAIRS = 20, 5


def config(*overrides: str):
    fixed = ("trainer=cpu", "trainer.max_epochs=1", "fit_schedules=true", "trainer.limit_val_batches=0", "logger=none",
             "callbacks.progress=null", "callbacks.best=null", "callbacks.last=null", "callbacks.doctor=null",
             "length_schedule=constant", "prior_share=0.0")  # fmt: skip
    cfg = assembly.compose(f"run_dir={tempfile.mkdtemp()}", *fixed, *overrides)
    cfg.data.clips_per_epoch = STEPS * cfg.data.batch_size
    return cfg


def lightning_loop(run) -> tuple[float, float]:
    """Seconds of the training epoch, and the share of them that it waited for data."""
    marks = []

    class Clock(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            marks.append(time.perf_counter())

        def on_train_epoch_end(self, trainer, pl_module):
            marks.append(time.perf_counter())

    run.trainer.callbacks.append(Clock())
    run.trainer.fit(run.module, datamodule=run.data)
    return marks[1] - marks[0], float(run.trainer.callback_metrics["speed/loader_share"])


def bare_loop(run) -> float:
    """Seconds of the same step without Lightning: no logging, no callbacks, no guard."""
    module, trainer = run.module, run.trainer
    optimizer = module._make_optimizer(module.parameters())
    precision = torch.autocast("cpu", torch.bfloat16, enabled="bf16" in str(trainer.precision))
    clips = iter(run.data._loader("train", run.data.train_sampler()))
    known = module.context_frames
    module.train()
    started = time.perf_counter()
    for step, clip in enumerate(clips):
        batch = to_batch(clip)
        count, steps = len(batch.frames), batch.frames.shape[1] - known
        prob = module.teacher_forcing(0, 1)
        coins = toss(module.teacher_forcing, prob, clips=count, steps=steps, seed=0, epoch=0, step=step)
        with precision:
            prediction = unroll(
                module.model, batch.frames, batch.poses, noise=torch.randn(count, steps, *module.model.latent_shape),
                forced=coins, gap=batch.gap, gradient=module.gradient, chunk=module.chunk,
            )  # fmt: skip
            terms = module.objective(prediction, batch.frames[:, known:], batch.poses[:, known:], progress=0.0)
        weights = module.objective.weights(1.0)
        loss = sum(weights[name] * term.mean() for name, term in terms.items())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), trainer.gradient_clip_val)
        optimizer.step()
    return time.perf_counter() - started


def main(*overrides: str, short: bool = False) -> dict[str, float]:
    """Print the table; the ratios."""
    keep_memory()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.simplefilter("ignore")  # of schedules in a run of one epoch
    print(heading(config(*overrides).seed))
    ratios, shares, pairs = [], [], 3 if short else PAIRS
    for pair in range(pairs + 1):
        seconds, share = lightning_loop(assembly.build_run(config(*overrides)))
        bare = bare_loop(assembly.build_run(config(*overrides)))
        if pair:  # the first one warms up
            ratios.append(seconds / bare)
            shares.append(share)
        print(f"pair {pair}: Lightning {seconds:.2f} s, bare {bare:.2f} s, ratio {seconds / bare:.3f}, "
              f"waiting for data {share:.2%}", flush=True)  # fmt: skip
    ratio, share = statistics.median(ratios), statistics.median(shares)
    print(f"Lightning / bare: median {ratio:.3f} of {pairs} pairs of {STEPS} steps; waiting for data: {share:.2%}")
    return {"Lightning loop: speed by a bare loop's": 1 / ratio, "loop: share of time that is not waiting": 1 - share}


if __name__ == "__main__":
    main(*sys.argv[1:])
