"""Broken and hostile files: whatever is in them, the program answers with its own errors, and soon.

Seeds are valid files; hypothesis cuts, splices and overwrites them, and changes values inside of JSON. ``make test``
sends a few hundred inputs, ``make torture`` more than ten thousand (VIDPRED_FUZZ says how many a reader gets).
"""

import copy
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from folders import make_run, write_films
from hydra.errors import HydraException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf.errors import OmegaConfBaseException
from PIL import Image

from vidpred import cli
from vidpred.cli_help import explain_overrides
from vidpred.configuration import compose, find_conf
from vidpred.data.pictures import read_picture
from vidpred.data.store import index_checksum, open_store
from vidpred.interop.bundle import read_bundle
from vidpred.interop.submission import read_submission
from vidpred.networks.checkpoint import read_checkpoint
from vidpred.pose.keypoints import read_keypoints
from vidpred.pose.skeletons import BLAZEPOSE, load_skeleton, skeleton_to_dict
from vidpred.reporting.charts import Look
from vidpred.reporting.comparison import make_fields, summary_table
from vidpred.reporting.films import make_films
from vidpred.reporting.reading import read_run
from vidpred.reporting.tables import to_csv
from vidpred.reporting.words import config_table, notes_table, settings_table

FUZZ = int(os.environ.get("VIDPRED_FUZZ", "25"))
fuzzed = settings(max_examples=FUZZ, deadline=5000, suppress_health_check=list(HealthCheck), print_blob=True)
NASTY = [None, True, -1, 0, 10**30, 1e308, float("nan"), float("inf"), "", "x" * 5000, "../../etc/passwd", [], {}, [[]],
         {"_target_": "os.system"}, "\x00", "1e400", [1] * 5000]  # fmt: skip


def saved(write: Callable[[Any], Any]) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


@st.composite
def broken(draw: st.DrawFn, seed: bytes) -> bytes:
    """A few wounds in a valid file."""
    data = bytearray(seed)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["cut", "overwrite", "insert", "repeat", "drop"]))
        some = draw(st.binary(min_size=1, max_size=8))
        if kind == "cut":
            del data[place:]
        elif kind == "overwrite":
            data[place : place + len(some)] = some
        elif kind == "insert":
            data[place:place] = some
        elif kind == "repeat":
            data[place:place] = data[place : place + 64] * draw(st.integers(1, 50))
        else:
            del data[place : place + draw(st.integers(1, 64))]
    return bytes(data)


@st.composite
def twisted(draw: st.DrawFn, seed: Any) -> bytes:
    """Valid JSON with one or two values that nobody expects."""
    value = json.loads(json.dumps(seed))
    for _ in range(draw(st.integers(1, 2))):
        inner, path = value, []
        while isinstance(inner, (dict, list)) and inner and (not path or draw(st.booleans())):
            path.append(draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner)))))
            inner = inner[path[-1]]
        if not path:
            return json.dumps(draw(st.sampled_from(NASTY))).encode()
        holder = value
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = copy.deepcopy(draw(st.sampled_from(NASTY)))
    return json.dumps(value).encode()


def answers(read: Callable[[], Any]) -> None:
    """What was read, or an error that a user would understand."""
    try:
        read()
    except Exception as error:
        if not cli._is_users(error):
            raise


RGB = Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3))
PICTURES = {
    kind: saved(lambda stream, kind=kind: RGB.save(stream, format=kind)) for kind in ("png", "jpeg", "gif", "webp")
}
POINTS = np.random.default_rng(0).uniform(0, 9, (3, 33, 3))
ARRAYS = {"npy": saved(lambda stream: np.save(stream, POINTS)),
          "npz": saved(lambda stream: np.savez_compressed(stream, keypoints=POINTS))}  # fmt: skip
OPENPOSE = {"people": [{"pose_keypoints_2d": POINTS[0, :25].ravel().tolist()}]}
CHECKPOINT = {"state_dict": {"model.x": torch.zeros(3)},
              "vidpred": {"format": 1, "version": "0", "shape": [3, 3, 8, 8], "config": {"seed": 0}}}  # fmt: skip


@pytest.mark.parametrize("kind", PICTURES)
@fuzzed
@given(data=st.data())
def test_pictures(tmp_path_factory, kind, data):
    file = tmp_path_factory.mktemp("x") / f"1.{kind}"
    file.write_bytes(data.draw(broken(PICTURES[kind])))
    answers(lambda: read_picture(file, (8, 8)))


@pytest.mark.parametrize("kind", ARRAYS)
@fuzzed
@given(data=st.data())
def test_keypoint_arrays(tmp_path_factory, kind, data):
    file = tmp_path_factory.mktemp("x") / f"keypoints.{kind}"
    file.write_bytes(data.draw(broken(ARRAYS[kind])))
    answers(lambda: read_keypoints(file))


@fuzzed
@given(content=st.one_of(twisted(POINTS[:1, :4].tolist()), twisted({"keypoints": POINTS[:1, :4].tolist()}),
                         broken(json.dumps(POINTS[:1, :4].tolist()).encode())))  # fmt: skip
def test_keypoint_json(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("x") / "keypoints.json"
    file.write_bytes(content)
    answers(lambda: read_keypoints(file))


@fuzzed
@given(content=st.one_of(twisted(OPENPOSE), broken(json.dumps(OPENPOSE).encode())))
def test_openpose_folders(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("x")
    (folder / "1_keypoints.json").write_text(json.dumps(OPENPOSE))
    (folder / "2_keypoints.json").write_bytes(content)
    answers(lambda: read_keypoints(folder))


SKELETON = skeleton_to_dict(BLAZEPOSE)


@pytest.mark.parametrize("kind", ["json", "yaml"])
@fuzzed
@given(content=st.one_of(twisted(SKELETON), broken(json.dumps(SKELETON).encode())))
def test_skeletons(tmp_path_factory, kind, content):
    file = tmp_path_factory.mktemp("x") / f"skeleton.{kind}"
    file.write_bytes(content)
    answers(lambda: load_skeleton(str(file)))


@fuzzed
@given(content=broken(b"id,0,1,2\n0,1,2,3\n1,255,0,9\n"))
def test_submissions(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("x") / "submission.csv"
    file.write_bytes(content)
    answers(lambda: read_submission(file))


def sign(index: bytes) -> bytes:
    """As somebody would who knows how an index checks itself."""
    held = json.loads(index)
    if not isinstance(held, dict):
        return index
    held.pop("checksum", None)
    return json.dumps({"checksum": index_checksum(held), **held}).encode()


@fuzzed
@given(data=st.data())
def test_stores(tmp_path_factory, source, data):
    store = source.open("val").path
    folder = tmp_path_factory.mktemp("x")
    for file in store.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    index = folder / "index.json"
    held = json.loads(index.read_text())
    index.write_bytes(data.draw(st.one_of(twisted(held), broken(index.read_bytes()), twisted(held).map(sign))))
    answers(lambda: open_store(folder))


@fuzzed
@given(content=broken(saved(lambda stream: torch.save(CHECKPOINT, stream))))
def test_checkpoints(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("x") / "x.ckpt"
    file.write_bytes(content)
    answers(lambda: read_checkpoint(file))


BUNDLE = {"format": 1, "version": "0.1.0", "shape": [3, 3, 8, 8], "config": {"seed": 0}, "skeleton": None}


@fuzzed
@given(config=st.one_of(twisted(BUNDLE), broken(json.dumps(BUNDLE).encode())), weights=st.binary(max_size=40))
def test_exported_folders(tmp_path_factory, config, weights):
    folder = tmp_path_factory.mktemp("x")
    (folder / "config.json").write_bytes(config)
    (folder / "model.safetensors").write_bytes(weights)
    answers(lambda: read_bundle(folder))


@pytest.fixture(scope="module")
def run_files(tmp_path_factory):
    """What a run's folder holds."""
    folder = make_run(tmp_path_factory.mktemp("template") / "run")
    write_films(folder)
    folder.write_json("evaluation/metrics.json", {"diagnoses": [{"question": "Is it?", "sentence": "It is."}],
                                                  "left_out": ["clip 7"]})  # fmt: skip
    (folder.path / "config.yaml").write_text("seed: 0\ntrainer:\n  max_epochs: 4\n")
    files = (file for file in sorted(folder.path.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder.path)): file.read_bytes() for file in files}


@fuzzed
@given(data=st.data())
def test_run_folders(tmp_path_factory, run_files, data):
    folder = tmp_path_factory.mktemp("x")
    (folder / "evaluation").mkdir()
    for name, content in run_files.items():
        (folder / name).write_bytes(content)
    name = data.draw(st.sampled_from(sorted(run_files)))
    kinds = [broken(run_files[name]), *([twisted(json.loads(run_files[name]))] if name.endswith("json") else [])]
    (folder / name).write_bytes(data.draw(st.one_of(*kinds)))
    answers(lambda: tell(folder))


def tell(folder: Path) -> None:
    """What a report says of a run."""
    for field in make_fields([read_run(folder, name="run")]):
        make_films(field, Look(field), most=1)
        for table in (summary_table(field), settings_table(field), notes_table(field), config_table(field)):
            assert to_csv(table)


KEYS = [
    "kl_anneal",
    "kl_anneal.cycles",
    "trainer.max_epochs",
    "model.widths",
    "data.height",
    "seed",
    "data",
    "+x",
    "~seed",
    "++a.b",
    "callbacks.best",
    "hydra.run.dir",
    "experiment",
    "objective@objective.base",
    "",
    "=",
    "é",
]
VALUES = [
    "[",
    "{a:",
    "1,2",
    "${seed}",
    "${oc.env:HOME}",
    "${x",
    "'",
    "null",
    "range(1,",
    "cyclical",
    "\\",
    "a=b",
    "1e999",
]


@fuzzed
@given(key=st.sampled_from(KEYS), value=st.one_of(st.text(max_size=20), st.sampled_from(VALUES)))
def test_overrides(key, value):
    override = f"{key}={value}"
    try:
        compose(override)
    except (HydraException, OmegaConfBaseException) as error:
        said = explain_overrides(error, "run", find_conf(), [override])
        assert isinstance(said, str)
        assert said
    except Exception as error:
        if not (cli._is_users(error) or (isinstance(error, ValueError) and "Config group override" in str(error))):
            raise
