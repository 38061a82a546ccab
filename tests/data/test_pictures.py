import numpy as np
import pytest
from PIL import Image

from vidpred.data.pictures import read_folder, read_picture


def save(path, value, size=(24, 16)):
    Image.fromarray(np.full((size[1], size[0], 3), value, dtype=np.uint8)).save(path)


def test_folders_are_sorted_by_number(tmp_path):
    for number in (10, 9, 100):
        save(tmp_path / f"frame{number}.png", number)
    (tmp_path / "notes.txt").write_text("no picture")
    assert read_folder(tmp_path, (16, 24))[:, 0, 0, 0].tolist() == [9, 10, 100]


def test_pictures_are_resized_and_lose_their_alpha(tmp_path):
    Image.new("RGBA", (48, 32), (200, 10, 30, 255)).save(tmp_path / "me.png")
    picture = read_picture(tmp_path / "me.png", (16, 24))
    assert picture.shape == (3, 16, 24)
    assert picture[:, 8, 12].tolist() == [200, 10, 30]


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    for path, word in ((tmp_path / "bad.png", "cannot be read"), (tmp_path / "none.png", "no picture")):
        with pytest.raises(ValueError, match=word):
            read_picture(path, (8, 8))
    with pytest.raises(ValueError, match="no folder with pictures"):
        read_folder(tmp_path / "empty", (8, 8))
