import errno
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from vidpred.data.draft import Layout, create_store, lay_out
from vidpred.data.store import StoreError, index_checksum, open_store

SHAPES = {"frames": (3, 4, 6), "poses": (1, 4, 6)}


def layout(fingerprint="abc", **changes):
    options = {"sequences": lay_out(["a", "b"], [3, 2]), "shapes": SHAPES, "fingerprint": fingerprint}
    return Layout(**options | changes)


def fill(draft):
    for name in SHAPES:
        array = draft.array(name)
        array[:] = np.arange(array.size).reshape(array.shape) % 251


def write(path, fingerprint="abc"):
    with create_store(path, layout(fingerprint, about={"fps": 12.0})) as draft:
        fill(draft)


def test_what_is_written_is_read(tmp_path):
    write(tmp_path / "store")
    opened = open_store(tmp_path / "store")
    assert opened.lengths == (3, 2)
    assert opened.fingerprint == "abc"
    assert opened.info(1) == ("b", 3, 2, 2, "", 0, 1)
    assert opened.frames.shape == (5, 3, 4, 6)
    assert opened.poses.shape == (5, 1, 4, 6)
    assert opened.keypoints is None
    assert opened.frames.reshape(-1)[:260].tolist() == [value % 251 for value in range(260)]
    assert opened.about == {"fps": 12.0}
    assert sorted(file.name for file in opened.path.iterdir()) == ["frames.npy", "index.json", "poses.npy"]
    opened.verify()


def test_another_process_opens_the_files_instead_of_copying_them(tmp_path):
    write(tmp_path / "store")
    opened = open_store(tmp_path / "store")
    content = pickle.dumps(opened)
    assert len(content) < 500
    assert np.array_equal(pickle.loads(content).frames, opened.frames)


def test_a_write_that_fails_leaves_nothing_that_opens_and_is_continued(tmp_path):
    path = tmp_path / "store"
    with pytest.raises(RuntimeError), create_store(path, layout()) as draft:  # noqa: PT012
        draft.array("frames")[0] = 7
        draft.finish("first")
        raise RuntimeError
    with pytest.raises(StoreError):
        open_store(path)
    with create_store(path, layout("other files")) as draft:
        assert draft.is_done("first")
        assert not draft.is_done("second")
        assert draft.array("frames")[0].min() == 7
    assert open_store(path).fingerprint == "other files"


def test_a_draft_of_another_layout_is_not_continued(tmp_path):
    path = tmp_path / "store"
    with pytest.raises(RuntimeError), create_store(path, layout()) as draft:  # noqa: PT012
        draft.finish("first")
        raise RuntimeError
    with create_store(path, layout(sequences=lay_out(["a", "b"], [2, 3]))) as draft:
        assert not draft.is_done("first")


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match=r"no room for .* MB in .*No space left"), create_store(tmp_path / "s", layout()):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["index.json", "journal.txt"])
def test_a_disk_that_is_full_later_is_said_and_half_a_store_is_not_taken_for_whole(tmp_path, monkeypatch, name):
    whole, path = tmp_path / "whole", tmp_path / "store"
    write(whole)
    real = Path.open

    def refuse(self, mode="r", *values, **options):
        if self.name == name and mode != "r":
            real(self, mode).write("{")
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, mode, *values, **options)

    with monkeypatch.context() as full:
        full.setattr(Path, "open", refuse)
        with (  # noqa: PT012
            pytest.raises(OSError, match=r"store.* could not be written \(No space left on device\)"),
            create_store(path, layout(about={"fps": 12.0})) as draft,
        ):
            fill(draft)
            draft.finish("all")
    with pytest.raises(StoreError):
        open_store(path)
    write(path)
    for file in whole.iterdir():
        assert (path / file.name).read_bytes() == file.read_bytes()


def test_writing_again_replaces(tmp_path):
    write(tmp_path / "store", "old")
    write(tmp_path / "store", "new")
    assert open_store(tmp_path / "store").fingerprint == "new"


def test_verify_finds_a_changed_byte(tmp_path):
    write(tmp_path / "store")
    file = tmp_path / "store" / "poses.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(StoreError, match="poses"):
        open_store(tmp_path / "store").verify()


@pytest.mark.parametrize("change", ["missing", "truncated", "garbled", "newer", "edited", "folder"])
def test_what_is_no_store_is_refused(tmp_path, change):
    path = tmp_path / "store"
    write(path)
    index = path / "index.json"
    content = json.loads(index.read_text())
    if change == "missing":
        (path / "frames.npy").unlink()
    elif change == "truncated":
        (path / "frames.npy").write_bytes((path / "frames.npy").read_bytes()[:-1])
    elif change == "garbled":
        index.write_text("{")
    elif change == "newer":
        del content["checksum"]
        content["format"] = 99
        index.write_text(json.dumps({"checksum": index_checksum(content), **content}))
    elif change == "edited":
        content["fingerprint"] = "x"
        index.write_text(json.dumps(content))
    else:
        path = tmp_path
    with pytest.raises(StoreError):
        open_store(path)


def test_an_unknown_sequence_is_refused(tmp_path):
    write(tmp_path / "store")
    with pytest.raises(StoreError, match="0 to 1"):
        open_store(tmp_path / "store").info(2)
