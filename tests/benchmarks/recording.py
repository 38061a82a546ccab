"""What part of a training's wall time goes to its records: loggers, pictures, films, figures, the run folder.

    python tests/benchmarks/recording.py [options of vidpred.run]

The default recipe, whole, without the scoring at its end. Every function counts without those that it calls and that
have a line of their own.
"""

import sys
import tempfile
import time
from collections import Counter
from functools import wraps
from pathlib import Path
from typing import Any

from lightning import LightningModule
from lightning.pytorch.trainer.connectors.logger_connector.logger_connector import _LoggerConnector
from machine import heading

from vidpred import assembly
from vidpred.runfolder import RunFolder
from vidpred.training import callbacks, diagnosis, tracking
from vidpred.viz.courses import courses_figure

KEPT = ("files of the run folder", "schedules.png")  # also without any logger
SCORES = dict.fromkeys(tracking.COMPARED, 0.0)


class Watch:
    """Times functions, each without the timed ones inside of it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._inside: list[float] = []

    def put_on(self, owner: Any, *names: str, line: str) -> None:
        """Replace functions of a module or class by timed ones, which share a line."""
        for name in names:
            setattr(owner, name, self._timed(getattr(owner, name), line))

    def _timed(self, function: Any, line: str) -> Any:
        @wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            self._inside.append(0.0)
            started = time.perf_counter()
            try:
                return function(*given, **named)
            finally:
                took = time.perf_counter() - started
                self.seconds[line] += took - self._inside.pop()
                self.calls[line] += 1
                if self._inside:
                    self._inside[-1] += took

        return timed


def draw_schedules(run: Any, folder: RunFolder) -> None:
    """As ``vidpred.run`` does before it trains; the first figure of a process takes longer than all others."""
    courses_figure(run.plan.courses(), epochs=run.plan.epochs).savefig(folder["schedules.png"])


def hooks(callback: type) -> list[str]:
    """What Lightning calls of a callback of ours."""
    return [name for name in vars(callback) if name.startswith("on_")]


def watch_records() -> Watch:
    """A watch on all that writes, draws or logs."""
    watch = Watch()
    watch.put_on(LightningModule, "log", "log_dict", line="self.log, every step")
    watch.put_on(_LoggerConnector, "log_metrics", line="scalars to loggers")
    watch.put_on(sys.modules[__name__], "draw_schedules", line="schedules.png")
    watch.put_on(tracking, "open_logs", line="layout, configuration")
    watch.put_on(tracking, "show_picture", line="pictures to loggers")
    watch.put_on(tracking, "show_film", "show_text", line="films, texts to loggers")
    watch.put_on(tracking, "show_figure", line="figures")
    watch.put_on(tracking, "log_outcome", line="outcome")
    watch.put_on(callbacks, "encode_gif", "side_by_side", line="film")
    watch.put_on(callbacks, "strip", "encode_png", line="strip")
    watch.put_on(RunFolder, "write", "write_json", "write_rows", "write_arrays", line="files of the run folder")
    watch.put_on(callbacks.Recorder, *hooks(callbacks.Recorder), line="Recorder, the rest")
    watch.put_on(callbacks.Throughput, *hooks(callbacks.Throughput), line="Throughput")
    watch.put_on(diagnosis.CollapseDoctor, "_tell", line="CollapseDoctor, telling")
    return watch


def main() -> None:
    folder = tempfile.mkdtemp()
    run = assembly.build_run(assembly.compose(f"run_dir={folder}", *sys.argv[1:]))
    watch = watch_records()
    started = time.perf_counter()
    draw_schedules(run, RunFolder(Path(folder)))
    run.trainer.fit(run.module, datamodule=run.data)
    tracking.log_outcome(run.trainer, {"seed": 0}, SCORES, varied=set())
    whole = time.perf_counter() - started
    print(f"\n{run.trainer.global_step} steps in {run.trainer.current_epoch} epochs, {whole:.1f} s")
    for line, seconds in watch.seconds.most_common():
        print(f"{line:<26}{watch.calls[line]:6} calls {seconds:8.3f} s {seconds / whole:8.3%}")
    total = watch.seconds.total()
    logging = total - sum(watch.seconds[line] for line in KEPT)
    print(f"logging / whole training: {logging / whole:.2%}; with what the run folder keeps {total / whole:.2%} of "
          f"{whole:.1f} s; {heading(run.module.seed)}")  # fmt: skip


if __name__ == "__main__":
    main()
