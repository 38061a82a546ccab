"""Films that are written while they are made."""

import av
import numpy as np
import pytest
from PIL import Image
from samples import files_at_most

from vidpred.viz.writers import NpzWriter, WriterError, check_place, open_writer


def chunks(count=3, frames=4, height=33, width=20):
    rng = np.random.default_rng(0)
    base = rng.integers(0, 255, (1, 4, 4, 3), dtype=np.uint8).repeat(9, axis=1)[:, :height].repeat(5, axis=2)
    for _ in range(count):
        shown = np.concatenate([np.roll(base, number, axis=2) for number in range(frames)])
        yield shown[:, :height, :width], rng.random((2, frames, 3, 8, 6), dtype=np.float32)


def write(path, **options):
    with open_writer(path, fps=10.0, shape=(12, 2, 3, 8, 6), **options) as film:
        for shown, predicted in chunks():
            film.add(shown, predicted)


def test_an_mp4_has_every_frame_nearly_as_it_was(tmp_path):
    write(tmp_path / "film.mp4")
    with av.open(str(tmp_path / "film.mp4")) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 10)
    shown = np.concatenate([shown for shown, _ in chunks()])
    assert len(frames) == len(shown) == 12
    assert frames[0].shape == (34, 20, 3)  # H.264 takes even sizes only
    grey = [abs(frame[:33].mean(axis=2) - true.mean(axis=2)).mean() for frame, true in zip(frames, shown, strict=True)]
    assert max(grey) < 12  # colours are kept at half of the resolution
    assert b"moov" in (tmp_path / "film.mp4").read_bytes()[:2000]  # in front: a browser plays it while it loads


def test_a_gif_and_pictures_hold_every_frame(tmp_path):
    write(tmp_path / "film.gif")
    write(tmp_path / "pictures")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 12
        assert film.info["duration"] == 100
    files = sorted(file.name for file in (tmp_path / "pictures").iterdir())
    assert files == [f"{number:06d}.png" for number in range(12)]
    shown = np.concatenate([shown for shown, _ in chunks()])
    assert np.array_equal(np.asarray(Image.open(tmp_path / "pictures" / "000007.png")), shown[7])


def test_arrays_are_the_frames_as_they_were_predicted(tmp_path):
    write(tmp_path / "film.npz")
    with np.load(tmp_path / "film.npz", allow_pickle=False) as arrays:
        found = arrays["frames"]
    predicted = np.concatenate([predicted for _, predicted in chunks()], axis=1)
    assert np.array_equal(found, predicted.swapaxes(0, 1))


@pytest.mark.parametrize("name", ["film.mp4", "film.gif", "film.npz", "pictures"])
def test_a_film_that_does_not_come_to_its_end_leaves_nothing(tmp_path, name):
    (tmp_path / "film.mp4").write_bytes(b"an older film")
    before = sorted(tmp_path.iterdir())
    film = open_writer(tmp_path / name, fps=10.0, shape=(12, 2, 3, 8, 6))
    film.add(*next(chunks()))
    assert not (tmp_path / name).exists() or name == "film.mp4"
    film.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "film.mp4").read_bytes() == b"an older film"


@pytest.mark.parametrize("name", ["film.mp4", "film.gif", "film.npz", "pictures"])
def test_a_disk_that_is_full_is_said_with_the_film_and_nothing_is_left(tmp_path, name):
    with files_at_most(100), pytest.raises(WriterError, match=rf"out=.*{name} cannot be written: \w+"):
        write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_known_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriterError, match=r"out=.*film.mp4 cannot be written"):
        open_writer(tmp_path / "file" / "film.mp4", fps=10.0, shape=(12, 2, 3, 8, 6))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(WriterError, match="not empty"):
        open_writer(tmp_path / "full", fps=10.0, shape=(12, 2, 3, 8, 6))
    with pytest.raises(WriterError, match=r"\.mp4, \.gif, \.npz, or a folder"):
        open_writer(tmp_path / "film.wmv", fps=10.0, shape=(12, 2, 3, 8, 6))
    with pytest.raises(WriterError, match=r"GIF of 10000 frames would not fit the memory"):
        open_writer(tmp_path / "film.gif", fps=10.0, shape=(10000, 1, 3, 8, 6))


@pytest.mark.parametrize("name", ["film.mp4", "film.gif", "film.npz", "pictures"])
def test_a_place_that_can_be_written_to_is_left_as_it_was(tmp_path, name):
    check_place(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_without_an_encoder_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(WriterError, match=r"pip install 'vidpred\[pose\]', or write a \.gif"):
        open_writer(tmp_path / "film.mp4", fps=10.0, shape=(12, 2, 3, 8, 6))
    assert list(tmp_path.iterdir()) == []


def test_an_array_of_10000_frames_is_written_piece_by_piece(tmp_path):
    shape = (10_000, 1, 3, 8, 6)
    piece = np.zeros((1, 100, 3, 8, 6), dtype=np.float32)
    with NpzWriter(tmp_path / "long.npz", shape=shape) as film:
        for _ in range(100):
            film.add(np.zeros((100, 8, 6, 3), np.uint8), piece)
    with np.load(tmp_path / "long.npz") as arrays:
        assert arrays["frames"].shape == shape
