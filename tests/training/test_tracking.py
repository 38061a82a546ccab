"""What loggers are shown: TensorBoard everything, others what they have a method for."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from lightning import Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from matplotlib.figure import Figure
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from vidpred import assembly, configuration
from vidpred.runfolder import RunFolder
from vidpred.training import tracking

SMALL = ("model.widths=[8,8,8]", "baselines=false", "trainer.precision=32-true")
PICTURES = {"films/strip", "psnr/per_frame", "z/collapse"}


class Scalars(Logger):
    """A logger of somebody else, with what Lightning asks for and no more."""

    name, version = "other", "0"

    def __init__(self) -> None:
        super().__init__()
        self.metrics, self.config = {}, {}

    def log_metrics(self, metrics, step=None):
        self.metrics |= metrics

    def log_hyperparams(self, params, *given, **named):
        self.config = params


class Pictures(Scalars):
    """One that also takes pictures, films and texts, as WandbLogger does, and whose run has to be finished."""

    def __init__(self) -> None:
        super().__init__()
        self.images, self.videos, self.texts, self.exits = {}, {}, {}, []
        self.experiment = SimpleNamespace(finish=lambda exit_code=None: self.exits.append(exit_code))

    def log_image(self, key, images, step=None):
        self.images.setdefault(key, []).append((step, *images))

    def log_video(self, key, videos, step=None, format=()):
        self.videos.setdefault(key, []).append((step, *format, *videos))

    def log_text(self, key, columns=None, data=None, dataframe=None, step=None):
        self.texts.setdefault(key, []).append((step, columns, data))


def fit(cfg, *loggers):
    run = assembly.build_run(cfg)
    run.trainer.loggers = [*run.trainer.loggers, *loggers]
    run.trainer.fit(run.module, datamodule=run.data)
    return run


def trainer_of(*loggers) -> Trainer:
    """A trainer with nothing to train."""
    return Trainer(accelerator="cpu", logger=list(loggers), enable_checkpointing=False)


def read_events(folder) -> EventAccumulator:
    return EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0, "tensors": 0}).Reload()


@pytest.fixture
def shown(compose, tmp_path):
    """A run under three loggers at once: TensorBoard, one that takes pictures, one that does not."""
    pictures, scalars = Pictures(), Scalars()
    run = fit(compose(*SMALL, run_dir=tmp_path / "run"), pictures, scalars)
    return run, read_events(tmp_path / "run"), pictures, scalars


def test_every_tag_of_the_layout_has_points_in_a_run(shown):
    _, events, *_ = shown
    tags = [tag for charts in tracking.LAYOUT.values() for chart in charts.values() for tag in chart]
    assert {tag: len(events.Scalars(tag)) for tag in tags if tag in events.Tags()["scalars"]}.keys() == set(tags)
    assert all(len(events.Scalars(tag)) > 0 for tag in tags)
    assert "custom_scalars__config__" in events.Tags()["tensors"]


def test_the_text_tab_holds_the_resolved_configuration(shown):
    run, events, *_ = shown
    (event,) = events.Tensors("config/text_summary")
    text = event.tensor_proto.string_val[0].decode()
    assert text.startswith("```yaml\n")
    assert yaml.safe_load(text.removeprefix("```yaml\n").removesuffix("```")) == run.module.config
    assert events.Tensors("doctor/verdict/text_summary")


def test_tensorboard_shows_pictures_of_every_validation_and_an_animated_film(shown):
    _, events, *_ = shown
    assert set(events.Tags()["images"]) == PICTURES | {"films/side_by_side"}
    for tag in events.Tags()["images"]:
        assert [event.step for event in events.Images(tag)] == [2, 4], tag
    film = events.Images("films/side_by_side")[-1]
    with Image.open(io.BytesIO(film.encoded_image_string)) as gif:
        assert (gif.format, gif.n_frames, gif.size) == ("GIF", 7, (film.width, film.height))


def test_a_logger_with_the_methods_of_wandb_is_shown_what_tensorboard_is(shown, tmp_path):
    run, events, pictures, _ = shown
    assert set(pictures.images) == PICTURES
    for tag in PICTURES:
        for (step, picture), event in zip(pictures.images[tag], events.Images(tag), strict=True):
            assert step == event.step
            with Image.open(io.BytesIO(event.encoded_image_string)) as seen:
                assert np.array_equal(np.asarray(seen), picture), tag
    gifs = [event.encoded_image_string for event in events.Images("films/side_by_side")]
    assert [(step, kind, film.read()) for step, kind, film in pictures.videos["films/side_by_side"]] == [
        (2, "gif", gifs[0]), (4, "gif", gifs[1])]  # fmt: skip
    (_, columns, [[sentence]]) = pictures.texts["doctor/verdict"][-1]
    assert columns == ["text"]
    assert sentence == RunFolder(tmp_path / "run").read_json("doctor.json")["sentence"]
    assert pictures.config == run.module.config


def test_a_logger_without_such_methods_gets_scalars_alone(shown):
    run, _, pictures, scalars = shown
    assert scalars.metrics == pictures.metrics
    assert {"psnr/val", "train/weighted_kl_step", "schedule/clip_length"} <= scalars.metrics.keys()
    assert scalars.config == run.module.config


def test_where_nobody_looks_no_figure_is_drawn(monkeypatch):
    def draw() -> Figure:
        raise AssertionError("drawn")

    tracking.show_figure(trainer_of(Scalars()), "tag", draw)
    monkeypatch.setattr(Trainer, "is_global_zero", False)
    tracking.show_figure(trainer_of(Pictures()), "tag", draw)


CHOICES = {"kl_anneal": "cyclical", "seed": 1, "optimizer.lr": 0.1, "data": "dancers"}
SCORES = {
    "psnr_best": 21.0,
    "psnr_last": 20.0,
    "copy_context": 15.0,
    "ssim_best": 0.8,
    "ssim_last": 0.7,
    "kl_best": 4.0,
    "kl_last": 3.0,
}


@pytest.mark.parametrize("varied", [{"kl_anneal", "seed"}, set()])
def test_the_hparams_tab_compares_scores_by_what_a_sweep_varies_or_else_by_all(tmp_path, varied):
    pictures = Pictures()
    logger = TensorBoardLogger(tmp_path, name="tensorboard", version="")
    tracking.log_outcome(trainer_of(logger, pictures), CHOICES, SCORES, varied=varied)
    events = read_events(tmp_path)
    told = [HParamsPluginData.FromString(events.SummaryMetadata(f"_hparams_/{name}").plugin_data.content)
            for name in ("experiment", "session_start_info", "session_end_info")]  # fmt: skip
    assert {info.name for info in told[0].experiment.hparam_infos} == (varied or set(CHOICES))
    compared = ["psnr_best", "psnr_last", "ssim_best", "ssim_last", "kl_last", "kl_best"]
    assert [info.name.tag for info in told[0].experiment.metric_infos] == [f"hp/{name}" for name in compared]
    assert set(told[1].session_start_info.hparams) == set(CHOICES)
    assert {name: events.Scalars(f"hp/{name}")[0].value for name in compared} == pytest.approx(
        {name: SCORES[name] for name in compared})  # fmt: skip
    assert pictures.metrics == {f"hp/{name}": SCORES[name] for name in compared}
    assert pictures.exits == [0]


def test_a_run_that_fails_leaves_no_log_open_for_the_next_job(compose, tmp_path, monkeypatch):
    pictures = Pictures()
    monkeypatch.setattr("vidpred.training.module.unroll", lambda *given, **named: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(compose(*SMALL, "logger=none", run_dir=tmp_path / "run"), pictures)
    assert pictures.exits == [1]


@pytest.mark.parametrize(("objective", "settings"), [
    ("elbo", []), ("free_bits", []), ("capacity", []), ("geco", ["objective.tolerance=0.05"])])  # fmt: skip
def test_the_weighted_kl_is_the_loss_without_its_reconstruction(compose, tmp_path, objective, settings):
    beta = [] if objective == "geco" else ["kl_anneal=constant", "kl_anneal.beta_stop=0.3"]
    run = fit(compose(*SMALL, "logger=none", f"objective={objective}", *settings, *beta, run_dir=tmp_path / "run"))
    logged = {name: float(value) for name, value in run.trainer.callback_metrics.items()}
    weight = run.module.objective.weights(logged["schedule/beta"])["reconstruction"]
    rest = logged["train/loss_step"] - weight * logged["train/reconstruction_step"]
    assert logged["train/weighted_kl_step"] == pytest.approx(rest, rel=1e-4, abs=1e-6)
    if objective == "elbo":
        assert logged["train/weighted_kl_step"] == pytest.approx(0.3 * logged["train/kl_step"])
    row = RunFolder(tmp_path / "run").read_rows()[-1]
    assert row["train/weighted_kl"] == pytest.approx(logged["train/weighted_kl"])
    assert row["schedule/clip_length"] == 3.0


def test_several_loggers_at_once(compose, tmp_path):
    fit(compose(*SMALL, "logger=[tensorboard,csv]", run_dir=tmp_path / "run"))
    assert read_events(tmp_path / "run").Scalars("psnr/val")
    assert "psnr/val" in (tmp_path / "run" / "csv" / "metrics.csv").read_text()


@pytest.mark.parametrize(
    ("mode", "written", "params", "varied"),
    [
        ("MULTIRUN", ["kl_anneal=none,cyclical", "seed=range(0,3)", "data.stochastic=0", "model.widths=[8,8,8]"], {},
         {"kl_anneal", "seed"}),
        ("MULTIRUN", ["sweep=annealing", "seed=0,1"], {"kl_anneal": "none,cyclical"}, {"kl_anneal", "seed"}),
        ("RUN", ["kl_anneal=cyclical"], {}, set()),
    ],
)  # fmt: skip
def test_what_a_sweep_varies_is_what_was_given_several_values(tmp_path, monkeypatch, mode, written, params, varied):
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    sweep = {"hydra": {"overrides": {"task": written}, "sweeper": {"params": params or None}}}
    (tmp_path / "multirun.yaml").write_text(yaml.safe_dump(sweep))
    job = SimpleNamespace(mode=RunMode[mode], sweep=SimpleNamespace(dir=str(tmp_path)))
    monkeypatch.setattr(HydraConfig, "get", lambda: job)
    assert configuration.list_varied() == varied
