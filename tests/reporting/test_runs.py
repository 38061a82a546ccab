import numpy as np
import pytest
from folders import make_run
from omegaconf import OmegaConf

from vidpred import report
from vidpred.reporting.comparison import make_fields
from vidpred.reporting.reading import find_runs, latest
from vidpred.reporting.report import write_report
from vidpred.reporting.runs import differences
from vidpred.runfolder import RunFolderError


def test_runs_are_found_by_folder_by_pattern_and_in_lists(tmp_path):
    for name in ("a/0_x", "a/1_y", "b [c]/run"):
        make_run(tmp_path / name)
    assert [run.name for run in find_runs([str(tmp_path / "a")])] == ["0", "1"]
    assert [run.name for run in find_runs([str(tmp_path / "a/*_y")])] == ["1_y"]
    assert [run.name for run in find_runs([str(tmp_path)])] == ["a/0", "a/1", "b [c]/run"]
    several = find_runs([str(tmp_path / "b [c]"), str(tmp_path / "a"), str(tmp_path / "a")])
    assert [run.name for run in several] == ["b [c]/run", "a/0", "a/1"]


def test_names_of_jobs_are_kept_whole_where_numbers_would_be_the_same(tmp_path):
    make_run(tmp_path / "0_none")
    make_run(tmp_path / "0_cyclical")
    assert [run.name for run in find_runs([str(tmp_path)])] == ["0_cyclical", "0_none"]


def test_a_folder_without_a_run_is_refused_and_named(tmp_path):
    make_run(tmp_path / "a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunFolderError, match=r"empty: there is no run in this folder"):
        find_runs([str(tmp_path / "a"), str(tmp_path / "empty")])
    with pytest.raises(RunFolderError, match="nowhere: there is no run of this name"):
        find_runs(["nowhere"])


def test_only_options_that_differ_are_kept():
    rows = differences([{"seed": 0, "beta": 1.0}, {"seed": 0, "beta": 0.5}, {"seed": 0}])
    assert rows == [{"beta": 1.0}, {"beta": 0.5}, {}]


@pytest.mark.parametrize("name", ["summary.json", "metrics.csv", "psnr.npz", "config.yaml", "validations.npz"])
def test_a_file_that_was_cut_off_is_said_and_the_rest_is_read(tmp_path, name):
    folder = make_run(tmp_path / "run")
    (folder.path / name).write_bytes({"metrics.csv": b"epoch\nx", "config.yaml": b"a: [b"}.get(name, b"PK\x03{"))
    (run,) = find_runs([str(tmp_path)])
    assert len(run.problems) == 1
    assert name in run.problems[0]
    assert "cannot be read" in run.problems[0]


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"format": 99}', None])
def test_a_run_that_cannot_be_read_is_left_out_and_said_and_the_others_are_reported(tmp_path, capsys, content):
    for number in range(3):
        make_run(tmp_path / str(number), {"seed": number})
    broken = tmp_path / "1" / "run.json"
    broken.unlink()
    broken.mkdir() if content is None else broken.write_bytes(content)
    runs = find_runs([str(tmp_path)])
    assert [run.unreadable is None for run in runs] == [True, False, True]
    (field,) = make_fields(runs)
    assert {run.name for run in field.runs} == {"0", "2"}
    page = write_report(runs, tmp_path / "report.html").page.read_text()
    assert f"1 is left out: {broken}" in page
    assert "<title>2 runs" in page
    monkeyed = OmegaConf.create({"runs": str(tmp_path), "out": None, "format": "text", "closely": 1})
    report.main(monkeyed)
    assert f"1 is left out: {broken}" in capsys.readouterr().out.replace("\n", "")
    (tmp_path / "0" / "run.json").write_bytes(b"{")
    (tmp_path / "2" / "run.json").write_bytes(b"{")
    with pytest.raises(RunFolderError, match=r"run\.json"):
        find_runs([str(tmp_path)])


def test_how_far_a_run_came_is_known(tmp_path):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", finished=False, epochs=2)
    make_run(tmp_path / "c", finished=False, epochs=1).write_json("failed.json", {"error": "no memory"})
    runs = find_runs([str(tmp_path)])
    assert [run.status for run in runs] == ["finished", "unfinished, 2 of 4 epochs", "failed, 1 of 4 epochs"]
    assert runs[2].failure == "no memory"


def test_a_column_is_read_where_it_was_measured(tmp_path):
    make_run(tmp_path / "a")
    (run,) = find_runs([str(tmp_path)])
    assert run.course("train/loss")[1].tolist() == [4, 3, 2, 1]
    assert run.course("psnr/val")[0].tolist() == [3]
    assert run.best == pytest.approx(22.02)
    assert np.allclose(run.clip_scores, 22 + np.linspace(0, 0.04, 6))


def test_the_latest_is_the_newest_sweep_or_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunFolderError, match="runs=FOLDER"):
        latest()
    make_run(tmp_path / "multirun/2026-01-30/23-00-00/0_x")
    make_run(tmp_path / "outputs/2026-01-31/10-00-00")
    assert str(latest()) == "outputs/2026-01-31/10-00-00"
    make_run(tmp_path / "multirun/2026-01-31/11-00-00/0_x")
    assert str(latest()) == "multirun/2026-01-31/11-00-00"
