"""Every option of every group composes, is built, and takes training steps."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from samples import write_pictures

from vidpred import assembly
from vidpred.assembly.devices import count_processes
from vidpred.configuration import find_conf, slug
from vidpred.networks import LabCVAE
from vidpred.objectives import Elbo, Huber, Reconstruction
from vidpred.schedules import kl_anneal, learning_rate, teacher_forcing

GROUPS = sorted(re.findall(r"^  - (\w+): ", (find_conf() / "run.yaml").read_text(), re.MULTILINE))
OPTIONS = [(group, file.stem) for group in GROUPS for file in sorted((find_conf() / group).glob("[!_]*.yaml"))]
ABSENT = {"gpu", "mps", "ddp"} if not torch.cuda.is_available() else set()
FOREIGN = {"wandb", "mlflow"}  # loggers whose packages are not ours
SMALL = {
    "lab": ["model.frame_width=8", "model.pose_width=4", "model.z_channels=4", "model.fused_width=8"],
    "cvae": ["model.widths=[8,8,8]"],
}
NEEDED = {  # what an option cannot do without
    "control_vae": ["objective.kl_target=4.0"],
    "geco": ["objective.tolerance=0.01"],
}


@pytest.fixture(scope="module")
def roots(source, tmp_path_factory) -> dict[str, Path]:
    """What data=folder and data=packed need: a few dancers as pictures, and as stores."""
    folder, packed = tmp_path_factory.mktemp("pictures"), tmp_path_factory.mktemp("packed")
    for split in ("train", "val"):
        write_pictures(folder / split, source.open(split))
        shutil.copytree(source.open(split).path, packed / split)
    return {"folder": folder, "packed": packed}


@pytest.mark.parametrize(("group", "option"), [pair for pair in OPTIONS if pair[0] not in ("experiment", "sweep")])
def test_every_option_trains(compose, roots, group, option):
    small = SMALL["lab" if option == "lab" and group == "model" else "cvae"]
    root = [f"data.root={roots[option]}"] if option in roots else []
    needed = NEEDED.get(group, []) + NEEDED.get(option, [])
    cfg = compose(f"{group}={option}", *small, *root, *needed, "trainer.max_epochs=2", "baselines=false")
    if option in FOREIGN:
        if find_spec(option) is None:
            with pytest.raises(ValueError, match=rf"^logger={option} needs a package .*: pip install {option}$"):
                assembly.build_run(cfg)
        return
    if option in ABSENT:
        with pytest.raises(ValueError, match="no such device"):
            assembly.build_run(cfg)
        return
    if option == "ddp_cpu":
        assert assembly.build_run(cfg).trainer.world_size == 2
        return
    run = assembly.build_run(cfg)
    before = torch.cat([weight.detach().flatten().clone() for weight in run.module.parameters()])
    run.trainer.fit(run.module, datamodule=run.data)
    after = torch.cat([weight.detach().flatten() for weight in run.module.parameters()])
    assert run.trainer.global_step == 4
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)


BOUNDS = ["sigma_vae", "elbo", "lab"]
BUILT_ON = ["free_bits", "free_nats", "capacity", "kl_balance", "control_vae"]


@pytest.mark.parametrize("objective", BUILT_ON)
@pytest.mark.parametrize("base", BOUNDS)
def test_every_objective_is_built_on_every_bound(compose, objective, base):
    cfg = compose(f"objective={objective}", f"objective@objective.base={base}", *NEEDED.get(objective, []))
    assert assembly.build(cfg.objective).base == assembly.build(compose(f"objective={base}").objective)


@pytest.mark.parametrize("objective", ["elbo", "capacity"])
def test_reconstruction_reaches_the_objective(compose, objective):
    options = ("reconstruction=huber", "reconstruction.error.delta=0.2", "reconstruction.pose_weight=3.0")
    base = objective == "capacity"
    built = assembly.build(compose(f"objective={objective}", *options).objective)
    bound = built.base if base else built
    assert bound.reconstruction == Reconstruction(error=Huber(delta=0.2), pose_weight=3.0)


@pytest.mark.parametrize("objective", ["control_vae", "geco"])
def test_a_controller_is_its_own_schedule(compose, objective):
    """It chooses kl_anneal=none, and refuses what the user or an experiment sets in its place."""
    chosen = (f"objective={objective}", *NEEDED[objective])
    assert assembly.build(compose(*chosen).kl_anneal) == kl_anneal.Constant()
    for other in (["kl_anneal=cyclical"], ["kl_anneal.beta_stop=0.5"], ["experiment=lab"]):
        with pytest.raises(ValueError, match="set kl_anneal=none"):
            assembly.build_run(assembly.compose("run_dir=unused", "trainer=cpu", *chosen, *other))


@pytest.mark.parametrize(("objective", "name"), [("control_vae", "kl_target"), ("geco", "tolerance")])
def test_a_controller_without_a_set_point_is_refused_before_data_are_drawn(compose, objective, name):
    with pytest.raises(ValueError, match=f"objective.{name}=… is needed"):
        assembly.build_run(compose(f"objective={objective}"))


def test_balancing_chooses_the_learned_prior_and_refuses_the_standard_one(compose):
    assert compose("objective=kl_balance").prior._target_ == "vidpred.networks.LearnedPrior"
    with pytest.raises(ValueError, match="set prior=learned"):
        assembly.build_run(compose("objective=kl_balance", "prior=standard"))


def test_the_optimal_sigma_refuses_other_errors_than_its_own(compose):
    with pytest.raises(ValueError, match="needs reconstruction=mse, got AbsoluteError"):
        assembly.build_run(compose("reconstruction=l1", "objective=sigma_vae"))


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_file_begins_with_what_it_is(group, option):
    lines = (find_conf() / group / f"{option}.yaml").read_text().splitlines()
    comments = [line for line in lines if line.startswith("# ") and "@package" not in line]
    assert len(comments[0]) > 5


@pytest.mark.parametrize("annealing", ["cyclical", "monotonic"])
def test_debug_shrinks_schedules_that_do_not_fit(compose, annealing):
    schedules = (f"kl_anneal={annealing}", "kl_anneal.cycles=10", "kl_anneal.delay=7")
    cfg = compose(*schedules, "teacher_forcing=linear", "teacher_forcing.decay_start=9")
    assembly.build_run(cfg)
    assert cfg.kl_anneal.cycles == 1
    assert cfg.kl_anneal.delay == 1
    assert cfg.teacher_forcing.decay_start == 0


def test_elsewhere_schedules_that_do_not_fit_are_refused(compose):
    with pytest.raises(ValueError, match="10 cycles do not fit in 2 epochs"):
        assembly.build_run(compose("kl_anneal=cyclical", "kl_anneal.cycles=10", "fit_schedules=false"))


def test_the_lab_recipe_in_every_number():
    cfg = assembly.compose("experiment=lab", "run_dir=unused")
    anneal = assembly.build(cfg.kl_anneal)
    assert anneal == kl_anneal.Cyclical(beta_start=0.0, beta_stop=1.0, cycles=10, ramp=0.5, delay=0, by="epoch")
    forcing = assembly.build(cfg.teacher_forcing)
    assert forcing == teacher_forcing.Linear(prob_start=1.0, prob_stop=0.0, decay_start=10, granularity="epoch")
    assert assembly.build(cfg.lr_schedule) == learning_rate.MultiStep(milestones=[2, 5], gamma=0.1, by="epoch")
    assert assembly.build(cfg.objective) == Elbo(sigma=None)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = assembly.build(cfg.optimizer)([weight])
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.defaults["lr"] == 1e-3
    assert cfg.trainer.max_epochs == 70
    assert cfg.trainer.gradient_clip_val == 1.0
    assert cfg.trainer.precision == "32-true"
    assert (cfg.data.batch_size, cfg.data.clip_length, cfg.data.random_start) == (2, 16, False)
    assert (cfg.data.height, cfg.data.width, cfg.data.val_frames, cfg.context_frames) == (32, 64, 630, 1)
    assert (cfg.validation.z, cfg.gradient) == ("sample", "full")
    model = assembly.build_model(cfg, assembly.build_data(assembly.to_plain(cfg)["data"]).shape)
    assert isinstance(model, LabCVAE)
    assert model.latent_shape == (12, 32, 64)
    assert sum(value.numel() for value in model.parameters()) == 1_585_620


@pytest.mark.parametrize(
    ("devices", "accelerator", "nodes", "processes"),
    [(2, "cpu", 1, 2), ("3", "cpu", 2, 6), ([0, 2], "gpu", 1, 2), ("0,2,3", "gpu", 2, 6), (-1, "gpu", 1, 4),
     ("auto", "auto", 2, 8), ("auto", "cpu", 1, 1), (-1, "mps", 1, 1)],
)  # fmt: skip
def test_processes_are_counted_however_devices_are_given(monkeypatch, devices, accelerator, nodes, processes):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    trainer = OmegaConf.create({"devices": devices, "accelerator": accelerator, "num_nodes": nodes})
    assert count_processes(trainer) == processes


def test_compiled_steps_train(compose):
    small = ("model=lab", "model.frame_width=8", "model.pose_width=4", "model.z_channels=4", "model.fused_width=8")
    run = assembly.build_run(compose("trainer.compile=aot_eager", *small, "trainer.max_epochs=1"))
    run.trainer.fit(run.module, datamodule=run.data)
    assert run.trainer.global_step == 2


def test_a_new_run_can_start_from_weights(compose, tmp_path):
    first = assembly.build_run(compose("model.widths=[8,8,8]", run_dir=tmp_path / "first"))
    first.trainer.fit(first.module, datamodule=first.data)
    cfg = compose("model.widths=[8,8,8]", f"init_from={tmp_path / 'first' / 'checkpoints' / 'last.ckpt'}", "seed=3")
    second = assembly.build_run(cfg)
    for name, value in first.module.model.state_dict().items():
        assert torch.equal(value, second.module.model.state_dict()[name])
    with pytest.raises(ValueError, match="does not fit"):
        assembly.build_run(compose("model.widths=[16,8,8]", f"init_from={cfg.init_from}"))


def test_foreign_code_in_a_checkpoint_is_refused(compose, tmp_path):
    run = assembly.build_run(compose("model.widths=[8,8,8]", run_dir=tmp_path / "run"))
    run.module.config["model"]["_target_"] = "os.system"
    run.trainer.fit(run.module, datamodule=run.data)
    with pytest.raises(ValueError, match=r"os\.system"):
        assembly.load_predictor(tmp_path / "run")


def test_the_configuration_is_plain_when_it_travels(compose):
    config = assembly.to_plain(compose())
    assert OmegaConf.create(config).model._target_ == "vidpred.networks.CVAE"


def test_folder_names_of_sweeps_are_tame():
    assert slug("kl_anneal=cyclical,kl_anneal.cycles=4") == "kl_anneal-cyclical-kl_anneal.cycles-4"
    assert slug("") == "defaults"
    assert len(slug("x" * 500)) == 80


@pytest.mark.parametrize("option", ["blazepose", "keypoint_rcnn"])
def test_every_pose_estimator_is_what_its_options_say(option, monkeypatch, tmp_path):
    """Built without its files, which are fetched: the error names the option that takes them."""
    monkeypatch.setenv("VIDPRED_CACHE", str(tmp_path))
    files = {"blazepose": "files", "keypoint_rcnn": "weights"}[option]
    cfg = assembly.compose(f"pose_estimator={option}", f"pose_estimator.{files}={tmp_path / 'none'}", verb="prepare")
    with pytest.raises(ValueError, match=f"{tmp_path / 'none'}"):
        assembly.build(cfg.pose_estimator)
