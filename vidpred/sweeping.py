"""Sweeps in the terminal: how far they are, and at the end the ranking of their runs and a report."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from omegaconf import DictConfig


class SweepProgress(Callback):
    """Tells when a job of a sweep starts and ends, which one it is, and how long the others will take.

    Jobs that other processes run, as joblib's and submitit's launchers have it, say their number alone.
    """

    def __init__(self) -> None:
        self._total: int | None = None
        self._done = 0
        self._started = self._began = time.perf_counter()

    def on_multirun_start(self, config: "DictConfig", **kwargs: Any) -> None:
        """Count the jobs, where the sweep is a product of lists."""
        self._started = time.perf_counter()
        self._total = count_jobs(config)

    def on_job_start(self, config: "DictConfig", **kwargs: Any) -> None:
        """Say which job begins."""
        self._began = time.perf_counter()
        if _tells(config):
            place = f" ({config.hydra.job.num + 1} of {self._total})" if self._total else ""
            print(f"\n── job {config.hydra.job.num}{place}: {_differing(config)}", flush=True)

    def on_job_end(self, config: "DictConfig", job_return: "JobReturn", **kwargs: Any) -> None:
        """Say what came of it, and how long the rest will take."""
        if not _tells(config):
            return
        from hydra.core.utils import JobStatus

        now = time.perf_counter()
        self._done += 1
        outcome = "failed"
        if job_return.status == JobStatus.COMPLETED:
            score = job_return.return_value
            outcome = "done" if score is None or score != score else f"best PSNR {score:.2f} dB"
        left = ""
        if self._total and self._done < self._total:
            seconds = (now - self._started) / self._done * (self._total - self._done)
            left = f"; {self._done} of {self._total} jobs are done, about {_clock(seconds)} left"
        print(f"── job {config.hydra.job.num}: {outcome} after {_clock(now - self._began)}{left}", flush=True)


def count_jobs(config: "DictConfig") -> int | None:
    """Jobs of a sweep by Hydra's own sweeper; None where another one decides as it goes."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    if not str(config.hydra.sweeper.get("_target_", "")).endswith("BasicSweeper"):
        return None
    swept = {str(name): f"{name}={value}" for name, value in (config.hydra.sweeper.params or {}).items()}
    swept |= {override.partition("=")[0]: override for override in config.hydra.overrides.task}
    jobs = 1
    for override in OverridesParser.create().parse_overrides(list(swept.values())):
        if override.is_discrete_sweep():
            jobs *= sum(1 for _ in override.sweep_string_iterator())
    return jobs


def finish_sweep(folder: Path, failures: Sequence[str]) -> None:
    """Print which jobs failed, rank the runs, and write ``report.html`` in the sweep's folder.

    Args:
        folder: of the sweep.
        failures: of its jobs, in words.
    """
    if not list(folder.glob("*/run.json")) or not _leads():
        return
    from vidpred.reporting.reading import find_runs
    from vidpred.reporting.report import summary_tables, write_report
    from vidpred.reporting.tables import print_table
    from vidpred.reporting.words import tell_left_out

    runs = find_runs([str(folder)])
    print()
    for table in summary_tables(runs):
        print_table(table)
    for sentence in [*tell_left_out(runs), *failures]:
        print(sentence)
    print(write_report(runs, folder / "report.html"))


def _tells(config: "DictConfig") -> bool:
    """Whether this is a job of a sweep, and the first of its processes."""
    return str(config.hydra.mode).endswith("MULTIRUN") and _leads()


def _leads() -> bool:
    return int(os.environ.get("LOCAL_RANK", 0)) == 0 and int(os.environ.get("RANK", 0)) == 0


def _differing(config: "DictConfig") -> str:
    """What the job has been given."""
    return " ".join(config.hydra.overrides.task) or "defaults"


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
