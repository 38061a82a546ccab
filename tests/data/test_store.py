import json

import numpy as np
import pytest

from vidpred.data import store
from vidpred.data.store import StoreError, create_store, open_store

SHAPES = {"frames": (3, 4, 6), "poses": (1, 4, 6)}


def write(path, fingerprint="abc"):
    with create_store(path, names=["a", "b"], lengths=[3, 2], shapes=SHAPES, fingerprint=fingerprint) as folder:
        for name in SHAPES:
            array = np.load(folder / f"{name}.npy", mmap_mode="r+")
            array[:] = np.arange(array.size).reshape(array.shape) % 251
            array.flush()


def test_what_is_written_is_read(tmp_path):
    write(tmp_path / "store")
    opened = open_store(tmp_path / "store")
    assert opened.lengths == (3, 2)
    assert opened.fingerprint == "abc"
    frames, poses = opened.sequence(1)
    assert frames.shape == (2, 3, 4, 6)
    assert poses.shape == (2, 1, 4, 6)
    assert np.array_equal(frames, opened.frames[3:])
    opened.verify()


def test_a_write_that_fails_leaves_nothing_that_opens(tmp_path):
    with (
        pytest.raises(RuntimeError),
        create_store(tmp_path / "store", names=["a"], lengths=[1], shapes=SHAPES, fingerprint=""),
    ):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


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
        index.write_text(json.dumps({"checksum": store._index_checksum(content), **content}))
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
        open_store(tmp_path / "store").sequence(2)
