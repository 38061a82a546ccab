import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from test_cli import DEBUG, vidpred

from vidpred import cli
from vidpred.configuration import find_conf, register_resolvers
from vidpred.sweeping import count_jobs


@pytest.mark.parametrize(
    ("overrides", "jobs"),
    [
        (["kl_anneal=none,monotonic,cyclical", "seed=range(0,4)"], 12),
        (["kl_anneal=none", "seed=0"], 1),
        (["sweep=annealing", "seed=0,1"], 6),
        (["sweep=annealing", "kl_anneal=none,cyclical"], 2),  # what the user sweeps replaces the file's
        (["model.widths=[8,8,8],[16,16,16]"], 2),
        (["hydra/sweeper=basic", "seed=choice(1,2,3)"], 3),
    ],
)
def test_the_jobs_of_a_sweep_are_counted(overrides, jobs):
    register_resolvers()
    GlobalHydra.instance().clear()
    swept = [override for override in overrides if not override.startswith(("sweep=", "hydra/"))]
    fixed = [override for override in overrides if override not in swept]
    with hydra.initialize_config_dir(config_dir=str(find_conf()), version_base="1.3"):
        cfg = hydra.compose("run", overrides=fixed, return_hydra_config=True)
    cfg.hydra.overrides.task = swept
    assert count_jobs(cfg) == jobs


def test_a_sweeper_that_decides_as_it_goes_has_no_count():
    from omegaconf import OmegaConf

    cfg = OmegaConf.create({"hydra": {"sweeper": {"_target_": "hydra_plugins.hydra_optuna_sweeper.OptunaSweeper"}}})
    assert count_jobs(cfg) is None


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        (["-m", "hydra.sweep.dir='a b'"], "a b"),
        (["sweep=annealing", "hydra.sweep.dir=x"], "x"),
        (["hydra.sweep.dir=x"], None),
        (["-m"], None),
    ],
)
def test_a_command_is_a_sweep_by_its_flag_or_its_group(arguments, folder):
    found = cli._sweep_of(arguments)
    assert (None if found is None else str(found)) == folder


@pytest.mark.parametrize(
    ("value", "paths"),
    [("a", ["a"]), ("[a, b c,'d']", ["a", "b c", "d"]), ("a,b", ["a,b"]), ("[a", ["[a"])],
)  # fmt: skip
def test_lists_of_paths_stand_in_brackets(tmp_path, monkeypatch, value, paths):
    monkeypatch.chdir(tmp_path)
    assert cli.split_list(value) == paths


def test_a_folder_whose_name_looks_like_a_list_is_taken_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "[a,b]").mkdir()
    assert cli.split_list("[a,b]") == ["[a,b]"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_other_launchers_run_the_jobs_and_the_ranking_follows(tmp_path, cache, launcher):
    answer = vidpred("-m", f"hydra/launcher={launcher}", "kl_anneal=none,monotonic", *DEBUG, "trainer.max_epochs=1",
                     "hydra.sweep.dir=sweep", cwd=tmp_path, cache=cache)  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "2 runs, best first" in answer.stdout
    assert (tmp_path / "sweep" / "report.html").is_file()
    assert {file.parent.name[0] for file in tmp_path.glob("sweep/*/summary.json")} == {"0", "1"}


@pytest.mark.slow
def test_a_sweep_that_is_started_again_skips_what_is_finished(tmp_path, cache):
    sweep = ("-m", *DEBUG, "fit_schedules=false", "hydra.sweep.dir=sweep")
    jobs = "kl_anneal=none,cyclical"  # four cycles do not fit in one epoch
    first = vidpred(*sweep, jobs, "trainer.max_epochs=1", cwd=tmp_path, cache=cache)
    assert first.returncode == 2
    (done,) = (file.parent for file in tmp_path.glob("sweep/*/summary.json"))
    written = (done / "metrics.csv").stat().st_mtime_ns
    again = vidpred(*sweep, jobs, "trainer.max_epochs=1", cwd=tmp_path, cache=cache)
    assert f"{done.name} is finished already" in again.stdout
    assert (done / "metrics.csv").stat().st_mtime_ns == written
    assert "job 1 failed" in again.stderr
    longer = vidpred(*sweep, "kl_anneal=none", "hydra.sweep.subdir=" + done.name, "trainer.max_epochs=2", cwd=tmp_path,
                     cache=cache)  # fmt: skip
    assert "finished already" not in longer.stdout  # it was made with other options
    assert (done / "metrics.csv").stat().st_mtime_ns > written


def test_the_recipe_for_a_cluster_makes_jobs_of_slurm():
    """What the README says, up to where sbatch would be called."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    register_resolvers()
    GlobalHydra.instance().clear()
    overrides = ["hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=90", "hydra.launcher.gpus_per_node=1"]
    with hydra.initialize_config_dir(config_dir=str(find_conf()), version_base="1.3"):
        cfg = hydra.compose("run", overrides=overrides, return_hydra_config=True)
    launcher = instantiate(cfg.hydra.launcher)
    assert type(launcher).__name__ == "SlurmLauncher"
    assert (launcher._EXECUTOR, launcher.params["timeout_min"], launcher.params["gpus_per_node"]) == ("slurm", 90, 1)
