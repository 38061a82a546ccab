import io
import re

import pytest
import yaml
from rich.console import Console

from vidpred.reporting.comparison import comparison_table, differences, find_runs
from vidpred.reporting.outcome import print_outcome
from vidpred.runfolder import RunFolder, RunFolderError

SUMMARY = {
    "protocol": "0123456789ab",
    "status": "finished", "z": "mean", "psnr_best": 22.0, "psnr_sample": 21.0, "psnr_last": 21.5,
    "epochs": 2, "steps": 8, "seconds": 90.0,
    "way_to_oracle": {"db": 0.5, "squared_error": 0.7}, "overlap_allowed": False,
    "skipped_steps": 3, "frames_per_second": 100.0, "loader_share": 0.004,
    "baselines": {"copy_context": 20.0, "oracle": 24.0, "nearest_pose": 12.0, "mean_frame": 13.0,
                  "copy_previous": 25.0},
}  # fmt: skip


def make_run(path, config, summary=None, rows=()):
    folder = RunFolder(path)
    folder.write_json("run.json", {})
    folder.write("config.yaml", yaml.safe_dump(config))
    if summary:
        folder.write_json("summary.json", summary)
    if rows:
        folder.write_rows(list(rows))
    return folder


def text_of(*renderables) -> str:
    console = Console(file=io.StringIO(), width=200)
    for renderable in renderables:
        console.print(renderable)
    return console.file.getvalue()


def test_only_options_that_differ_are_shown():
    rows = differences([{"seed": 0, "beta": 1.0}, {"seed": 0, "beta": 0.5}, {"seed": 0}])
    assert rows == [{"beta": 1.0}, {"beta": 0.5}, {}]


def test_runs_are_compared_best_first_finished_or_not(tmp_path):
    base = {"seed": 0, "run_dir": "x"}
    make_run(tmp_path / "a", {**base, "kl_anneal": {"cycles": 1}}, {**SUMMARY, "psnr_best": 21.0})
    make_run(tmp_path / "b", {**base, "kl_anneal": {"cycles": 4}}, SUMMARY)
    make_run(tmp_path / "c", {**base, "kl_anneal": {"cycles": 2}}, rows=[{"epoch": 0.0, "psnr/val": 23.0}])
    make_run(tmp_path / "d", {**base, "kl_anneal": {"cycles": 3}})
    RunFolder(tmp_path / "a").write_json("doctor.json", {"worth_db": 1.234, "rate": 5.67})
    text = text_of(comparison_table(find_runs(tmp_path)))
    lines = [line for line in text.splitlines() if "│" in line]
    assert [line.split("│")[1].strip() for line in lines] == ["c", "b", "a", "d"]
    assert re.search(r"┃ kl_anneal\. +┃.*\n.*┃ cycles +┃", text)
    assert "run_dir" not in text
    assert "unfinished" in lines[0]
    assert "50%" in lines[1]
    assert [cell.strip() for cell in lines[2].split("│")[-5:-2]] == ["50%", "1.23", "5.7"]


def test_what_a_run_says_of_itself_is_compared_before_its_whole_configuration(tmp_path):
    for name, choice in (("0_none", "none"), ("1_cyclical", "cyclical")):
        folder = make_run(tmp_path / name, {"kl_anneal": {"cycles": 1}, "name": name}, SUMMARY)
        folder.write_json("run.json", {"choices": {"kl_anneal": choice, "seed": 0}})
    lines = [line for line in text_of(comparison_table(find_runs(tmp_path))).splitlines() if "│" in line]
    assert [[cell.strip() for cell in line.split("│")[1:3]] for line in lines] == [["0", "none"], ["1", "cyclical"]]


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="no run"):
        find_runs(tmp_path)


def test_the_outcome_names_scores_files_and_commands(tmp_path):
    folder = make_run(tmp_path, {}, SUMMARY)
    console = Console(file=io.StringIO(), width=200)
    print_outcome(folder, console)
    text = console.file.getvalue()
    order = [line.split("│")[1].split(":")[0].strip() for line in text.splitlines() if "│" in line]
    assert order == [
        "copy_previous",
        "oracle",
        "model",
        "the same, one draw of z from the prior",
        "copy_context",
        "mean_frame",
        "nearest_pose",
    ]
    said = ("+2.00 dB", "50% in dB, 70% in squared error", "0.4%", "3 steps were not finite", "vidpred.evaluate")
    for words in said:
        assert words in text, words


def test_a_run_without_baselines_says_less(tmp_path):
    folder = make_run(tmp_path, {}, {**SUMMARY, "baselines": {}, "way_to_oracle": None, "skipped_steps": 0})
    console = Console(file=io.StringIO(), width=200)
    print_outcome(folder, console)
    assert "copying" not in console.file.getvalue()


def test_scores_on_splits_that_share_frames_say_so(tmp_path):
    console = Console(file=io.StringIO(), width=200)
    print_outcome(make_run(tmp_path / "a", {}, SUMMARY), console)
    assert "memory" not in console.file.getvalue()
    print_outcome(make_run(tmp_path / "b", {}, {**SUMMARY, "overlap_allowed": True}), console)
    assert "scores may be memory" in console.file.getvalue()
