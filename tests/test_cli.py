"""The command line as a user has it: in processes of its own."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from vidpred import cli, cli_help
from vidpred.configuration import compose, find_conf

DEBUG = ("experiment=debug", "model.widths=[8,8,8]", "data.stochastic=0", "baselines=false")


def vidpred(
    *arguments: str, cwd: Path, cache: Path, module: str | None = "vidpred.run"
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module] if module else [str(Path(sys.executable).with_name("vidpred"))]
    environment = {**os.environ, "VIDPRED_CACHE": str(cache)}
    return subprocess.run([*command, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache) -> Path:
    """A run, trained by the command as a user writes it, in a folder with everything that paths may hold."""
    cwd = tmp_path_factory.mktemp("user")
    folder = cwd / "a=b, [é] run"
    answer = vidpred(
        "kl_anneal=monotonic", "trainer.devices=1", *DEBUG[:3], f"hydra.run.dir={folder}", cwd=cwd, cache=cache
    )
    assert answer.returncode == 0, answer.stderr
    (cwd / "stdout.txt").write_text(answer.stdout)
    return folder


def test_the_hyper_parameters_are_what_tells_runs_apart(trained):
    events = EventAccumulator(str(trained / "tensorboard")).Reload()
    plugin = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = HParamsPluginData.FromString(plugin).session_start_info.hparams
    assert hparams["kl_anneal"].string_value == "monotonic"
    assert hparams["experiment"].string_value == "debug"
    assert hparams["trainer.devices"].number_value == 1
    assert hparams["data.stochastic"].number_value == 0
    assert set(hparams) >= {"model", "teacher_forcing", "seed", "optimizer.lr"}
    assert len(hparams) < 25
    assert events.Scalars("hp/psnr_best")


def test_a_run_leaves_its_folder_and_says_where_and_what_next(trained):
    said = (trained.parent / "stdout.txt").read_text()
    for name in ("config.yaml", "run.json", "metrics.csv", "psnr.npz", "psnr.png", "summary.json", "film.gif",
                 "strip.png", "checkpoints/best.ckpt", "checkpoints/last.ckpt", "run.log"):  # fmt: skip
        assert (trained / name).is_file(), name
    assert list((trained / "tensorboard").glob("events*"))
    assert json.loads((trained / "summary.json").read_text())["baselines"]["copy_context"] > 0
    *_, last = csv.DictReader((trained / "metrics.csv").read_text().splitlines())
    names = {"loss": "train/loss", "rec": "train/reconstruction", "KL": "train/kl", "beta": "schedule/beta",
             "forcing": "schedule/forcing_prob", "PSNR": "psnr/val"}  # fmt: skip
    line = ", ".join(f"{short} {float(last[name]):.3g}" for short, name in names.items())
    assert f"epoch 2/2: {line}, left 0:00" in said
    for word in (
        "copy the context frame",
        "protocol validation ",
        "nearest pose",
        "oracle",
        "model: best epoch, z at the prior's mean",
        "one draw of z from the prior",
        "vidpred.evaluate ckpt=",
        "film.gif",
        "tensorboard",
    ):
        assert word in said, word
    assert not (trained.parent / "outputs").exists()


def test_a_trained_run_can_be_predicted_from_and_reported(trained, cache):
    cwd = trained.parent
    answer = vidpred(
        f"ckpt={trained}/checkpoints/last.ckpt", "out=it, [é]=.gif", cwd=cwd, cache=cache, module="vidpred.predict"
    )
    assert answer.returncode == 0, answer.stderr
    assert (cwd / "it, [é]=.gif").is_file()
    answer = vidpred("report", f"runs={cwd}", cwd=cwd, cache=cache, module=None)
    assert answer.returncode == 0, answer.stderr
    assert "1 run" in answer.stdout
    assert (cwd / "report.html").is_file()
    assert (cwd / "report" / "figures" / "losses.svg").is_file()
    assert not (cwd / "outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runs=nowhere"], ["runs=nowhere", "no run of this name"]),
        (["runs=."], ["runs=.", "no run in this folder"]),
        ([], ["there is no run below outputs and multirun", "runs=FOLDER"]),
        (["format=pdf"], ["format must be html or text, got 'pdf'"]),
        (["closely=-1"], ["closely must be >= 0"]),
    ],
)
def test_a_report_of_nothing_says_why(tmp_path, cache, arguments, words):
    answer = vidpred(*arguments, cwd=tmp_path, cache=cache, module="vidpred.report")
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    for word in words:
        assert word in answer.stderr
    assert not list(tmp_path.iterdir())


def test_resume_continues_a_run_in_its_folder(trained, cache):
    answer = vidpred(f"resume={trained}", "trainer.max_epochs=3", "baselines=false", cwd=trained.parent, cache=cache)
    assert answer.returncode == 0, answer.stderr
    assert "Resumed with other options: trainer.max_epochs was 2, is 3." in answer.stdout
    epochs = [line.split(",")[0] for line in (trained / "metrics.csv").read_text().splitlines()]
    assert epochs == ["epoch", "0", "1", "2"]
    assert "experiment=debug" in (trained / ".hydra" / "overrides.yaml").read_text()


def test_a_sweep_over_annealing_and_a_job_that_fails(tmp_path, cache):
    answer = vidpred("-m", "kl_anneal=none,monotonic,cyclical", *DEBUG, "trainer.max_epochs=1", "fit_schedules=false",
                     "teacher_forcing=never", cwd=tmp_path, cache=cache)  # fmt: skip
    runs = sorted(file.parent.parent.name for file in (tmp_path / "multirun").glob("*/*/*/.hydra/config.yaml"))
    assert [name.split("_")[0] for name in runs] == ["0", "1", "2"]
    assert not any("=" in name for name in runs)
    for number in (0, 1):
        (folder,) = (tmp_path / "multirun").glob(f"*/*/{number}_*/tensorboard")
        events = EventAccumulator(str(folder)).Reload()
        plugin = HParamsPluginData.FromString(events.SummaryMetadata("_hparams_/experiment").plugin_data.content)
        assert [info.name for info in plugin.experiment.hparam_infos] == ["kl_anneal"]
    finished = [folder.parent.name[0] for folder in tmp_path.rglob("summary.json")]
    assert sorted(finished) == ["0", "1"]  # four cycles do not fit in one epoch
    assert answer.returncode == 2
    assert "job 2 failed: kl_anneal: 4 cycles do not fit" in answer.stderr
    assert "Traceback" not in answer.stderr
    said = answer.stdout
    assert [line.partition(":")[0] for line in said.splitlines() if line.startswith("── job")] == [
        "── job 0 (1 of 3)", "── job 0", "── job 1 (2 of 3)", "── job 1", "── job 2 (3 of 3)", "── job 2"
    ]  # fmt: skip
    assert re.search(r"job 0: best PSNR \d+\.\d\d dB after .*; 1 of 3 jobs are done, about .* left", said)
    assert said.count("copy any frame, 1 ahead") == 1  # the data's table is of the first job alone
    assert "Next:" not in said
    ranking = said[said.index("2 runs, best first") :]
    assert {line.split()[1] for line in ranking.splitlines()[2:4]} == {"none", "monotonic"}
    assert ranking.index("job 2 failed") < ranking.index("report  multirun/")
    assert (tmp_path / said.partition("report  ")[2].splitlines()[0]).is_file()
    text = vidpred("format=text", cwd=tmp_path, cache=cache, module="vidpred.report")
    assert text.stdout.splitlines()[:4] == ranking.splitlines()[:4]
    assert text.stdout.isascii()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["kl_anneal=monotnic"], ["kl_anneal=monotnic", "monotonic", "cyclical", "none"]),
        (["kl_aneal=monotonic"], ["kl_aneal", "did you mean 'kl_anneal'"]),
        (["trainer.devicess=2"], ["trainer.devicess", "did you mean 'trainer.devices'", "accelerator"]),
        (["kl_anneal.cycles=0", "kl_anneal=cyclical"], ["cycles must be >= 1, got 0"]),
        (["objective=geco", "objective@objective.base=elboo"], ["elboo", "did you mean 'elbo'", "sigma_vae"]),
        (["objective=control_vae"], ["objective.kl_target=… is needed"]),
        (["trainer=mps"], ["no such device", "cpu"]),
        (["resume=nowhere"], ["resume=nowhere", "init_from"]),
        (["init_from=nowhere"], ["nowhere"]),
        (["trainer.max_epochs=0"], ["max_epochs"]),
        (["trainer.max_epochs=abc"], ["max_epochs must be a whole number", "abc"]),
    ],
)
def test_what_the_user_did_wrong_is_said_on_one_screen(tmp_path, cache, arguments, words):
    answer = vidpred(*arguments, "experiment=debug", cwd=tmp_path, cache=cache)
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    assert len(answer.stderr.splitlines()) <= 25
    for word in words:
        assert word in answer.stderr


def test_a_misspelt_option_is_found_beside_one_that_has_no_default(tmp_path, cache):
    answer = vidpred("ckpt=x", "protcol=lab", cwd=tmp_path, cache=cache, module="vidpred.evaluate")
    assert answer.returncode == 2
    assert "no option 'protcol' (did you mean 'protocol'?)" in answer.stderr


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_what_a_verb_needs_is_said(tmp_path, cache, verb):
    answer = vidpred(verb, cwd=tmp_path, cache=cache, module=None)
    assert answer.returncode == 2
    assert re.search(r"error: ckpt=… is needed", answer.stderr)


def test_verbs_are_listed_and_misspelt_ones_corrected(tmp_path, cache):
    assert "evaluate" in vidpred("--help", cwd=tmp_path, cache=cache, module=None).stdout
    answer = vidpred("evalute", cwd=tmp_path, cache=cache, module=None)
    assert answer.returncode == 2
    assert "did you mean 'evaluate'" in answer.stderr
    assert vidpred("--version", cwd=tmp_path, cache=cache, module=None).stdout.startswith("vidpred 0.")


@pytest.mark.parametrize("verb", cli.VERBS)
def test_help_shows_every_group_option_and_choice(verb):
    text = cli_help.render_help(verb, find_conf())
    assert f"python -m vidpred.{verb}" in text
    if verb == "run":
        for name in re.findall(r"^  - (\w+): ", (find_conf() / "run.yaml").read_text(), re.MULTILINE):
            assert f"\n{name}=" in text
            for choice in (find_conf() / name).glob("[!_]*.yaml"):
                assert re.search(rf"\n  {choice.stem} +\S", text), choice
    for line in (line for line in text.splitlines() if re.match(r"  [\w.]+=", line)):
        assert len(line.split()) > 1, f"an option without a meaning: {line}"


def test_help_loads_nothing_heavy():
    code = "import sys; from vidpred import cli; sys.argv = ['x', '--help']; cli.launch('run', print); " \
           "assert not {'torch', 'lightning', 'hydra', 'numpy'} & set(sys.modules), sys.modules"  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), min_size=1))
def test_every_path_survives_the_grammar(path):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    quoted = cli._quote_path(f"ckpt={path}")
    if path[0] in "'\"" or path == "null":
        return
    assert OverridesParser.create().parse_override(quoted).value() == path
    assert compose(quoted, verb="evaluate").ckpt == path


def test_sweeps_that_start_in_the_same_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = cli._name_sweep(["-m", "seed=0,1"])[-1]
    Path(named.split("=")[1].strip("'")).mkdir(parents=True)
    assert cli._name_sweep(["-m", "seed=0,1"])[-1] not in (named, "seed=0,1")
    for untouched in (["seed=0"], ["-m", "seed=0,1", "hydra.sweep.dir=here"]):
        assert cli._name_sweep(untouched) == untouched


def test_completion_works_for_the_console_script(tmp_path, cache):
    environment = {**os.environ, "COMP_LINE": "vidpred run kl_anneal=mono", "COMP_POINT": "26"}
    command = [str(Path(sys.executable).with_name("vidpred")), "-sc", "query=bash"]
    answer = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "kl_anneal=monotonic" in answer.stdout
