import re

import numpy as np
import pytest
from folders import make_run

from vidpred.reporting.comparison import make_fields, summary_table, verdict
from vidpred.reporting.reading import find_runs
from vidpred.reporting.words import collect_notes, tell_mixture, tell_schedules


def fields_of(path):
    return make_fields(find_runs([str(path)]))


def cells(table, title):
    place = [column.title.replace("\n", " ") for column in table.columns].index(title)
    return [row[place].text for row in table.rows]


def test_runs_are_ranked_best_first_finished_or_not(tmp_path):
    make_run(tmp_path / "a", {"cycles": 1}, psnr=21)
    make_run(tmp_path / "b", {"cycles": 4}, psnr=22)
    make_run(tmp_path / "c", {"cycles": 2}, psnr=23, finished=False, epochs=3)
    make_run(tmp_path / "d", {"cycles": 3}, psnr=None, finished=False, epochs=1)
    (field,) = fields_of(tmp_path)
    table = summary_table(field)
    assert cells(table, "run") == ["c", "b", "a", "d"]
    assert cells(table, "cycles") == ["2", "4", "1", "3"]
    assert cells(table, "status")[0] == "unfinished, 3 of 4 epochs"
    assert cells(table, "best PSNR") == ["23.02", "22.02", "21.02", "-"]
    assert cells(table, "last PSNR") == ["23.02", "22.02", "21.02", "-"]
    assert cells(table, "time") == ["3.0", "4.0", "4.0", "1.0"]
    low, high = (float(end) for end in cells(table, "95 % interval")[0].split(" to "))
    assert 23.0 <= low < 23.02 < high <= 23.04


def test_a_winner_is_named_only_where_the_paired_interval_leaves_zero_out(tmp_path):
    make_run(tmp_path / "far" / "a", {"kl_anneal": "none"}, psnr=22)
    make_run(tmp_path / "far" / "b", {"kl_anneal": "cyclical"}, psnr=22.3)
    assert verdict(fields_of(tmp_path / "far")[0]).startswith("The best is kl_anneal=cyclical: ahead of the next")
    for name, seed, psnr in (("a", 0, 22.0), ("b", 1, 22.6), ("c", 0, 22.1), ("d", 1, 22.4)):
        choice = "none" if name in "ab" else "cyclical"
        make_run(tmp_path / "near" / name, {"kl_anneal": choice, "seed": seed}, psnr=psnr)
    (field,) = fields_of(tmp_path / "near")
    assert [setting.label for setting in field.settings] == ["kl_anneal=none", "kl_anneal=cyclical"]
    assert verdict(field).startswith("No winner: kl_anneal=none and kl_anneal=cyclical cannot be told apart (+0.05 dB")
    assert "single seed" not in verdict(field)


def test_a_single_seed_and_a_single_clip_are_said(tmp_path):
    make_run(tmp_path / "a", {"x": 1}, psnr=22, clips=1)
    make_run(tmp_path / "b", {"x": 2}, psnr=25, clips=1)
    said = verdict(fields_of(tmp_path)[0])
    assert "no interval" in said
    assert "no winner" in said
    assert "single seed" in said


def test_a_few_clips_name_no_winner(tmp_path):
    for clips, few in ((5, True), (6, False)):
        make_run(tmp_path / str(clips) / "a", {"x": 1}, psnr=22, clips=clips)
        make_run(tmp_path / str(clips) / "b", {"x": 2}, psnr=25, clips=clips)
        assert ("too few to name a winner" in verdict(fields_of(tmp_path / str(clips))[0])) == few


def test_one_run_and_seeds_of_one_setting_have_no_winner(tmp_path):
    make_run(tmp_path / "a", {"seed": 0}, psnr=22)
    assert "nothing to compare" in verdict(fields_of(tmp_path)[0])
    make_run(tmp_path / "b", {"seed": 1}, psnr=23)
    assert verdict(fields_of(tmp_path)[0]) == "2 seeds of one setting: 22.52 dB, 22.02 to 23.02."
    make_run(tmp_path / "none" / "c", psnr=None)
    assert verdict(fields_of(tmp_path / "none")[0]) == "No run has been validated yet."


def test_runs_of_other_data_clips_or_protocol_are_kept_apart(tmp_path):
    make_run(tmp_path / "a", psnr=22)
    make_run(tmp_path / "b", psnr=22)
    make_run(tmp_path / "c", psnr=30, about={"data": "other"})
    make_run(tmp_path / "d", psnr=30, about={"protocol": "other"})
    make_run(tmp_path / "e", psnr=30, clips=4)
    make_run(tmp_path / "f", psnr=None, finished=False, about={"data": "other"})
    fields = fields_of(tmp_path)
    assert [[run.name for run in field.runs] for field in fields] == [["a", "b"], ["c", "f"], ["d"], ["e"]]
    assert [field.name for field in fields] == ["A", "B", "C", "D"]
    (said,) = tell_mixture(fields)
    assert "4 kinds, whose scores cannot be compared" in said
    assert "data other" in said


def test_other_versions_are_said_but_compared(tmp_path):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", about={"versions": {"vidpred": "0.0.9", "torch": "2.14.1"}, "git": "def"})
    fields = fields_of(tmp_path)
    assert len(fields) == 1
    assert tell_mixture(fields) == [
        "Made with several versions of vidpred: 0.1.0 (a), 0.0.9 (b).",
        "Made with several versions of the code (git): abc (a), def (b).",
    ]


def test_schedules_are_told_with_the_loss_that_went_with_them(tmp_path):
    make_run(tmp_path / "a")
    (said,) = tell_schedules(fields_of(tmp_path)[0])
    assert "as the forcing probability falls from 1 at epoch 0 to 0 at epoch 3, the loss goes from 4 to 1" in said
    assert "as beta rises from 0 at epoch 0 to 1 at epoch 2, the loss goes from 4 to 2" in said
    assert "clips grow from 4 to 8 frames meanwhile" in said


def test_cycles_are_counted_and_constants_are_called_so(tmp_path):
    columns = {"schedule/beta": lambda epoch: epoch % 2, "schedule/forcing_prob": lambda epoch: 0.25}
    make_run(tmp_path / "a", columns=columns)
    (said,) = tell_schedules(fields_of(tmp_path)[0])
    assert "the forcing probability stays at 0.25" in said
    assert "the first of 2 such times" in said


def test_notes_that_runs_share_are_said_once(tmp_path):
    make_run(tmp_path / "a", {"x": 1})
    make_run(
        tmp_path / "b", {"x": 2}, finished=False, columns={"train/loss": lambda epoch: 100.0 if epoch == 2 else 1.0}
    )
    notes = {note.sentence: list(note.runs) for note in collect_notes(fields_of(tmp_path)[0])}
    assert notes["z is alive."] == ["a", "b"]
    assert notes["3 steps were not finite and did not change the weights."] == ["a"]
    assert notes["The training loss leapt from 1 to 100 at epoch 2."] == ["b"]
    assert any(sentence.startswith("The run is unfinished") and runs == ["b"] for sentence, runs in notes.items())


@pytest.mark.parametrize("missing", ["choices", "versions", "data", "protocol"])
def test_runs_of_older_versions_say_less(tmp_path, missing):
    folder = make_run(tmp_path / "a", {"x": 1})
    about = folder.read_json("run.json")
    del about[missing]
    folder.write_json("run.json", about)
    make_run(tmp_path / "b", {"x": 2})
    assert sum(len(field.runs) for field in fields_of(tmp_path)) == 2


def test_differences_are_taken_between_clips(tmp_path):
    """A spread between clips a hundred times the difference does not hide it: it is the same in both."""
    for name, shift in (("a", 0.0), ("b", 0.1)):
        folder = make_run(tmp_path / name, {"x": name})
        arrays = folder.read_arrays("psnr.npz")
        arrays["model"] = np.arange(6)[:, None] * 10 + shift + np.zeros((6, 6))
        folder.write_arrays("psnr.npz", **arrays)
    said = verdict(fields_of(tmp_path)[0])
    assert re.search(r"The best is x=b: .*\+0.10 dB, 95 % interval \+0.10 to \+0.10, paired over 6", said)
