"""Callbacks that write the run folder, show pictures in the loggers and measure throughput."""

import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from numpy import ndarray as Array
from torch import Tensor

from vidpred.runfolder import Row, RunFolder, RunFolderError
from vidpred.training import tracking
from vidpred.training.gallery import Gallery
from vidpred.training.module import ClipScores, Now, Rollouts, VideoPrediction
from vidpred.types import Batch
from vidpred.viz.figures import psnr_figure
from vidpred.viz.films import encode_gif, encode_png, side_by_side, strip

_SHOWN = {
    "train/loss": "loss",
    "train/reconstruction": "rec",
    "train/kl": "KL",
    "schedule/beta": "beta",
    "schedule/forcing_prob": "forcing",
    "psnr/val": "PSNR",
}


class Recorder(Callback):
    """Keeps the run folder up to date, and shows the same pictures in the loggers.

    After every epoch a row of ``metrics.csv``; after every validation the scores of its clips in ``validations.npz``, a
    strip, a film and the PSNR per frame in the loggers, and in the folder those of the best epoch so far.

    Args:
        folder: of the run.
        clips: validation clips that are shown; in ``films.npz`` also the best and the worst.
        scale: how many times films and strips are enlarged.
    """

    def __init__(self, folder: RunFolder, *, clips: int = 2, scale: int = 2) -> None:
        self.folder, self.clips, self.scale = folder, clips, scale
        self.best = float("-inf")
        self._rows: list[Row] = []
        self._validations: dict[str, Array] = {}  # what validations.npz holds
        self._before: dict[str, Any] = {}  # metrics when the last validation began
        self._of_validation: set[str] = (
            set()
        )  # metrics that are measured in validation; Lightning keeps their last values
        self._validated = False  # in this epoch
        self._gallery = Gallery(clips, known=1)
        self._marked = False  # whether run.json stood in the folder when training began
        self._started = 0.0
        self._seconds = 0.0

    def state_dict(self) -> dict[str, Any]:
        """The best score and the time used so far."""
        return {"best": self.best, "seconds": self._elapsed()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.best, self._seconds = state_dict["best"], state_dict["seconds"]

    def on_train_start(self, trainer: Trainer, pl_module: VideoPrediction) -> None:  # type: ignore[override]
        """Keep the rows of the epochs that a resumed run does not repeat; open the logs."""
        self._started = time.perf_counter()
        self._marked = (self.folder.path / "run.json").is_file()
        self._rows = [row for row in self.folder.read_rows() if row["epoch"] < trainer.current_epoch]
        self._validations = _until(self.folder, trainer.global_step)
        tracking.open_logs(trainer, pl_module.config)

    def on_exception(  # type: ignore[override]
        self, trainer: Trainer, pl_module: VideoPrediction, exception: BaseException
    ) -> None:
        """Leave no log open behind a run that failed."""
        tracking.close_logs(trainer, failed=True)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: VideoPrediction) -> None:  # type: ignore[override]
        """This epoch has not been validated yet."""
        self._validated = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: VideoPrediction) -> None:  # type: ignore[override]
        """Add the epoch's row: of an epoch without validation, what training measured."""
        stale = set() if self._validated else self._of_validation
        metrics = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if not name.endswith("_step") and name not in stale
        }
        position = {"epoch": trainer.current_epoch, "step": trainer.global_step, "seconds": self._elapsed()}
        self._rows.append({**position, **metrics})
        if trainer.is_global_zero:
            self._check_folder()
            self.folder.write_rows(self._rows)

    def on_validation_start(self, trainer: Trainer, pl_module: VideoPrediction) -> None:  # type: ignore[override]
        """Keep the metrics of before."""
        if trainer.is_global_zero:
            self._check_folder()
        self._before = dict(trainer.callback_metrics)

    def on_validation_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: VideoPrediction, outputs: Rollouts, batch: Batch, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Keep the clips that are shown."""
        if batch_idx == 0:
            self._gallery = Gallery(self.clips, known=pl_module.context_frames)
        self._gallery.add(outputs, batch)

    def on_validation_end(self, trainer: Trainer, pl_module: VideoPrediction) -> None:  # type: ignore[override]
        """Show this validation, and keep it if it is the best so far."""
        self._validated = not trainer.sanity_checking
        self._of_validation |= {name for name, value in trainer.callback_metrics.items()
                                if value is not self._before.get(name)}  # fmt: skip
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        clips, scores = _as_matrix({clip: found.psnr for clip, found in pl_module.clip_scores.items()})
        self._keep_scores(trainer, pl_module.clip_scores)
        shown = [one.rows for one in self._gallery.first]
        film = np.concatenate([side_by_side(rows, scale=self.scale) for rows in shown], axis=1)
        still = np.concatenate([strip(rows, scale=self.scale) for rows in shown], axis=0)
        gif = encode_gif(film, fps=pl_module.data.fps)
        png = encode_png(still)
        tracking.show_picture(trainer, "films/strip", still, png=png)
        tracking.show_film(trainer, "films/side_by_side", gif, height=film.shape[1], width=film.shape[2])
        draw = partial(psnr_figure, {"model": scores}, context_frames=pl_module.context_frames)
        tracking.show_figure(trainer, "psnr/per_frame", draw)
        mean = float(np.nanmean(scores, axis=1).mean())
        if mean > self.best:
            self.best = mean
            self.folder.write("film.gif", gif)
            self.folder.write("strip.png", png)
            self.folder.write_arrays("films.npz", **self._gallery.to_arrays())
            self.folder.write_arrays(
                "psnr.npz", clips=clips, model=scores, context_frames=np.array(pl_module.context_frames)
            )

    def _check_folder(self) -> None:
        """Refuse to make half a folder again where somebody has removed that of the run.

        Raises:
            RunFolderError: then.
        """
        if self._marked and not (self.folder.path / "run.json").is_file():
            raise RunFolderError(f"{self.folder.path} was removed, or its run.json, while the run trained: nothing of "
                                 f"it can be kept; start it again")  # fmt: skip

    def _keep_scores(self, trainer: Trainer, scores: dict[int, ClipScores]) -> None:
        """Add this validation to ``validations.npz``; one at the same step, which a resumed run repeats, gives way."""
        step = trainer.global_step
        this = {
            "epochs": np.array([trainer.current_epoch]), "steps": np.array([step]), "clips": np.array(list(scores)),
            **{name: np.array([[float(getattr(clip, name).mean()) for clip in scores.values()]], dtype=np.float32)
               for name in ClipScores._fields},
        }  # fmt: skip
        before = self._validations
        if before and np.array_equal(before["clips"], this["clips"]):
            kept = before["steps"] != step
            this |= {name: np.concatenate([before[name][kept], this[name]]) for name in this if name != "clips"}
        self._validations = this
        self.folder.write_arrays("validations.npz", **this)

    def _elapsed(self) -> float:
        return self._seconds + (time.perf_counter() - self._started if self._started else 0.0)


class ProgressBar(RichProgressBar):
    """Lightning's bar with short names, and the time that the whole run still takes.

    Where there is no terminal, one plain line is printed instead for every epoch with a validation: its means.
    """

    def __init__(self, *, refresh_rate: int = 5) -> None:
        super().__init__(refresh_rate=refresh_rate)
        self._begun = (0.0, 0)
        self._validated = False
        if not sys.stdout.isatty():
            self.disable()

    def on_train_start(self, trainer: Trainer, pl_module: VideoPrediction) -> None:  # type: ignore[override]
        """Start the clock."""
        super().on_train_start(trainer, pl_module)
        self._begun = (time.perf_counter(), trainer.global_step)

    def get_metrics(self, trainer: Trainer, pl_module: VideoPrediction) -> dict[str, Any]:  # type: ignore[override]
        """What stands behind the bar: losses of the last step."""
        values = {name.removesuffix("_step"): value for name, value in trainer.progress_bar_metrics.items()}
        return self._tell(values, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: VideoPrediction) -> None:  # type: ignore[override]
        """Remember it for the end of the epoch."""
        super().on_validation_end(trainer, pl_module)
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: VideoPrediction) -> None:  # type: ignore[override]
        """Without a terminal, say how the run goes."""
        super().on_train_epoch_end(trainer, pl_module)
        if self._validated and not sys.stdout.isatty() and trainer.is_global_zero:
            metrics = ", ".join(f"{name} {value}" for name, value in
                                self._tell(trainer.callback_metrics, pl_module).items())  # fmt: skip
            print(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: {metrics}", flush=True)
        self._validated = False

    def _tell(self, values: Mapping[str, Any], module: VideoPrediction) -> dict[str, Any]:
        """The values that are shown, by short names, and the time left."""
        shown = {short: f"{float(values[name]):.3g}" for name, short in _SHOWN.items() if name in values}
        return shown | {"left": self._time_left(module.now)}

    def _time_left(self, now: Now) -> str:
        started, first = self._begun
        done = now.step - first
        if done < 1:
            return "?"
        seconds = (now.steps - now.step) * (time.perf_counter() - started) / done
        return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class Throughput(Callback):
    """Measures predicted frames a second, and the share of the time that training waits for data."""

    def __init__(self) -> None:
        self._waiting = self._working = 0.0
        self._frames = 0
        self._mark = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: VideoPrediction) -> None:  # type: ignore[override]
        """Start the clock; the loader starts as well."""
        self._waiting = self._working = 0.0
        self._frames, self._mark = 0, time.perf_counter()

    def on_train_batch_start(  # type: ignore[override]
        self, trainer: Trainer, pl_module: VideoPrediction, batch: Batch, batch_idx: int
    ) -> None:
        """The batch is here."""
        now = time.perf_counter()
        self._waiting, self._mark = self._waiting + now - self._mark, now

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: VideoPrediction, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """The step is done."""
        now = time.perf_counter()
        self._working, self._mark = self._working + now - self._mark, now
        self._frames += batch.frames.shape[0] * (batch.frames.shape[1] - pl_module.context_frames)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: VideoPrediction) -> None:  # type: ignore[override]
        """Log both for the epoch."""
        total = max(self._waiting + self._working, 1e-9)
        pl_module.log("speed/frames_per_second", self._frames * trainer.world_size / total, sync_dist=True)
        pl_module.log("speed/loader_share", self._waiting / total, sync_dist=True)


def _until(folder: RunFolder, step: int) -> dict[str, Array]:
    """The validations that a run which goes on from a step does not repeat."""
    if not (folder.path / "validations.npz").is_file():
        return {}
    arrays = folder.read_arrays("validations.npz")
    kept = arrays["steps"] <= step
    return {name: values if name == "clips" else values[kept] for name, values in arrays.items()}


def _as_matrix(scores: dict[int, Tensor]) -> tuple[Array, Float[Array, "B S"]]:
    """Clips' numbers, and their scores in rows, padded with NaN."""
    rows = torch.nn.utils.rnn.pad_sequence(list(scores.values()), batch_first=True, padding_value=float("nan"))
    return np.array(list(scores)), rows.numpy()
