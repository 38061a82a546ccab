"""What loggers are shown beside scalars: pictures, figures, films, texts, the configuration and the outcome.

TensorBoard is served in full. Any other logger of Lightning is asked what it has a method for, by the names that
WandbLogger uses: ``log_image``, ``log_video``, ``log_text``; one without them gets scalars alone.
"""

import io
from collections.abc import Callable, Iterator, Set
from typing import Any, Protocol, runtime_checkable

import numpy as np
import yaml
from jaxtyping import UInt8
from lightning import Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy import ndarray as Array
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata  # type: ignore[import-untyped]
from tensorboard.plugins.hparams import api_pb2, metadata  # type: ignore[import-untyped]
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData  # type: ignore[import-untyped]
from torch.utils.tensorboard.summary import hparams

from vidpred.viz.films import encode_png

# what the Custom Scalars tab shows, from what matters most: categories, their charts, the tags of a chart
LAYOUT = {
    "quality": {
        "PSNR of validation rollouts (dB)": ["psnr/val"],
        "SSIM of validation rollouts": ["ssim/val"],
        "z: worth, and what it could be (dB)": ["doctor/worth_db", "doctor/room_db"],
    },
    "loss": {
        "loss, reconstruction": ["train/loss", "train/reconstruction"],
        "KL, and what the loss pays for it": ["train/kl", "train/weighted_kl"],
        "z: KL (nats a frame)": ["doctor/rate"],
    },
    "schedules": {
        "beta": ["schedule/beta"],
        "forcing probability": ["schedule/forcing_prob"],
        "learning rate": ["schedule/lr"],
        "clip length (frames)": ["schedule/clip_length"],
    },
    "gradients and speed": {
        "gradient norm, before clipping": ["train/gradient_norm"],
        "predicted frames a second": ["speed/frames_per_second"],
        "share of the time that waits for data": ["speed/loader_share"],
    },
}
# what the HParams tab compares; it shows the first five, and the others on demand
COMPARED = {
    "psnr_best": "PSNR, best", "psnr_last": "PSNR, last", "ssim_best": "SSIM, best", "ssim_last": "SSIM, last",
    "kl_last": "KL, last", "kl_best": "KL, best",
}  # fmt: skip


@runtime_checkable
class _TakesImages(Protocol):
    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None: ...


@runtime_checkable
class _TakesVideos(Protocol):
    def log_video(self, key: str, videos: list[Any], step: int | None = None, **each: list[Any]) -> None: ...


@runtime_checkable
class _TakesText(Protocol):
    def log_text(
        self, key: str, columns: list[str] | None = None, data: list[list[str]] | None = None, *,
        step: int | None = None,
    ) -> None: ...  # fmt: skip


@runtime_checkable
class _Finishes(Protocol):
    def finish(self, exit_code: int | None = None) -> None: ...


def open_logs(trainer: Trainer, config: dict[str, Any]) -> None:
    """Open TensorBoard on what matters, and tell every logger the configuration: TensorBoard as text."""
    for logger in _loggers(trainer):
        if isinstance(logger, TensorBoardLogger):
            charts = {category: {title: ["Multiline", [f"^{tag}$" for tag in tags]] for title, tags in part.items()}
                      for category, part in LAYOUT.items()}  # fmt: skip
            logger.experiment.add_custom_scalars(charts)
            text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
            logger.experiment.add_text("config", f"```yaml\n{text}```", trainer.global_step)
        else:
            logger.log_hyperparams(config)


def show_picture(trainer: Trainer, tag: str, picture: UInt8[Array, "H W 3"], *, png: bytes | None = None) -> None:
    """Show a picture at this step; ``png`` is the same, where it has been encoded already."""
    for logger in _loggers(trainer):
        if isinstance(logger, TensorBoardLogger):
            _add_image(logger, tag, png or encode_png(picture), *picture.shape[:2], step=trainer.global_step)
        elif isinstance(logger, _TakesImages):
            logger.log_image(tag, [picture], step=trainer.global_step)


def show_figure(trainer: Trainer, tag: str, draw: Callable[[], Figure]) -> None:
    """Show a figure at this step; where no logger takes pictures it is not drawn."""
    if any(isinstance(logger, (TensorBoardLogger, _TakesImages)) for logger in _loggers(trainer)):
        canvas: Any = FigureCanvasAgg(draw())
        canvas.draw()
        show_picture(trainer, tag, np.asarray(canvas.buffer_rgba())[..., :3].copy())


def show_film(trainer: Trainer, tag: str, gif: bytes, *, height: int, width: int) -> None:
    """Show an animated GIF at this step."""
    for logger in _loggers(trainer):
        if isinstance(logger, TensorBoardLogger):
            _add_image(logger, tag, gif, height, width, step=trainer.global_step)
        elif isinstance(logger, _TakesVideos):
            logger.log_video(tag, [io.BytesIO(gif)], step=trainer.global_step, format=["gif"])


def show_text(trainer: Trainer, tag: str, text: str) -> None:
    """Show a text, in Markdown, at this step."""
    for logger in _loggers(trainer):
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text(tag, text, trainer.global_step)
        elif isinstance(logger, _TakesText):
            logger.log_text(tag, columns=["text"], data=[[text]], step=trainer.global_step)


def log_outcome(trainer: Trainer, choices: dict[str, Any], scores: dict[str, float], *, varied: Set[str]) -> None:
    """Log the scores that runs are compared by, and end the logs: in TensorBoard's HParams tab, against the choices.

    Args:
        trainer: that has trained.
        choices: what tells this run from others.
        scores: of the run; those that ``COMPARED`` names are logged, as ``hp/…``.
        varied: the choices that the sweep varies, which the tab then shows alone; of a single run it lists all.
    """
    compared = {f"hp/{name}": scores[name] for name in COMPARED if name in scores}
    for logger in _loggers(trainer):
        if isinstance(logger, TensorBoardLogger):
            _, start, end = hparams(choices, compared)  # type: ignore[no-untyped-call]
            for summary in (_describe_choices(choices, compared, varied), start, end):
                _write(logger, summary, 0)
        logger.log_metrics(compared, step=trainer.global_step)
        logger.finalize("success")
    close_logs(trainer)


def close_logs(trainer: Trainer, *, failed: bool = False) -> None:
    """End the runs of loggers whose runs outlive the training: the next job of a sweep would write into the same."""
    for logger in _loggers(trainer):
        run = getattr(logger, "experiment", None)
        if isinstance(run, _Finishes):
            run.finish(exit_code=int(failed))


def _describe_choices(choices: dict[str, Any], compared: dict[str, float], varied: Set[str]) -> Summary:
    """The columns of the HParams tab, which takes them from one run, whichever it finds first, for all."""
    kinds = {True: api_pb2.DATA_TYPE_STRING, False: api_pb2.DATA_TYPE_FLOAT64}
    experiment = api_pb2.Experiment(
        hparam_infos=[
            api_pb2.HParamInfo(name=name, type=kinds[isinstance(value, str)], differs=name in varied)
            for name, value in choices.items()
            if not varied or name in varied
        ],
        metric_infos=[
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=COMPARED[tag.removeprefix("hp/")])
            for tag in compared
        ],
    )
    content = HParamsPluginData(experiment=experiment, version=metadata.PLUGIN_DATA_VERSION).SerializeToString()
    plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME, content=content)
    return Summary(value=[Summary.Value(tag=metadata.EXPERIMENT_TAG, metadata=SummaryMetadata(plugin_data=plugin))])


def _add_image(logger: TensorBoardLogger, tag: str, encoded: bytes, height: int, width: int, *, step: int) -> None:
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=encoded)
    _write(logger, Summary(value=[Summary.Value(tag=tag, image=image)]), step)


def _write(logger: TensorBoardLogger, summary: Summary, step: int) -> None:
    logger.experiment._get_file_writer().add_summary(summary, step)


def _loggers(trainer: Trainer) -> Iterator[Logger]:
    """Those of the first process; the others' show nothing."""
    return iter(trainer.loggers if trainer.is_global_zero else [])
