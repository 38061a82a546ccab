"""From a user's folders, and from a user's video, to a trained model: the commands of the README."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from samples import write_pictures
from test_cli import vidpred

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
DEBUG = ("experiment=debug", "model.widths=[8,8,8]")
needs_dancer = pytest.mark.skipif(not (SHARED / "dancer").is_dir(), reason="the real video is not here")


@needs_dancer
def test_one_command_trains_on_folders(tmp_path, cache):
    root = SHARED / "dancer"
    answer = vidpred("data=folder", f"data.root={root}", *DEBUG, "hydra.run.dir=run", cwd=tmp_path, cache=cache)
    assert answer.returncode == 0, answer.stderr
    assert "moving pixels" in answer.stdout
    described = json.loads((tmp_path / "run" / "data.json").read_text())
    assert (described["train"]["frames"], described["val"]["frames"]) == (1125, 371)
    assert described["val"]["copy_any"]["1"] > described["val"]["copy_any"]["25"] > 15
    film = vidpred(
        "ckpt=run",
        "split=test",
        "clip=3",
        "out=run/prediction.gif",
        cwd=tmp_path,
        cache=cache,
        module="vidpred.predict",
    )
    assert film.returncode == 0, film.stderr
    with Image.open(tmp_path / "run" / "prediction.gif") as gif:
        assert gif.n_frames == 149  # one frame is known, 149 poses follow, none of them with a true frame
    scored = vidpred("ckpt=run", "split=test", cwd=tmp_path, cache=cache, module="vidpred.evaluate")
    assert scored.returncode == 2
    assert "nothing to score" in scored.stderr


@needs_dancer
def test_a_video_is_prepared_and_trained_on(tmp_path, cache):
    video, out = SHARED / "dancer.avi", tmp_path / "mine, [é]=1"
    prepared = vidpred(f"source={video}", f"out={out}", "fps=5", "height=16", "width=32", cwd=tmp_path, cache=cache,
                       module="vidpred.prepare")  # fmt: skip
    if "pose_estimator.files" in prepared.stderr:
        pytest.skip("BlazePose's files cannot be fetched here")
    assert prepared.returncode == 0, prepared.stderr
    report = json.loads((out / "prepare.json").read_text())
    assert report["films"][0]["frames"] == 315
    assert report["films"][0]["kept"] >= 0.99 * 315
    assert (out / "preview.gif").is_file()
    verified = vidpred(f"verify={out}", cwd=tmp_path, cache=cache, module="vidpred.prepare")
    assert verified.returncode == 0
    assert "as they were written" in verified.stdout
    run = ("data=packed", f"data.root={out}", *DEBUG, "pose_map=heatmaps", "augment.flip=0.5", "hydra.run.dir=run")
    trained = vidpred(*run, cwd=tmp_path, cache=cache)
    assert trained.returncode == 0, trained.stderr
    with (out / "train" / "frames.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7b")
    damaged = vidpred(f"verify={out}", cwd=tmp_path, cache=cache, module="vidpred.prepare")
    assert damaged.returncode == 2
    assert "changed after it was written" in damaged.stderr


def test_what_is_wrong_with_the_pictures_is_one_line(source, tmp_path, cache):
    """From the processes that pack, too: sixteen jobs are more than one process takes."""
    for split in ("train", "val"):
        write_pictures(tmp_path / "root" / split, source.open(split))
    bad = sorted((tmp_path / "root").rglob("train/*/poses/frame3.png"))[-1]
    bad.write_bytes(bad.read_bytes()[:50])
    answer = vidpred("data=folder", f"data.root={tmp_path / 'root'}", *DEBUG, cwd=tmp_path, cache=tmp_path / "cache")
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    (line,) = [line for line in answer.stderr.splitlines() if "error" in line]
    assert str(bad) in line
    assert "replace it" in line


def test_a_missing_root_and_a_missing_source_are_one_line(tmp_path, cache):
    for module, arguments, says in (
        ("vidpred.run", ["data=folder"], "data.root=… is needed"),
        ("vidpred.run", ["data=packed", "data.root=none"], "no prepared data"),
        ("vidpred.prepare", ["source=none.mp4", "out=o", "pose_estimator=keypoint_rcnn"], "no video"),
        ("vidpred.prepare", ["out=o"], "source=…"),
    ):
        answer = vidpred(*arguments, cwd=tmp_path, cache=cache, module=module)
        assert answer.returncode == 2, answer.stderr
        assert says in answer.stderr
        assert "Traceback" not in answer.stderr


def test_a_video_without_a_person_is_one_line(tmp_path, cache):
    import av

    with av.open(str(tmp_path / "empty.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for level in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 5 * level, dtype=np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    answer = vidpred("source=empty.mp4", "out=o", cwd=tmp_path, cache=cache, module="vidpred.prepare")
    if "pose_estimator.files" in answer.stderr:
        pytest.skip("BlazePose's files cannot be fetched here")
    assert answer.returncode == 2
    assert "empty.mp4 shows no person" in answer.stderr
    assert not (tmp_path / "o" / "train").exists()
