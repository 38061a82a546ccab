"""The lab's CSV and its score, to the digit."""

import math
import os

import numpy as np
import pytest
import torch
from samples import files_at_most

from vidpred.interop.submission import SubmissionError, SubmissionWriter, read_submission, score_submission


def write(path, *pieces):
    with SubmissionWriter(path) as writer:
        for piece in pieces:
            writer.add(piece)


def test_frames_are_rows_of_channels_rows_and_columns(tmp_path):
    """2 channels of 1x2 pixels by hand: 0.499/255 rounds down, 1.5/255 to the even 2, beyond the range is clipped."""
    first = torch.tensor([[[[0.0, 0.499 / 255]], [[1.5 / 255, 1.0]]]])
    second = torch.tensor([[[[-3.0, 9.0]], [[0.5, 128 / 255]]]])
    write(tmp_path / "mine.csv", first, second)
    assert (tmp_path / "mine.csv").read_text() == "id,0,1,2,3\n0,0,0,2,255\n1,0,255,128,128\n"
    assert read_submission(tmp_path / "mine.csv").tolist() == [[0, 0, 2, 255], [0, 255, 128, 128]]


def test_the_score_is_the_mean_psnr_of_the_frames_that_count():
    """Two sequences of 4 rows, of which 2 predicted frames count: errors of 2, 4, 20 levels, and none."""
    truth = np.full((8, 6), 100, dtype=np.uint8)
    mine = truth.copy()
    mine[0], mine[4] = 0, 0  # the given frames do not count
    mine[3], mine[7] = 0, 255  # nor does what comes after the frames that count
    mine[1] += 2
    mine[2] -= 4
    mine[5] += 20
    score = score_submission(mine, truth, length=4, counted=2)
    first = (10 * math.log10(255**2 / 4) + 10 * math.log10(255**2 / 16)) / 2
    second = (10 * math.log10(255**2 / 400) + 100.0) / 2
    assert score.per_sequence == pytest.approx([first, second], abs=1e-12)
    assert score.mean == pytest.approx((first + second) / 2, abs=1e-12)


def test_a_disk_that_is_full_is_said_with_the_file_and_nothing_is_left(tmp_path):
    with (
        files_at_most(50_000),
        pytest.raises(SubmissionError, match=r"out=.*mine\.csv cannot be written: File too large"),
    ):
        write(tmp_path / "mine.csv", torch.rand(60, 3, 32, 64))
    assert list(tmp_path.iterdir()) == []


def test_what_the_lab_hands_out_has_6144_columns_and_3150_rows(tmp_path):
    write(
        tmp_path / "mine.csv", *(torch.rand(630, 3, 32, 64, generator=torch.Generator().manual_seed(q)) for q in (0, 1))
    )
    with (tmp_path / "mine.csv").open() as file:
        assert file.readline().endswith(",6142,6143\n")
    rows = read_submission(tmp_path / "mine.csv")
    assert rows.shape == (1260, 6144)
    expected = np.rint(255 * torch.rand(630, 3, 32, 64, generator=torch.Generator().manual_seed(1)).numpy())
    np.testing.assert_array_equal(rows[630:].reshape(630, 3, 32, 64), expected)
    assert score_submission(rows, rows).mean == 100.0


def test_a_submission_that_is_not_finished_is_not_there(tmp_path):
    with pytest.raises(SubmissionError, match="not finite"):
        write(tmp_path / "mine.csv", torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), float("nan")))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SubmissionError, match="no frame was added"):
        write(tmp_path / "mine.csv", torch.zeros(0, 3, 2, 2))
    with pytest.raises(SubmissionError, match=r"frames of \(3, 2, 4\) cannot follow frames of \(3, 2, 2\)"):
        write(tmp_path / "mine.csv", torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 4))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(SubmissionError, match=r"out=.* cannot be written"):
        SubmissionWriter(tmp_path / "file" / "mine.csv")


def test_an_older_submission_stays_until_the_new_one_is_whole(tmp_path):
    write(tmp_path / "mine.csv", torch.zeros(1, 1, 1, 2))
    with SubmissionWriter(tmp_path / "mine.csv") as writer:
        writer.add(torch.zeros(0, 1, 1, 2))  # which begins nothing twice
        writer.add(torch.ones(1, 1, 1, 2))
        assert {file.name for file in tmp_path.iterdir()} == {"mine.csv", f".mine.csv-{os.getpid()}"}
        assert (tmp_path / "mine.csv").read_text() == "id,0,1\n0,0,0\n"
    assert [file.name for file in tmp_path.iterdir()] == ["mine.csv"]
    assert (tmp_path / "mine.csv").read_text() == "id,0,1\n0,255,255\n"


def test_a_folder_in_its_place_is_told_and_nothing_is_left(tmp_path):
    (tmp_path / "mine.csv").mkdir()
    with pytest.raises(SubmissionError, match=r"out=.*mine\.csv cannot be written"):
        write(tmp_path / "mine.csv", torch.zeros(1, 1, 1, 2))
    assert [file.name for file in tmp_path.iterdir()] == ["mine.csv"]


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize(
    ("text", "word"),
    [("a,0,1\n0,1,2\n", "header"), ("id,0,2\n0,1,2\n", "header"), ("id,0,1\n0,1,x\n", "no submission"),
     ("id,0,1\n0,1,2.5\n", "no submission"), ("id,0,1\n1,1,2\n", "ids must count from 0"),
     ("id,0,1\n0,1,256\n", "0 … 255, got 1 to 256"), ("id,0,1\n0,1,2,3\n", "4 columns, the header 3"),
     ("id,0,1\n0,1,-1\n", "0 … 255, got -1 to 1"), ("id,0,1\n0,1,2\n1,1\n", r"changed from 3 to 2 at row 2$"),
     ("id,0,1\n0,1,nan\n", "no submission"), ("id,0,1\n0,1,2 # note\n", "no submission"),
     ("id,0,1\n", "no rows below its header"), ("", "header"), ("id\n0\n", "header")],
)  # fmt: skip
def test_what_is_no_submission_is_told(tmp_path, text, word):
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(SubmissionError, match=word) as error:
        read_submission(tmp_path / "mine.csv")
    assert "\n" not in str(error.value)


def test_a_missing_file_and_files_that_do_not_fit_are_told(tmp_path):
    with pytest.raises(SubmissionError, match="cannot be read: No such file"):
        read_submission(tmp_path / "none.csv")
    rows = np.zeros((8, 6), dtype=np.uint8)
    with pytest.raises(SubmissionError, match="8 rows of 6 values, the truth 4 of 6"):
        score_submission(rows, rows[:4], length=4, counted=2)
    for length, counted in ((3, 2), (4, 4), (4, 0), (0, 1), (1, 1), (-4, 1)):
        with pytest.raises(SubmissionError, match="8 rows are no sequences of"):
            score_submission(rows, rows, length=length, counted=counted)
    with pytest.raises(SubmissionError, match="0 rows are no sequences of"):
        score_submission(rows[:0], rows[:0], length=4, counted=2)
