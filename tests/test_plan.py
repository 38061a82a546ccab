"""Schedules are built, checked and told before anything is paid for."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from lightning import Callback

from vidpred import assembly
from vidpred.runfolder import RunFolder
from vidpred.schedules.clip_length import Growing
from vidpred.viz.courses import Course, courses_figure, draw_blocks


def plan_of(cfg):
    return assembly.prepare_plan(cfg)[1]


def test_a_plan_needs_no_data_where_an_epoch_has_a_number_of_clips(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDPRED_CACHE", str(tmp_path / "empty"))
    plan = plan_of(assembly.compose("run_dir=unused", "trainer=cpu", "trainer.max_epochs=24"))
    assert (plan.epochs, plan.steps) == (24, 24 * 64)
    assert not (tmp_path / "empty").exists()


def test_it_counts_steps_as_the_training_does(compose):
    cfg = compose("data.clips_per_epoch=null", "trainer.accumulate_grad_batches=2", "kl_anneal.by=step",
                  "model.widths=[8,8,8]", "baselines=false")  # fmt: skip
    run = assembly.build_run(cfg)
    run.trainer.fit(run.module, datamodule=run.data)
    assert run.trainer.global_step == run.plan.steps
    cfg = compose("trainer.limit_train_batches=1", "model.widths=[8,8,8]", "baselines=false")
    run = assembly.build_run(cfg)
    run.trainer.fit(run.module, datamodule=run.data)
    assert run.trainer.global_step == run.plan.steps == 2


def test_courses_are_what_training_sees(compose):
    options = ["trainer.max_epochs=4", "kl_anneal=linear", "teacher_forcing=linear", "teacher_forcing.decay_start=1",
               "lr_schedule.by=epoch", "length_schedule=growing", "length_schedule.length_start=2",
               "length_schedule.ramp=0.5"]  # fmt: skip
    run = assembly.build_run(compose(*options, "model.widths=[8,8,8]", "baselines=false"))
    seen = []

    class Look(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if batch_idx == 0:
                epoch, rate = trainer.current_epoch, trainer.optimizers[0].param_groups[0]["lr"]
                beta, prob = pl_module.kl_anneal(epoch, 4), pl_module.teacher_forcing(epoch, 4)
                seen.append([beta, prob, rate, batch.frames.shape[1]])

    run.trainer.callbacks.append(Look())
    run.trainer.fit(run.module, datamodule=run.data)
    courses = run.plan.courses()
    np.testing.assert_allclose(np.array(seen).T, [course.values for course in courses], rtol=1e-6)
    assert [values[3] for values in seen] == [2, 3, 4, 4]


def test_clips_grow_with_the_steps_of_the_optimizer(compose):
    """Two batches a step, one step an epoch, and clips that grow by steps."""
    cfg = compose("trainer.max_epochs=3", "trainer.accumulate_grad_batches=2", "length_schedule=growing",
                  "length_schedule.length_start=2", "length_schedule.by=step", "length_schedule.ramp=1.0",
                  "model.widths=[8,8,8]", "baselines=false")  # fmt: skip
    run = assembly.build_run(cfg)
    lengths = []

    class Look(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            lengths.append(batch.frames.shape[1])

    run.trainer.callbacks.append(Look())
    run.trainer.fit(run.module, datamodule=run.data)
    law = Growing(length_start=2, by="step", ramp=1.0)
    assert lengths == [law(step, 3, clip_length=4) for step in range(3) for _ in range(2)]
    assert len(set(lengths)) > 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["kl_anneal=cyclical", "kl_anneal.cycles=30"], "30 cycles do not fit in 24 epochs"),
        (["length_schedule=growing", "length_schedule.length_start=9"], "longer than a clip"),
        (["length_schedule=growing", "length_schedule.length_start=3", "context_frames=3"], "above context_frames=3"),
        (["length_schedule=growing", "length_schedule.delay=24"], "clips would never grow"),
        (["objective=control_vae"], "kl_target=… is needed"),
        (["teacher_forcing.mixing=pixels", "teacher_forcing.granularity=clip"], "would be ignored"),
    ],
)
def test_what_cannot_work_is_refused_before_data_are_drawn(monkeypatch, tmp_path, options, reason):
    monkeypatch.setenv("VIDPRED_CACHE", str(tmp_path / "empty"))
    with pytest.raises(ValueError, match=reason):
        plan_of(assembly.compose("run_dir=unused", "trainer=cpu", "trainer.max_epochs=24", *options))
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        (["kl_anneal=cyclical", "kl_anneal.cycles=12", "kl_anneal.ramp=0.4"], "beta jumps"),
        (["teacher_forcing=linear", "teacher_forcing.decay_start=24"], "not before the end of the run"),
        (["teacher_forcing=cosine", "teacher_forcing.decay_start=23"], "the probability stays 1"),
        (["length_schedule.delay=23"], "clips stay at 3 of 8 frames"),
        (["lr_schedule=multistep", "lr_schedule.milestones=[2,30]"], "not before the end of the run"),
    ],
)
def test_what_hardly_works_is_warned_of(options, warning):
    with pytest.warns(UserWarning, match=warning):
        plan_of(assembly.compose("run_dir=unused", "trainer=cpu", "trainer.max_epochs=24", *options))


def test_preview_says_what_to_expect_and_builds_no_model(tmp_path):
    """The issue's own example, word by word, on the command line."""
    options = ["experiment=lab", "data.clips_per_epoch=1000", "kl_anneal=monotonic", "kl_anneal.ramp=0.25",
               "kl_anneal.cycles=1", "preview=true", f"hydra.run.dir={tmp_path / 'seen'}"]  # fmt: skip
    command = [sys.executable, "-m", "vidpred.run", *options]
    environment = {**os.environ, "VIDPRED_CACHE": str(tmp_path / "empty")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
    assert "KL is fully weighted (beta 1) from epoch 18" in done.stdout
    assert "Teacher forcing falls from 1 at epoch 10" in done.stdout
    assert "falls at epochs 2, 5 to 0.01 of optimizer.lr" in done.stdout
    assert "Clips have 16 of 16 frames throughout" in done.stdout
    assert (tmp_path / "seen" / "schedules.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "empty").exists()
    assert not (tmp_path / "seen" / "checkpoints").exists()


def test_what_follows_the_training_is_told_but_not_drawn(compose):
    plan = plan_of(compose("objective=geco", "objective.tolerance=0.01", "teacher_forcing=adaptive"))
    courses = {course.name: course for course in plan.courses()}
    assert courses["beta"].values is None
    assert courses["forcing_prob"].values is None
    assert re.match("beta is set by a multiplier that holds .* at 0.01", courses["beta"].sentence)
    assert courses["forcing_prob"].sentence.startswith("Teacher forcing begins at 0.9 and falls by 0.1")
    assert len(courses_figure(plan.courses(), epochs=2).axes) == 2


def test_blocks_show_the_values():
    lines = draw_blocks(np.array([0.0, 1.0, 2.0, 4.0]), width=8, height=2)
    assert lines == ["    " + "  ██", "  ▄▄████"]
    assert draw_blocks(np.zeros(3), width=3, height=1) == ["   "]


@pytest.mark.parametrize(("options", "shortest"), [([], 3), (["context_frames=2"], 4), (["data.clip_length=2"], 2)])
def test_the_shortest_clips_follow_the_context(compose, options, shortest):
    cfg = compose("length_schedule=growing", *options)
    plan = plan_of(cfg)
    assert plan.length_schedule(0, plan.epochs, clip_length=plan.clip_length) == shortest
    assert cfg.length_schedule.length_start == cfg.data.length_schedule.length_start == shortest


def test_a_run_shorter_than_its_first_validation_is_validated_at_its_end(compose, tmp_path):
    cfg = compose("trainer.check_val_every_n_epoch=6", "model.widths=[8,8,8]", run_dir=tmp_path / "run")
    run = assembly.build_run(cfg)
    run.trainer.fit(run.module, datamodule=run.data)
    assert ["psnr/val" in row for row in RunFolder(tmp_path / "run").read_rows()] == [False, True]


def test_what_is_zero_throughout_is_drawn_in_full_scale():
    figure = courses_figure([Course("forcing_prob", np.zeros(4), "")], epochs=4)
    assert figure.axes[0].get_ylim() == pytest.approx((0, 1.12))


def test_the_figure_has_a_panel_a_schedule():
    figure = courses_figure([Course("beta", np.linspace(0, 1, 5), ""), Course("x", np.ones(50), "")], epochs=5)
    assert [axes.get_ylabel() for axes in figure.axes] == ["beta", "x"]
    assert {axes.get_xlim() for axes in figure.axes} == {(0.0, 5.0)}


def test_adaptive_forcing_is_resumed_where_it_was(compose, tmp_path):
    """A run that is stopped after an epoch and continued ends as one that is not: weights and probability."""
    options = ("teacher_forcing=adaptive", "teacher_forcing.tolerance=10.0", "teacher_forcing.granularity=frame",
               "model.widths=[8,8,8]", "baselines=false", "trainer.max_epochs=3", "data.clips_per_epoch=8")  # fmt: skip
    whole = assembly.build_run(compose(*options, run_dir=tmp_path / "whole"))
    whole.trainer.fit(whole.module, datamodule=whole.data)
    assert whole.module.teacher_forcing(0, 1) < 0.9
    part = assembly.build_run(compose(*options, run_dir=tmp_path / "part"))
    part.trainer.should_stop = False

    class Stop(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.should_stop = trainer.current_epoch == 0

    part.trainer.callbacks.insert(0, Stop())
    part.trainer.fit(part.module, datamodule=part.data)
    rest = assembly.build_run(compose(*options, run_dir=tmp_path / "part"))
    rest.trainer.fit(rest.module, datamodule=rest.data, ckpt_path=tmp_path / "part" / "checkpoints" / "last.ckpt",
                     weights_only=True)  # fmt: skip
    assert rest.module.teacher_forcing(0, 1) == whole.module.teacher_forcing(0, 1)
    for name, value in whole.module.model.state_dict().items():
        assert torch.equal(value, rest.module.model.state_dict()[name])
