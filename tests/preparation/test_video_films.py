from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vidpred.preparation.films import FilmError, PictureFolder, VideoFile, choose_frames, find_films


def write_video(path, frames, *, fps=10, gop=4, codec="libx264"):
    """A video whose frame k is of grey level 8·k, with key frames every ``gop``."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = 32, 48, "yuv420p"
        stream.codec_context.gop_size, stream.bit_rate = gop, 4_000_000
        for number in range(frames):
            grey = np.full((48, 32, 3), 8 * number, dtype=np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4")])
def test_a_video_is_read_at_any_frame(tmp_path, suffix, codec):
    write_video(tmp_path / f"film.{suffix}", 23, codec=codec)
    film = VideoFile(tmp_path / f"film.{suffix}")
    assert len(film.times) == 23
    assert film.fps == pytest.approx(10, rel=0.02)
    assert film.size == (48, 32)
    for numbers in ([0], [5], [3, 4, 11], [22], list(range(23)), [7, 7, 9]):
        levels = [float(frame.mean()) / 8 for frame in film.frames(numbers)]
        assert levels == pytest.approx(numbers, abs=0.6)


def test_a_film_travels_to_another_process(tmp_path):
    import pickle

    write_video(tmp_path / "film.mp4", 6)
    film = VideoFile(tmp_path / "film.mp4")
    copy = pickle.loads(pickle.dumps(film))
    assert [frame.shape for frame in copy.frames([0, 5])] == [(48, 32, 3)] * 2
    assert copy == film


@given(st.floats(5, 60), st.integers(2, 200), st.floats(1, 60))
def test_frames_are_those_that_are_shown_at_the_moment(source, count, wanted):
    times = [number / source for number in range(count)]
    numbers = choose_frames(times, wanted)
    assert numbers == sorted(numbers)
    for place, number in enumerate(numbers):
        moment = place / wanted
        assert times[number] <= moment + 1e-5
        assert number == count - 1 or times[number + 1] > moment - 1e-5
    assert (len(numbers) - 1) / wanted <= times[-1] + 1e-5 < (len(numbers) + 1e-3) / wanted + 1e-4


def test_all_frames_are_taken_unless_a_rate_is_asked_for():
    assert choose_frames([0.0, 0.1, 0.2], None) == [0, 1, 2]
    with pytest.raises(ValueError, match="fps must be > 0"):
        choose_frames([0.0], -1.0)


@pytest.mark.parametrize("content", [b"", b"no video at all", None])
def test_what_is_no_video_is_refused_by_name(tmp_path, content):
    file = tmp_path / "bad.mp4"
    if content is None:
        write_video(tmp_path / "good.mp4", 12)
        content = (tmp_path / "good.mp4").read_bytes()[:200]
    file.write_bytes(content)
    with pytest.raises(FilmError, match=r"bad\.mp4"):
        len(VideoFile(file).times)


def test_a_truncated_video_gives_what_is_left_of_it(tmp_path):
    write_video(tmp_path / "film.mkv", 20, gop=1)
    content = (tmp_path / "film.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) * 2 // 3])
    film = VideoFile(tmp_path / "cut.mkv")
    assert 5 < len(film.times) < 20
    assert len(list(film.frames(range(len(film.times) - 1)))) == len(film.times) - 1


def test_sources_are_a_video_a_folder_a_glob_or_pictures(tmp_path):
    for name in ("b.mp4", "a.mp4"):
        write_video(tmp_path / name, 2)
    (tmp_path / "notes.txt").write_text("")
    assert [film.name for film in find_films(str(tmp_path / "a.mp4"), fps=25.0)] == ["a"]
    assert [film.name for film in find_films(str(tmp_path), fps=25.0)] == ["a", "b"]
    assert [film.name for film in find_films(str(tmp_path / "*.mp4"), fps=25.0)] == ["a", "b"]
    for person in ("anna", "ben"):
        (tmp_path / "people" / person).mkdir(parents=True)
        for number in (10, 9):
            Image.new("RGB", (8, 6), (number, 0, 0)).save(tmp_path / "people" / person / f"{number}.png")
    films = find_films(str(tmp_path / "people"), fps=5.0)
    assert [film.name for film in films] == ["anna", "ben"]
    assert films[0].times == (0.0, 0.2)
    assert [int(frame[0, 0, 0]) for frame in films[0].frames([0, 1])] == [9, 10]
    with pytest.raises(FilmError, match="no video"):
        find_films(str(tmp_path / "nothing"), fps=25.0)


def test_pictures_of_different_sizes_are_refused(tmp_path):
    for number, size in enumerate([(8, 6), (8, 7)]):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    with pytest.raises(ValueError, match=r"1\.png has 8x7 pixels, others 8x6"):
        list(PictureFolder(tmp_path).frames([0, 1]))
