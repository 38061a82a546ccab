"""What strangers send: code in checkpoints, files that swell, paths and links that lead elsewhere, HTML in names."""

import json
import pickle
import re
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from folders import make_run
from samples import write_pictures

from vidpred import assembly, cli
from vidpred.assembly.building import refuse_foreign_code
from vidpred.data.folder import FolderSource
from vidpred.data.layouts import LayoutError
from vidpred.data.pictures import read_picture
from vidpred.data.store import StoreError, index_checksum, open_store
from vidpred.interop.bundle import read_bundle
from vidpred.interop.submission import read_submission
from vidpred.networks.checkpoint import CheckpointError, read_checkpoint
from vidpred.pose.keypoints import read_keypoints
from vidpred.pose.skeletons import load_skeleton
from vidpred.preparation.films import VideoFile
from vidpred.reporting.reading import find_runs
from vidpred.reporting.report import write_report
from vidpred.runfolder import RunFolder


class Touch:
    """A pickle that touches a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache) -> bytes:
    """A checkpoint of ours."""
    folder = tmp_path_factory.mktemp("trained")
    cfg = assembly.compose("experiment=debug", "model.widths=[8,8,8]", "logger=none", "trainer.max_epochs=1",
                           "callbacks.progress=null", f"data.cache={cache}", f"run_dir={folder}")  # fmt: skip
    run = assembly.build_run(cfg)
    run.trainer.fit(run.module, datamodule=run.data)
    return (folder / "checkpoints" / "last.ckpt").read_bytes()


@pytest.fixture
def checkpoint(trained, tmp_path) -> Path:
    (tmp_path / "mine.ckpt").write_bytes(trained)
    return tmp_path / "mine.ckpt"


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
@pytest.mark.parametrize("place", ["whole", "config", "state_dict"])
def test_code_in_a_checkpoint_is_not_run(checkpoint, tmp_path, write, place):
    bait = tmp_path / "touched"
    held = torch.load(checkpoint, weights_only=True)
    held = Touch(bait) if place == "whole" else {**held, place: Touch(bait)}
    write(held, checkpoint)
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        assembly.load_predictor(checkpoint)
    assert not bait.exists()


TARGETS = [
    "os.system", "builtins.eval", "subprocess.run", "torch.load", "torch.hub.load", "torch.ops.load_library",
    "vidpred.data.store.os.system", "vidpred.pose.blazepose_files.shutil.rmtree", "vidpred.cli.main",
    "torch.nn.functional.torch.load", "vidpred.data", "vidpred.networks.nowhere", "vidpredator.x", 7, None,
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("part", ["model", "prior", "data"])
def test_a_checkpoints_configuration_calls_nothing_foreign(checkpoint, part, target):
    held = torch.load(checkpoint, weights_only=True)
    held["vidpred"]["config"][part]["deep"] = [{"inside": {"_target_": target, "command": "touch x"}}]
    torch.save(held, checkpoint)
    with pytest.raises(ValueError, match=f"{part} wants to call {target}"):
        assembly.load_predictor(checkpoint)


def test_users_can_widen_what_is_trusted(monkeypatch):
    config = {"_target_": "fractions.Fraction"}
    with pytest.raises(ValueError, match="VIDPRED_TRUSTED_CODE"):
        refuse_foreign_code(config, name="x")
    monkeypatch.setenv("VIDPRED_TRUSTED_CODE", "decimal, fractions")
    refuse_foreign_code(config, name="x")
    with pytest.raises(ValueError, match=r"wants to call os\.system"):
        refuse_foreign_code({"_target_": "os.system"}, name="x")


def test_what_we_write_ourselves_is_trusted(checkpoint):
    assert assembly.load_predictor(checkpoint)


def refusal(read, file: Path) -> str:
    """What the user is told: one line that names the file."""
    with pytest.raises(Exception, match=re.escape(file.name)) as caught:
        read()
    assert cli._is_users(caught.value), caught.value
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_png_bomb(file: Path) -> None:
    """Some hundred bytes that claim 50,000 x 50,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9999))))


def write_film_bomb(file: Path) -> None:
    """A tiny film whose header claims frames of 12,000 x 12,000 pixels, as many as FFmpeg takes."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 8, 8, "bgr24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((8, 8, 3), np.uint8), format="bgr24")))
        container.mux(stream.encode())
    content = bytearray(file.read_bytes())
    place = content.index(b"strf") + 12
    assert struct.unpack_from("<ii", content, place) == (8, -8)  # from the top down
    content[place : place + 8] = struct.pack("<ii", 12_000, -12_000)
    file.write_bytes(content)


def write_archive_bomb(file: Path) -> None:
    """An archive whose only array claims four gigabytes."""
    np.savez_compressed(file, keypoints=np.zeros((1000, 33, 3)))
    content = bytearray(file.read_bytes())
    (true,) = struct.unpack_from("<I", content, place := content.rindex(b"PK\x01\x02") + 24)
    assert true > 700_000
    content[place : place + 4] = struct.pack("<I", 2**32 - 2)
    file.write_bytes(content)


def write_checkpoint_bomb(file: Path) -> None:
    """Weights that are compressed, as torch never writes them: a hundred million zeros in a hundred kilobytes."""
    torch.save({"x": torch.zeros(1000)}, file)
    with zipfile.ZipFile(file) as archive:
        held = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in held.items():
            archive.writestr(name, content if "/data/" not in name else bytes(100_000_000))
    assert file.stat().st_size < 1_000_000


BOMBS = {
    "1.png": (write_png_bomb, lambda file: read_picture(file, (8, 8)), "89 million pixels"),
    "film.avi": (write_film_bomb, lambda file: VideoFile(file).times, "12000x12000"),
    "keypoints.npz": (write_archive_bomb, read_keypoints, "holds 4295.0 MB"),
    "psnr.npz": (write_archive_bomb, lambda file: RunFolder(file.parent).read_arrays(file.name), "holds 4295.0 MB"),
    "x.ckpt": (write_checkpoint_bomb, read_checkpoint, "holds 100.0 MB"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_swell_is_refused_before_it_does(tmp_path, name):
    write, read, words = BOMBS[name]
    file = tmp_path / name
    write(file)
    assert words in refusal(lambda: read(file), file)


def read_openpose(file: Path) -> object:
    return read_keypoints(file.parent)


HUGE = {
    "keypoints.json": read_keypoints, "1_keypoints.json": read_openpose,
    "skeleton.json": lambda f: load_skeleton(str(f)),
    "skeleton.yaml": lambda f: load_skeleton(str(f)), "index.json": lambda f: open_store(f.parent),
    "run.json": lambda f: RunFolder(f.parent).read_json(f.name),
    "metrics.csv": lambda f: RunFolder(f.parent).read_rows(),
    "config.json": lambda f: read_bundle(f.parent), "x.ckpt": read_checkpoint, "submission.csv": read_submission,
}  # fmt: skip


@pytest.mark.parametrize("name", HUGE)
def test_huge_files_are_refused_unread(tmp_path, name):
    file = tmp_path / name
    with file.open("wb") as stream:
        stream.truncate(10**11)  # a hole: it takes no room
    refusal(lambda: HUGE[name](file), file if name != "config.json" else tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
def test_what_is_nested_too_deeply_is_refused(tmp_path, text):
    for name in HUGE:
        if name.endswith(("json", "yaml")):
            folder = tmp_path / name.partition(".")[0]
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(text)
            refusal(lambda name=name, folder=folder: HUGE[name](folder / name),
                    folder if name == "config.json" else folder / name)  # fmt: skip


def test_words_among_keypoints_are_refused_before_numpy_gives_each_the_room_of_the_longest(tmp_path):
    file = tmp_path / "keypoints.json"
    file.write_text(json.dumps(["x" * 10**6] + ["y"] * 10**6))
    assert "not numbers" in refusal(lambda: read_keypoints(file), file)


LAUGHS = "\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))])


def test_aliases_that_multiply_are_refused(tmp_path):
    """Forty lines of YAML that would be a trillion values, were they told."""
    run = make_run(tmp_path / "run")
    (run.path / "config.yaml").write_text(LAUGHS)
    (found,) = find_runs([str(tmp_path)])
    assert "config.yaml cannot be read: it has aliases" in found.problems[0]
    file = tmp_path / "skeleton.yaml"
    items = ", ".join(line.partition(": ")[2] for line in LAUGHS.splitlines())
    file.write_text(f"joints: [y]\nlimbs: [{items}]")
    refusal(lambda: load_skeleton(str(file)), file)


def sign(store: Path, **changes) -> None:
    """Change an index as somebody would who knows its checksum."""
    index = {**json.loads((store / "index.json").read_text()), **changes}
    del index["checksum"]
    (store / "index.json").write_text(json.dumps({"checksum": index_checksum(index), **index}))


@pytest.fixture
def store(source, tmp_path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    for file in source.open("val").path.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "frames/../../outside", "other"])
def test_a_store_names_no_files_but_its_own(store, name):
    arrays = json.loads((store / "index.json").read_text())["arrays"]
    (store.parent / "outside.npy").write_bytes((store / "frames.npy").read_bytes())
    sign(store, arrays={**arrays, name: arrays["frames"]})
    assert "describes no store: its arrays" in refusal(lambda: open_store(store), store / "index.json")


ROW = ["a", 0, 12, 12, "", 0, 1]


@pytest.mark.parametrize("changes", [
    {"sequences": [[*ROW[:2], 10**9, *ROW[3:]]]}, {"sequences": [["a", -5, *ROW[2:]]]},
    {"sequences": [["a", 0, 12, 13, *ROW[4:]]]},
    {"sequences": [[*ROW[:6], 0]]}, {"sequences": [{}]}, {"sequences": [["a"]]}, {"sequences": None}, {"about": []},
    {"fingerprint": {}}, {"arrays": {"frames": {"bytes": "1", "crc32": 0}}}, {"arrays": {"frames": [1]}}, {"arrays": 3},
])  # fmt: skip
def test_a_store_that_was_signed_by_a_stranger_is_read_with_care(store, changes):
    sign(store, **changes)
    with pytest.raises(StoreError, match=r"describes no store|do not fit together"):
        open_store(store)


@pytest.mark.parametrize("array", [np.zeros((36, 3, 16, 24)), np.zeros(5, np.uint8), np.array([{}], dtype=object)])
def test_arrays_of_another_kind_are_no_frames(store, array):
    np.save(store / "frames.npy", array, allow_pickle=True)
    arrays = json.loads((store / "index.json").read_text())["arrays"]
    sign(store, arrays={**arrays, "frames": {"bytes": (store / "frames.npy").stat().st_size, "crc32": 0}})
    refusal(lambda: open_store(store), store / "frames.npy")


def to_link(file: Path, outside: Path) -> None:
    """Move a file outside and leave a link in its place."""
    file.rename(outside / file.name)
    file.symlink_to(outside / file.name)


def test_links_that_leave_a_store_are_refused(store, tmp_path):
    (tmp_path / "outside").mkdir()
    to_link(store / "frames.npy", tmp_path / "outside")
    assert "is a link that leaves" in refusal(lambda: open_store(store), store / "frames.npy")


@pytest.mark.parametrize("name", ["config.yaml", "summary.json", "metrics.csv", "psnr.npz"])
def test_links_that_leave_the_folder_of_a_run_are_not_followed(tmp_path, name):
    run = make_run(tmp_path / "runs" / "a")
    to_link(run.path / name, tmp_path)
    (found,) = find_runs([str(tmp_path / "runs")])
    assert len(found.problems) == 1
    assert f"{name} cannot be read" in found.problems[0]
    assert "is a link that leaves" in found.problems[0]


@pytest.mark.parametrize("kind", ["frame", "pose", "keypoints", "openpose", "folder"])
def test_links_that_leave_the_root_of_pictures_are_refused(source, tmp_path, kind):
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    for split in ("train", "val"):
        write_pictures(root / split, source.open(split))
    first = sorted((root / "train").iterdir())[0]
    pictures = FolderSource(root=root, cache=tmp_path / "cache", height=16, width=24, workers=1, skeleton="coco")
    if kind in ("keypoints", "openpose"):
        for folder in root.glob("*/*"):
            np.save(folder / "keypoints.npy", np.zeros((len(list((folder / "frames").iterdir())), 17, 3)))
    link = {"frame": first / "frames" / "frame3.png", "pose": first / "poses" / "frame3.png",
            "keypoints": first / "keypoints.npy", "folder": first / "frames",
            "openpose": first / "keypoints" / "1_keypoints.json"}[kind]  # fmt: skip
    if kind == "openpose":
        (first / "keypoints.npy").unlink()
        link.parent.mkdir()
        link.write_text("{}")
    to_link(link, outside)
    with pytest.raises(LayoutError, match=f"{link.name} is a link that leaves .*follow_links"):
        pictures.prepare()
    assert replace(pictures, layout=replace(pictures.layout, follow_links=True)).parts


def test_names_and_words_of_a_strangers_run_are_text_on_the_page(tmp_path):
    evil = "<img src=x onerror=alert(1)>"
    for number in range(2):
        run = make_run(tmp_path / f"{number} {evil}", {"note": f"{evil}{number}"}, films=True, finished=False,
                       about={"git": evil, "command": evil, "versions": {"torch": f"{evil}{number}"}})  # fmt: skip
        run.write_json("failed.json", {"error": evil})
        run.write_json("doctor.json", {"sentence": evil})
        run.write_json("schedules.json", {"courses": [{"name": evil, "sentence": evil}]})
        run.write_json(
            "evaluation/metrics.json", {"diagnoses": [{"question": evil, "sentence": evil}], "left_out": [evil]}
        )
    broken = make_run(tmp_path / f"2 {evil}")
    (broken.path / "run.json").write_text("{")
    page = write_report(find_runs([str(tmp_path)]), tmp_path / "report.html").page.read_text()
    assert evil not in page
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") > 20


def test_films_and_evaluations_that_make_no_sense_are_said(tmp_path):
    for number, films in enumerate(({"clips": np.array([0])}, {"clips": np.array([[0.5]])}, {"truth_0": np.zeros(3)})):
        run = make_run(tmp_path / str(number), {"x": number}, films=True)
        arrays = run.read_arrays("films.npz")
        run.write_arrays("films.npz", **(films if "clips" in films else arrays | films))
        run.write_json("evaluation/metrics.json", {"diagnoses": [{}]})
    small = make_run(tmp_path / "3", {"x": 3}, films=True)
    arrays = small.read_arrays("films.npz")
    small.write_arrays(
        "films.npz", **{name: value[..., :8, :8, :] if value.ndim == 4 else value for name, value in arrays.items()}
    )
    make_run(tmp_path / "4", {"x": 4}, films=True)
    runs = find_runs([str(tmp_path)])
    write_report(runs, tmp_path / "report.html")
    for run in runs[:3]:
        assert ["metrics.json cannot be read" in problem for problem in run.problems] == [True, False]
        assert "films.npz cannot be read" in run.problems[1]
    assert runs[3].problems == runs[4].problems == []
