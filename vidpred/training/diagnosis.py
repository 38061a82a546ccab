"""The doctor's round during training: after every validation, on a few clips."""

from functools import partial
from typing import Any

import torch
from lightning import Callback, Trainer

from vidpred.doctor import Doctor, Vitals, judge
from vidpred.runfolder import RunFolder
from vidpred.training import tracking
from vidpred.training.module import VideoPrediction
from vidpred.types import Batch
from vidpred.viz.latents import latents_figure


class CollapseDoctor(Callback):
    """Examines the first validation clips for posterior collapse, cheaply.

    Its numbers go to the loggers and to ``metrics.csv`` as ``doctor/…``, the latest in full and its verdict to
    ``doctor.json``, and a figure of rate and distortion so far to loggers that take one. Under several processes the
    first one examines its own clips.

    Args:
        folder: of the run.
        clips: that are examined.
        frames: of each, context included.

    Raises:
        ValueError: if there is nothing to examine.
    """

    def __init__(self, folder: RunFolder, *, clips: int = 4, frames: int = 32) -> None:
        if clips < 1 or frames < 2:
            raise ValueError(f"callbacks.doctor needs clips >= 1 and frames >= 2, got {clips}, {frames}")
        self.folder, self.clips, self.frames = folder, clips, frames
        self._history: list[tuple[float, float]] = []  # rate and distortion of every validation

    def state_dict(self) -> dict[str, Any]:
        """Rate and distortion so far."""
        return {"history": [list(point) for point in self._history]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._history = [(rate, distortion) for rate, distortion in state_dict["history"]]

    def on_validation_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: VideoPrediction, outputs: Any, batch: Batch, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Examine the first batch."""
        if batch_idx or trainer.sanity_checking or not trainer.is_global_zero:
            return
        frames = max(self.frames, pl_module.context_frames + 1)
        doctor = Doctor(pl_module.model, context_frames=pl_module.context_frames, seed=pl_module.seed)
        doctor.examine(batch.frames[: self.clips, :frames], batch.poses[: self.clips, :frames])
        self._tell(trainer, pl_module, doctor.report())

    def _tell(self, trainer: Trainer, pl_module: VideoPrediction, vitals: Vitals) -> None:
        verdict = judge(vitals, deterministic=pl_module.data.source.deterministic)
        scalars = {
            "doctor/active_units": float(vitals.active_units),
            "doctor/rate": vitals.rate,
            "doctor/distortion": vitals.distortion,
            "doctor/movement": vitals.movement,
            "doctor/worth_db": vitals.worth,
            "doctor/room_db": vitals.room,
        }
        pl_module.log_dict({name: torch.tensor(value) for name, value in scalars.items()}, rank_zero_only=True)
        self._history.append((vitals.rate, vitals.distortion))
        self.folder.write_json("doctor.json", {**verdict._asdict(), **vitals._asdict(), "worth_db": vitals.worth,
                                               "room_db": vitals.room})  # fmt: skip
        draw = partial(latents_figure, vitals.rate_per_channel, vitals.rate_per_step, self._history)
        tracking.show_figure(trainer, "z/collapse", draw)
        tracking.show_text(trainer, "doctor/verdict", verdict.sentence)
