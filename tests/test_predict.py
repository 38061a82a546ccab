"""Films by the command as a user writes it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from test_cli import vidpred

import vidpred as package
from vidpred import cli
from vidpred.configuration import compose
from vidpred.pose.skeletons import DANCER
from vidpred.predict import main

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
FRAMES = 7  # predicted of a debug clip


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache) -> Path:
    cwd = tmp_path_factory.mktemp("user")
    answer = vidpred(
        "experiment=debug", "model.widths=[8,8,8]", "baselines=false", "hydra.run.dir=run", cwd=cwd, cache=cache
    )
    assert answer.returncode == 0, answer.stderr
    return cwd / "run"


@pytest.fixture
def predict(trained, cache, tmp_path):
    def run(*options: str):
        return vidpred(f"ckpt={trained}", *options, cwd=tmp_path, cache=cache, module="vidpred.predict")

    return run


@pytest.fixture
def me(tmp_path) -> Path:
    """A picture, twice as wide as a phone would take it, with an alpha channel and lying on its side."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (96, 64, 4), dtype=np.uint8), "RGBA")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    picture.save(tmp_path / "me, [é]=1.png", exif=exif)
    return tmp_path / "me, [é]=1.png"


@pytest.fixture
def dance(tmp_path) -> Path:
    """Keypoints that wander over the picture."""
    keypoints = np.random.default_rng(1).uniform(10, 50, (1, len(DANCER.joints), 2)) + np.arange(9)[:, None, None]
    np.save(tmp_path / "dance.npy", keypoints)
    return tmp_path / "dance.npy"


def decode(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_clip_of_the_data_is_shown_beside_its_truth(predict, trained):
    answer = predict("samples=2")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip().endswith("prediction.mp4")
    frames = decode(trained / "prediction.mp4")
    assert len(frames) == FRAMES
    assert frames[0].shape[1] == 5 * (32 * 3 + 2) - 2  # picture, pose, two samples, truth


def test_a_picture_and_keypoints_in_its_pixels_give_a_film(predict, me, dance, tmp_path):
    answer = predict(f"image={me}", f"poses={dance}", "fit=none", "out=film.npz", "samples=2", "edit.speed=0.5")
    assert answer.returncode == 0, answer.stderr
    with np.load(tmp_path / "film.npz") as film:
        assert film["frames"].shape == (15, 2, 3, 16, 32)
        assert 0 <= film["frames"].min() <= film["frames"].max() <= 1


def test_pose_images_are_scaled_with_their_picture(predict, me, tmp_path):
    for number in range(5):
        path = tmp_path / "poses" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (96, 64), (number * 40, 0, 0)).save(path)
    answer = predict(f"image={me}", "poses=poses", "out=film", "show=[picture,pose,prediction]", "edit.reverse=true",
                     "scale=1")  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    frames = [np.asarray(Image.open(tmp_path / "film" / f"{number:06d}.png")) for number in range(4)]
    assert [int(frame[-8, 34 + 16, 0]) for frame in frames] == [160, 120, 80, 40]  # all but the first, backwards
    whole = np.asarray(ImageOps.exif_transpose(Image.open(me)).convert("RGB"))
    np.testing.assert_allclose(frames[0][-16:, :32].mean(axis=(0, 1)), whole.mean(axis=(0, 1)), atol=3)
    refused = predict(f"image={me}", "poses=poses", "crop=center", "out=x.gif")
    assert refused.returncode == 2
    assert "crop=center and fit=place take keypoints" in refused.stderr


def test_another_clip_drives_and_edits_change_the_film(predict, tmp_path):
    films = {}
    for name, options in {
        "own": (), "driven": ("drive=1",), "limbs": ("drive=1", "fit=limbs"), "mirrored": ("edit.mirror=true",),
        "way": ("edit.between=[0,6]", "edit.between_frames=5"), "cold": ("temperature=0",),
    }.items():  # fmt: skip
        answer = predict(*options, f"out={name}.npz")
        assert answer.returncode == 0, answer.stderr
        with np.load(tmp_path / f"{name}.npz") as film:
            films[name] = film["frames"]
    assert [len(films[name]) for name in ("own", "driven", "mirrored", "way")] == [7, 8, 7, 5]
    assert not np.array_equal(films["driven"], films["limbs"])
    for name in ("driven", "mirrored", "cold"):
        assert abs(films["own"] - films[name][:7]).max() > 1e-3, name


def test_the_three_lines_of_python(trained):
    predictor = package.load(trained, device="cpu")
    video = predictor.rollout(image := torch.rand(3, 16, 32), image.expand(5, -1, -1, -1))
    assert video.shape == (4, 3, 16, 32)
    assert predictor.skeleton == DANCER


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("image=none.png", "poses={dance}", "fit=none"), "there is no picture none.png"),
        (("image={me}",), "image and poses go together"),
        (("image={me}", "poses=none"), "no such file or folder"),
        (("image={dance}", "poses={dance}", "fit=none"), "cannot be read as a picture"),
        (("image={me}", "poses={broken}"), "cannot be read as a video"),
        (("image={me}", "poses={dance}", "fit=none", "crop=5"), "crop must be"),
        (("out=film.wmv",), r"films are written as \.mp4"),
        (("out=/dev/null/film.mp4", "image={me}", "poses={broken}"), "cannot be written"),
        (("clip=99",), "there is no sequence 99"),
        (("edit.speed=0.0",), "speed must be > 0"),
        (("edit.between=[3]",), "two frames"),
        (("edit.between=[0,99]",), "there are no poses 0 and 99"),
        (("temperature=-1.0",), "temperature must be >= 0"),
        (("image={me}", "poses={dance}", "drive=1"), "drive=1 means nothing beside a picture"),
        (("image={me}", "poses={dance}", "video_fps=5"), "video_fps=5 means nothing"),
        (("image={me}", "poses={broken}", "skeleton=coco"), "skeleton=coco means nothing"),
        (("score=truth.csv",), "add format=submission"),
        (("show=[prediction,posse]",), "posse is none of picture, pose"),
        (("show=[]",), "nothing to show"),
        (("format=gif",), "film or submission"),
    ],
)  # fmt: skip
def test_bad_input_is_told_and_leaves_nothing(trained, cache, me, dance, tmp_path, monkeypatch, options, words):
    monkeypatch.setenv("VIDPRED_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    names = {"me": me, "dance": dance, "broken": tmp_path / "broken.mp4"}
    before = sorted(tmp_path.iterdir())
    given = [f"ckpt={trained}", "out=x.gif", *(option.format(**names) for option in options)]
    given = list({option.partition("=")[0]: cli._quote_path(option) for option in given}.values())
    with pytest.raises(ValueError, match=words) as error:
        main(compose(*given, verb="predict"))
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.iterdir()) == before


def test_a_user_sees_one_line(predict, tmp_path):
    answer = predict("image=none.png", "poses=none", "out=x.gif")
    assert answer.returncode == 2
    assert answer.stderr.strip().splitlines() == ["vidpred: error: there is no picture none.png"]
    assert list(tmp_path.iterdir()) == []


def test_a_killed_predict_leaves_no_half_film(trained, cache, tmp_path):
    command = [sys.executable, "-m", "vidpred.predict", f"ckpt={trained}", "edit.speed=0.0001", "out=long.mp4"]
    process = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "VIDPRED_CACHE": str(cache)},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    started = time.monotonic()
    while not list(tmp_path.glob(".long.mp4-*")) and time.monotonic() - started < 60:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(tmp_path.glob(".long.mp4-*"))  # it had begun
    assert not (tmp_path / "long.mp4").exists()


@pytest.mark.skipif(not (DATA / "dancer.avi").is_file(), reason="the real video is not here")
def test_somebody_elses_dance_drives_a_person_in_a_picture(predict, tmp_path, networks):
    with av.open(str(DATA / "dancer.avi")) as container:
        next(container.decode(video=0)).to_image().save(tmp_path / "dancer.png")
    options = ("image=dancer.png", f"poses={DATA / 'dancer.avi'}", "video_fps=0.5", "out=film.gif")
    answer = predict(*options)
    assert answer.returncode == 0, answer.stderr
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 32
    Image.new("RGB", (200, 200), (90, 90, 90)).save(tmp_path / "nobody.png")
    nobody = predict("image=nobody.png", *options[1:])
    assert nobody.returncode == 2
    assert "no person was found in the picture" in nobody.stderr
