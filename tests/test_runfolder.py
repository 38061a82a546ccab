import json

import numpy as np
import pytest

from vidpred.runfolder import RunFolder, RunFolderError, home_of


def test_json_is_read_back_and_holds_no_nan(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_json("summary.json", {"psnr": 20.5, "bad": float("nan"), "rows": [1.0, float("inf")]})
    assert folder.read_json("summary.json") == {"psnr": 20.5, "bad": None, "rows": [1.0, None]}


def test_rows_keep_every_column(tmp_path):
    folder = RunFolder(tmp_path)
    rows = [{"epoch": 0.0, "loss": 1.5}, {"epoch": 1.0, "loss": 1.0, "psnr/val": 20.0}]
    folder.write_rows(rows)
    assert folder.read_rows() == rows
    assert RunFolder(tmp_path / "none").read_rows() == []


def test_arrays_are_read_back(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_arrays("psnr.npz", model=np.arange(6.0).reshape(2, 3))
    assert folder.read_arrays("psnr.npz")["model"].tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(RunFolderError, match="not been validated"):
        folder.read_arrays("other.npz")


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.write("summary.json", "old")
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        folder.write("summary.json", "new")
    assert [file.name for file in tmp_path.iterdir()] == ["summary.json"]
    assert (tmp_path / "summary.json").read_text() == "old"


@pytest.mark.parametrize(
    ("content", "word"), [("{", "cannot be read"), (json.dumps({"format": 99}), "newer"), (None, "missing")]
)
def test_what_is_no_run_is_refused(tmp_path, content, word):
    if content is not None:
        (tmp_path / "summary.json").write_text(content)
    with pytest.raises(RunFolderError, match=word):
        RunFolder(tmp_path).read_json("summary.json")


def test_where_a_run_resumes(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.resume_points(None) == []
    assert folder.resume_points("auto") == []
    with pytest.raises(RunFolderError, match="no checkpoint"):
        folder.resume_points(str(tmp_path))
    folder.write("checkpoints/best.ckpt", "x")
    folder.write("checkpoints/last.ckpt", "x")
    assert folder.resume_points("auto") == folder.resume_points(str(tmp_path)) == [folder.last, folder.best]
    folder.write("checkpoints/previous.ckpt", "x")
    assert folder.resume_points("auto") == [folder.last, folder.previous, folder.best]
    assert folder.resume_points(str(folder.last)) == [folder.last]
    assert folder.resume_points(None) == []


def test_the_home_of_a_checkpoint(tmp_path):
    assert home_of(tmp_path) == tmp_path
    assert home_of(tmp_path / "checkpoints" / "best.ckpt") == tmp_path
    assert home_of(tmp_path / "loose.ckpt") == tmp_path
