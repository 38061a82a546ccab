import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import Callback, Trainer
from PIL import Image
from samples import IMAGES, TINY, lively

from vidpred import __version__, assembly
from vidpred.data.clips import whole_sequence
from vidpred.data.datamodule import ClipDataModule, to_batch
from vidpred.metrics import psnr
from vidpred.networks import LearnedPrior, rollout
from vidpred.networks.checkpoint import read_checkpoint
from vidpred.objectives import Elbo
from vidpred.runfolder import RunFolder
from vidpred.schedules import kl_anneal, learning_rate, teacher_forcing
from vidpred.training.means import EpochMeans
from vidpred.training.module import VideoPrediction
from vidpred.training.provenance import describe


def fit(cfg, checkpoint=None, **options):
    run = assembly.build_run(cfg)
    run.trainer.fit(run.module, datamodule=run.data, ckpt_path=checkpoint, weights_only=True)
    return run


def weights(run) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.module.state_dict().items()}


def assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


SMALL = ("trainer.precision=32-true", "model.widths=[8,8,8]", "model.name_channels=4", "baselines=false")


def test_two_runs_with_one_seed_give_identical_weights(compose, tmp_path):
    runs = [fit(compose(*SMALL, "logger=none", run_dir=tmp_path / str(number))) for number in range(2)]
    assert_same(weights(runs[0]), weights(runs[1]))
    other = fit(compose(*SMALL, "logger=none", "seed=1", run_dir=tmp_path / "other"))
    assert any(not torch.equal(value, weights(other)[name]) for name, value in weights(runs[0]).items())


RESUMED = (*SMALL, "logger=none", "data.clips_per_epoch=8", "trainer.max_epochs=3", "kl_anneal.by=step",
           "teacher_forcing=linear", "teacher_forcing.granularity=frame", "teacher_forcing.decay_start=0")  # fmt: skip


@pytest.mark.parametrize(("every", "workers", "callbacks"), [(3, 0, "default"), (4, 0, "ema"), (6, 2, "default")])
def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_one(compose, tmp_path, every, workers, callbacks):
    """Checkpoints inside an epoch (3, 6 of 4 batches an epoch) and at its end (4)."""
    options = (*RESUMED, f"callbacks={callbacks}", f"data.num_workers={workers}")
    whole = fit(compose(*options, run_dir=tmp_path / "whole"))

    stopped = compose(*options, f"callbacks.last.every_n_train_steps={every}", "callbacks.last.every_n_epochs=null",
                      "callbacks.last.save_on_train_epoch_end=false", f"+trainer.max_steps={every}",
                      run_dir=tmp_path / "stopped")  # fmt: skip
    run = assembly.build_run(stopped)
    run.trainer.fit(run.module, datamodule=run.data)
    assert run.trainer.global_step == every

    resumed = fit(compose(*options, run_dir=tmp_path / "resumed"), tmp_path / "stopped" / "checkpoints" / "last.ckpt")
    assert resumed.trainer.global_step == whole.trainer.global_step == 12
    assert_same(weights(resumed), weights(whole))


def test_a_checkpoint_inside_an_epoch_holds_the_means_of_all_processes(compose, tmp_path, monkeypatch):
    """Each goes on with them, so that the epoch's means are those of all clips; its own sums are not touched."""
    run = assembly.build_run(compose(*SMALL, "logger=none", "data.clips_per_epoch=8", "trainer.max_epochs=1",
                                     "callbacks.last.every_n_train_steps=2", "callbacks.last.every_n_epochs=null",
                                     "callbacks.last.save_on_train_epoch_end=false"))  # fmt: skip
    own = []

    def reduce(sums, group=None, reduce_op="mean"):
        if reduce_op != "mean":  # of Lightning's own questions
            return sums
        own.append(sums.clone())
        return sums.mul_(3)  # in place, as DDP does

    monkeypatch.setattr(run.trainer.strategy, "reduce", reduce)
    run.trainer.fit(run.module, datamodule=run.data)
    held = read_checkpoint(tmp_path / "run" / "checkpoints" / "previous.ckpt")["vidpred"]["epoch_means"]
    assert torch.equal(held["sums"], 3 * own[0])
    loss = float(run.trainer.callback_metrics["train/loss"]) * 8
    assert float(own[0][0]) < loss < 1.5 * float(own[-1][0])


CONTROLLERS = {
    "control_vae": ("objective.kl_target=2.0", "objective.ki=0.1", {"integral"}),
    "geco": ("objective.tolerance=0.05", "objective.rate=0.1", {"average", "log_multiplier"}),
}


@pytest.mark.parametrize("objective", CONTROLLERS)
def test_a_resumed_controller_goes_on_where_it_was(compose, tmp_path, objective):
    """Its state is in the checkpoint, moved, and the resumed run ends with the state of an undisturbed one."""
    *settings, names = CONTROLLERS[objective]
    options = (*SMALL, "logger=none", f"objective={objective}", *settings, "data.clips_per_epoch=8",
               "trainer.max_epochs=1", "+trainer.limit_val_batches=0", "callbacks.recorder=null",
               "callbacks.best=null")  # fmt: skip
    whole = fit(compose(*options, run_dir=tmp_path / "whole"))
    stopped = compose(*options, "callbacks.last.every_n_train_steps=3", "callbacks.last.every_n_epochs=null",
                      "callbacks.last.save_on_train_epoch_end=false", "+trainer.max_steps=3",
                      run_dir=tmp_path / "stopped")  # fmt: skip
    fresh = assembly.build_run(stopped)
    start = {name: fresh.module.objective.state_dict()[name].clone() for name in names}
    fresh.trainer.fit(fresh.module, datamodule=fresh.data)
    file = tmp_path / "stopped" / "checkpoints" / "last.ckpt"
    kept = torch.load(file, weights_only=True)["state_dict"]
    for name, value in start.items():
        assert not torch.equal(kept[f"objective.{name}"], value), name
    assert_same(weights(fit(compose(*options, run_dir=tmp_path / "resumed"), file)), weights(whole))


def test_a_controllers_beta_is_what_weighs_and_what_is_logged(compose, tmp_path):
    cfg = compose(*SMALL, "logger=none", "objective=control_vae", "objective.kl_target=0.01", "objective.ki=0.5",
                  "data.clips_per_epoch=2", "trainer.max_epochs=1", run_dir=tmp_path / "run")  # fmt: skip
    run = fit(cfg)
    logged = run.trainer.callback_metrics
    state = run.module.objective
    wanted = state.integral + state.kp * torch.sigmoid(logged["train/kl_per_frame_step"] - 0.01)
    torch.testing.assert_close(logged["schedule/beta"], wanted)
    assert wanted > 0.1
    loss = logged["train/reconstruction_step"] + wanted * logged["train/kl_step"]
    torch.testing.assert_close(logged["train/loss_step"], loss)


def test_capacity_is_zero_at_the_first_step_and_full_at_the_last(compose, tmp_path):
    run = assembly.build_run(compose(*SMALL, "logger=none", "objective=capacity", run_dir=tmp_path / "run"))
    seen, module = [], run.module
    inner = module.objective

    class Spy(type(inner)):
        def at(self, progress):
            seen.append(progress)
            return super().at(progress)

    module.objective = Spy(base=inner.base)
    run.trainer.fit(module, datamodule=run.data)
    assert seen == [0.0, pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0]


def test_the_equivalent_beta_is_said_once_at_the_start(compose, tmp_path, capsys):
    fit(compose(*SMALL, "logger=none", "objective=lab", run_dir=tmp_path / "run"))
    lines = [line for line in capsys.readouterr().out.splitlines() if "papers' convention" in line]
    assert len(lines) == 1
    assert f"like {3 * 16 * 32 / 2:.4g} " in lines[0]
    row = RunFolder(tmp_path / "run").read_rows()[-1]
    assert row["schedule/beta_equivalent"] == pytest.approx(row["schedule/beta"] * 768)


def test_overfits_one_clip(compose):
    cfg = compose("logger=none", "baselines=false", "trainer.precision=32-true", "data.train_clips=1",
                  "data.train_frames=4", "data.batch_size=1", "data.clips_per_epoch=1", "data.random_start=false",
                  "data.stochastic=0.0", "teacher_forcing=never", "trainer.max_epochs=300",
                  "trainer.check_val_every_n_epoch=300", "optimizer.lr=3e-3", "kl_anneal.beta_stop=1e-3")  # fmt: skip
    run = fit(cfg)
    store = run.data.store("train")
    frames, poses = (pixels.float() / 255 for pixels in whole_sequence(store, run.data.poses, 0))
    predicted = rollout(run.module.model, frames[None, :1], poses[None], z="mean")
    copied = psnr(frames[None, :1].expand(1, 3, -1, -1, -1), frames[None, 1:], data_range=1.0).mean()
    assert psnr(predicted, frames[None, 1:], data_range=1.0).mean() > copied + 6


def test_the_run_folder_describes_the_run(compose, tmp_path):
    cfg = compose(run_dir=tmp_path / "run")
    run = assembly.build_run(cfg)
    folder = RunFolder(tmp_path / "run")
    describe(
        folder,
        config=run.module.config,
        choices={"kl_anneal": "none"},
        data=run.data.source.fingerprint,
        protocol="0123",
        parameters=1,
        precision="32",
    )
    run.trainer.fit(run.module, datamodule=run.data)
    about = folder.read_json("run.json")
    assert about["seed"] == 0
    assert about["data"] == run.data.source.fingerprint
    assert torch.__version__.startswith(about["versions"]["torch"])
    assert about["versions"]["vidpred"] == __version__  # of the code that ran, not of what was installed once
    rows = folder.read_rows()
    assert [row["epoch"] for row in rows] == [0, 1]
    for name in ("train/loss", "train/reconstruction", "train/kl", "schedule/beta", "schedule/forcing_prob", "psnr/val",
                 "speed/frames_per_second"):  # fmt: skip
        assert name in rows[-1], name
    with (folder.path / "metrics.csv").open() as stream:
        assert "epoch" in csv.DictReader(stream).fieldnames
    arrays = folder.read_arrays("psnr.npz")
    assert arrays["model"].shape == (2, 7)
    assert np.nanmean(arrays["model"]) == pytest.approx(max(row["psnr/val"] for row in rows), abs=1e-3)
    with Image.open(folder.path / "film.gif") as film:
        assert film.n_frames == 7
    assert folder.best.is_file()
    assert folder.last.is_file()


def test_checkpoints_are_self_sufficient_and_hold_no_code(compose, tmp_path):
    run = fit(compose(*SMALL, "logger=none", run_dir=tmp_path / "run"))
    checkpoint = read_checkpoint(tmp_path / "run")
    assert json.loads(json.dumps(checkpoint["vidpred"]["config"]))["model"]["name_channels"] == 4
    predictor = assembly.load_predictor(tmp_path / "run" / "checkpoints" / "last.ckpt")
    for name, value in predictor.model.state_dict().items():
        assert torch.equal(value, run.module.model.state_dict()[name])


def test_terms_are_logged_also_at_weight_zero(compose, tmp_path):
    fit(compose(*SMALL, "logger=none", "kl_anneal.beta_stop=0.0", run_dir=tmp_path / "run"))
    rows = RunFolder(tmp_path / "run").read_rows()
    assert all(row["train/kl"] > 0 for row in rows)
    assert all(row["train/loss"] == pytest.approx(row["train/reconstruction"]) for row in rows)


def test_ema_is_what_validation_and_checkpoints_see(compose, tmp_path):
    cfg = compose(*SMALL, "logger=none", "callbacks=ema", "callbacks.ema.decay=0.5", run_dir=tmp_path / "run")
    run = assembly.build_run(cfg)
    seen, trained = [], []

    class Spy(Callback):
        def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0):
            seen.append(next(pl_module.parameters()).detach().clone())

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            trained.append(next(pl_module.parameters()).detach().clone())

    run.trainer.callbacks.append(Spy())
    start = next(run.module.parameters()).detach().clone()
    run.trainer.fit(run.module, datamodule=run.data)
    average = start
    for number, value in enumerate(trained):
        average = value if number == 0 else 0.5 * average + 0.5 * value
        if number == 1:
            torch.testing.assert_close(seen[0], average)
    kept = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["state_dict"]
    torch.testing.assert_close(kept[next(iter(dict(run.module.named_parameters())))], average)


def module_for(model, **options) -> VideoPrediction:
    fixed = {
        "model": model,
        "objective": Elbo(),
        "kl_anneal": kl_anneal.Constant(),
        "teacher_forcing": teacher_forcing.Constant(prob=1.0),
        "optimizer": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9),
        "lr_schedule": learning_rate.MultiStep(milestones=[]),
    }
    return VideoPrediction(**fixed | options)


def plain_trainer(tmp_path: Path, **options) -> Trainer:
    return Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
                   enable_model_summary=False, default_root_dir=tmp_path, **{"max_epochs": 1, **options})  # fmt: skip


def test_validation_does_not_look_at_the_frames_it_predicts(model, data):
    module = module_for(model)
    batch = next(iter(data.val_dataloader()))
    seen = to_batch(batch)
    other = seen._replace(frames=torch.cat([seen.frames[:, :1], torch.rand_like(seen.frames[:, 1:])], dim=1))
    assert torch.equal(module.validation_step(seen, 0).predicted, module.validation_step(other, 0).predicted)


@pytest.mark.parametrize("z", ["mean", "sample"])
def test_clips_of_the_prior_take_z_as_validation_does(data, tmp_path, z):
    """At the prior's mean the noise of the step does not matter; drawn from the prior it does."""
    model = lively(TINY["cvae"](prior=LearnedPrior))
    module = module_for(model, prior_share=0.5, validation_z=z)
    batch = to_batch(next(iter(data.val_dataloader())))
    seen = []
    for seed in range(8):  # the noise is drawn first, then which clips are the prior's
        torch.manual_seed(seed)
        seen.append(module.predict_clip(batch, torch.zeros(2, batch.frames.shape[1] - 1, dtype=torch.bool)).frames[0])
    distinct = {tuple(frames.flatten()[:50].tolist()) for frames in seen}
    assert len(distinct) < 8 if z == "mean" else len(distinct) == 8
    whole = rollout(model, batch.frames[:, :1], batch.poses, z="mean")[0]
    assert any(torch.allclose(frames, whole, atol=1e-5) for frames in seen) == (z == "mean")


def test_a_training_step_is_told_of_the_gap(source):
    data = ClipDataModule(source, poses=IMAGES, clip_length=4, batch_size=4, context_gap=None)
    batch = to_batch(next(iter(data.train_dataloader())))
    assert batch.gap.any()
    module = module_for(lively(TINY["cvae"](prior=LearnedPrior)))
    found = []
    for gap in (batch.gap, torch.zeros(4)):
        torch.manual_seed(0)
        predicted = module.predict_clip(batch._replace(gap=gap), torch.zeros(4, 3, dtype=torch.bool)).frames
        found.append(predicted[:, 0].flatten(1))
    assert torch.equal((found[0] != found[1]).any(dim=1), batch.gap > 0)


def test_loss_is_the_weighted_sum_of_mean_terms(model, data, tmp_path):
    module = module_for(model, kl_anneal=kl_anneal.Constant(beta_stop=0.3),
                        optimizer=lambda weights: torch.optim.SGD(weights, lr=1e-6))  # fmt: skip
    trainer = plain_trainer(tmp_path, limit_val_batches=0)
    trainer.fit(module, datamodule=data)
    logged = trainer.callback_metrics
    expected = logged["train/reconstruction_step"] + 0.3 * logged["train/kl_step"]
    torch.testing.assert_close(logged["train/loss_step"], expected)


@pytest.mark.parametrize("options", [{"context_frames": 0}, {"validation_z": "best"}, {"gradient": "half"}])
def test_impossible_options_are_refused(options):
    from jaxtyping import TypeCheckError

    with pytest.raises((ValueError, TypeCheckError), match=next(iter(options)).split("_")[-1]):
        module_for(TINY["lab"](), **options)


def test_a_run_without_an_end_is_refused(model, data, tmp_path):
    with pytest.raises(ValueError, match="max_epochs"):
        plain_trainer(tmp_path, max_epochs=-1, max_steps=2).fit(module_for(model), datamodule=data)


def test_lightning_predicts_whole_sequences(compose):
    run = fit(compose("logger=none", "baselines=false", "data.test_clips=3", "data.test_frames=8"))
    films = run.trainer.predict(run.module, datamodule=run.data)
    assert [tuple(film.shape) for film in films] == [(3, 7, 3, 16, 32)]
    assert torch.isfinite(films[0]).all()


def test_every_validation_leaves_the_scores_of_its_clips(compose, tmp_path):
    run = fit(compose(*SMALL, "logger=none", run_dir=tmp_path / "run"))
    folder = RunFolder(tmp_path / "run")
    arrays, rows = folder.read_arrays("validations.npz"), folder.read_rows()
    assert arrays["epochs"].tolist() == [row["epoch"] for row in rows if "psnr/val" in row]
    for name in ("psnr", "ssim"):
        assert arrays[name].shape == (len(arrays["epochs"]), len(arrays["clips"]))
        assert arrays[name].mean(axis=1) == pytest.approx([row[f"{name}/val"] for row in rows], abs=1e-4)
    films = folder.read_arrays("films.npz")
    assert set(films["clips"]) <= set(arrays["clips"])
    best = arrays["psnr"][np.argmax(arrays["psnr"].mean(axis=1))]
    assert int(films["best"]) == arrays["clips"][np.argmax(best)]
    assert int(films["worst"]) == arrays["clips"][np.argmin(best)]
    assert films[f"truth_{films['best']}"].shape == (7, 16, 32, 3)
    target = run.data.clips("val").__getitems__(run.data.eval_sampler("val").windows[:1]).frames[0, 1:]
    assert np.array_equal(films["truth_0"], target.permute(0, 2, 3, 1).numpy())


def test_a_resumed_run_keeps_the_validations_before_it_and_repeats_none(compose, tmp_path):
    fit(compose(*RESUMED, run_dir=tmp_path / "whole"))
    fit(compose(*RESUMED, "callbacks.last.every_n_train_steps=6", "callbacks.last.every_n_epochs=null",
                "callbacks.last.save_on_train_epoch_end=false", "+trainer.max_steps=9",
                run_dir=tmp_path / "cut"))  # fmt: skip
    assert RunFolder(tmp_path / "cut").read_arrays("validations.npz")["steps"].tolist() == [4, 8]
    fit(compose(*RESUMED, run_dir=tmp_path / "cut"), tmp_path / "cut" / "checkpoints" / "last.ckpt")  # of step 6
    whole, cut = (RunFolder(tmp_path / name).read_arrays("validations.npz") for name in ("whole", "cut"))
    assert whole["steps"].tolist() == [4, 8, 12]
    for name, values in whole.items():
        assert np.array_equal(values, cut[name]), name


def test_the_means_of_an_epoch_are_over_its_clips_and_in_its_row(compose, tmp_path):
    """Also of steps that no logger takes; and the speed is that of the same epoch."""
    cfg = compose(*SMALL, "logger=none", "data.clips_per_epoch=8", "trainer.log_every_n_steps=50", run_dir=tmp_path)
    run = assembly.build_run(cfg)
    seen: list[tuple[int, float]] = []

    class Spy(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen.append((len(batch.frames), float(outputs["loss"])))

    run.trainer.callbacks.append(Spy())
    run.trainer.fit(run.module, datamodule=run.data)
    rows = RunFolder(tmp_path).read_rows()
    assert len(seen) == 8
    for number, row in enumerate(rows):
        clips, losses = zip(*seen[4 * number : 4 * number + 4], strict=True)
        assert row["train/loss"] == pytest.approx(np.average(losses, weights=clips), rel=1e-6)
        assert row["speed/frames_per_second"] > 0
    assert run.trainer.callback_metrics["speed/frames_per_second"] == pytest.approx(rows[-1]["speed/frames_per_second"])


def test_means_weigh_batches_by_their_clips_and_forget_what_was_taken():
    means = EpochMeans()
    assert means.take() == {}
    for values, clips in (([1.0, 10.0], 3), ([5.0, 2.0], 1)):
        means.add({"loss": torch.tensor(values[0]), "kl": torch.tensor(values[1])}, clips)
    assert {name: float(value) for name, value in means.take().items()} == {"loss": 2.0, "kl": 8.0}
    means.add({"loss": torch.tensor(7.0), "kl": torch.tensor(0.0)}, 2)
    assert float(means.take()["loss"]) == 7.0
