"""What TensorBoard shows: its layout, films, and the hyper-parameters that sweeps compare."""

from typing import Any

from lightning import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]

LAYOUT = {
    "vidpred": {
        "losses": ["Multiline", ["train/loss_epoch", "train/reconstruction_epoch"]],
        "KL": ["Multiline", ["train/kl_epoch"]],
        "schedules": ["Multiline", ["schedule/beta$", "schedule/forcing_prob$"]],
        "learning rate": ["Multiline", ["schedule/lr"]],
        "PSNR": ["Multiline", ["psnr/val"]],
    }
}


def add_gif(logger: TensorBoardLogger, tag: str, gif: bytes, size: tuple[int, int], step: int) -> None:
    """Add an animated GIF as an image."""
    image = Summary.Image(height=size[0], width=size[1], colorspace=3, encoded_image_string=gif)
    summary = Summary(value=[Summary.Value(tag=tag, image=image)])
    logger.experiment._get_file_writer().add_summary(summary, step)


def log_outcome(trainer: Trainer, choices: dict[str, Any], scores: dict[str, float]) -> None:
    """Add the run to TensorBoard's HParams tab: what tells it from other runs, against its scores."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(choices, {f"hp/{name}": score for name, score in scores.items()})
            logger.finalize("success")
