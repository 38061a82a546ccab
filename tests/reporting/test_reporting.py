import io

from rich.console import Console

from vidpred.reporting.outcome import print_outcome
from vidpred.runfolder import RunFolder

SUMMARY = {
    "protocol": "0123456789ab",
    "status": "finished", "z": "mean", "psnr_best": 22.0, "psnr_sample": 21.0, "psnr_last": 21.5,
    "epochs": 2, "steps": 8, "seconds": 90.0,
    "way_to_oracle": {"db": 0.5, "squared_error": 0.7}, "overlap_allowed": False,
    "skipped_steps": 3, "frames_per_second": 100.0, "loader_share": 0.004,
    "baselines": {"copy_context": 20.0, "oracle": 24.0, "nearest_pose": 12.0, "mean_frame": 13.0,
                  "copy_previous": 25.0},
}  # fmt: skip


def make_run(path, summary):
    folder = RunFolder(path)
    folder.write_json("summary.json", summary)
    return folder


def test_the_outcome_names_scores_files_and_commands(tmp_path):
    folder = make_run(tmp_path, SUMMARY)
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


def test_a_job_of_a_sweep_does_not_say_what_to_do_next(tmp_path):
    console = Console(file=io.StringIO(), width=200)
    print_outcome(make_run(tmp_path, SUMMARY), console, next_steps=False)
    assert "+2.00 dB" in console.file.getvalue()
    assert "Next:" not in console.file.getvalue()


def test_a_run_without_baselines_says_less(tmp_path):
    folder = make_run(tmp_path, {**SUMMARY, "baselines": {}, "way_to_oracle": None, "skipped_steps": 0})
    console = Console(file=io.StringIO(), width=200)
    print_outcome(folder, console)
    assert "copying" not in console.file.getvalue()


def test_scores_on_splits_that_share_frames_say_so(tmp_path):
    console = Console(file=io.StringIO(), width=200)
    print_outcome(make_run(tmp_path / "a", SUMMARY), console)
    assert "memory" not in console.file.getvalue()
    print_outcome(make_run(tmp_path / "b", {**SUMMARY, "overlap_allowed": True}), console)
    assert "scores may be memory" in console.file.getvalue()
