import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra

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
