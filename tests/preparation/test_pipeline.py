import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from test_video_films import write_video

from vidpred.data.packed import PackedSource
from vidpred.data.splits import Splitting
from vidpred.data.store import open_store
from vidpred.pose.maps import Limbs
from vidpred.pose.skeletons import COCO
from vidpred.preparation import pipeline
from vidpred.preparation.films import VideoFile
from vidpred.preparation.pipeline import Preparation, PreparationError
from vidpred.preparation.preview import preview_film, preview_sheet


@dataclass(frozen=True)
class Walker:
    """An estimator for films of grey level 8·k: the person stands at x = k/2; absent in some frames."""

    absent: tuple[int, ...] = ()
    calls: str | None = None  # file that counts frames
    joints: tuple[str, ...] = COCO.joints

    def estimate(self, frames):
        poses = []
        for frame in frames:
            number = round(float(frame.mean()) / 8)
            pose = np.ones((len(self.joints), 3), dtype=np.float32)
            pose[:, 0], pose[:, 1] = 10 + number / 2, np.linspace(10, 38, len(self.joints))
            poses.append(np.full_like(pose, np.nan) * [1, 1, 0] if number in self.absent else pose)
            if self.calls:
                with open(self.calls, "a") as log:
                    log.write(f"{number}\n")
        return np.nan_to_num(np.stack(poses), nan=np.nan).astype(np.float32)


@pytest.fixture
def film(tmp_path) -> VideoFile:
    write_video(tmp_path / "film.mkv", 30)
    return VideoFile(tmp_path / "film.mkv")


@pytest.fixture
def preparation(tmp_path) -> Preparation:
    return Preparation(out=tmp_path / "out", height=16, width=16, min_stretch=0.3, max_gap=0.2, workers=1,
                       splitting=Splitting(by="time", val=0.3, gap=0.1))  # fmt: skip


def test_a_film_becomes_splits_with_a_gap_in_time(film, preparation):
    report = preparation.run([film], Walker(), identity="walker")
    assert report["splits"] == {"val": {"sequences": 1, "frames": 9}, "train": {"sequences": 1, "frames": 18}}
    train, val = (open_store(preparation.out / split) for split in ("train", "val"))
    assert train.frames.shape == (18, 3, 16, 16)
    assert train.frames[:, 0, 8, 8].astype(int).tolist() == pytest.approx([8 * k for k in range(18)], abs=3)
    assert val.frames[:, 0, 8, 8].astype(int).tolist() == pytest.approx([8 * k for k in range(21, 30)], abs=3)
    assert val.sequences[0][4:] == (film.digest, 21, 1)
    source = PackedSource(root=preparation.out)
    source.prepare()
    assert source.content == (3, 16, 16, 0, COCO)
    assert train.about["fps"] == pytest.approx(10, rel=0.02)
    assert preview_film(train, scale=1).startswith(b"GIF89a")
    assert preview_sheet(train, scale=1).ndim == 3


def test_stretches_without_a_person_are_cut_out_and_short_gaps_are_bridged(film, preparation):
    report = preparation.run([film], Walker(absent=(4, 10, 11, 12, 13)), identity="walker")
    entry = report["films"][0]
    assert (entry["interpolated"], entry["cut"], entry["stretches"], entry["kept"]) == (1, 4, 2, 26)
    train = open_store(preparation.out / "train")
    assert [(info.name, info.length) for info in train.sequences] == [("film-000000", 10), ("film-000014", 4)]
    width = report["films"][0]["window"][2]
    middle = (np.arange(10) / 2 + 10 - report["films"][0]["window"][0] + 0.5) * 16 / width - 0.5
    assert np.asarray(train.keypoints[:10, 0, 0]) == pytest.approx(middle, abs=1e-3)


def test_what_was_done_before_a_kill_is_not_done_again(film, preparation, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "_CHUNK", 6)
    calls = tmp_path / "calls.txt"
    walker = Walker(calls=str(calls))
    real = pipeline.estimate_poses
    jobs = []

    def killed(job):
        if len(jobs) == 3:
            raise KeyboardInterrupt
        jobs.append(job)
        real(job)

    monkeypatch.setattr(pipeline, "estimate_poses", killed)
    with pytest.raises(KeyboardInterrupt):
        preparation.run([film], walker, identity="walker")
    assert not (preparation.out / "train").exists()
    assert len(calls.read_text().split()) == 18
    monkeypatch.setattr(pipeline, "estimate_poses", real)
    first = preparation.run([film], walker, identity="walker")
    assert len(calls.read_text().split()) == 30  # no frame was looked at twice
    bytes_before = (preparation.out / "train" / "frames.npy").stat().st_mtime_ns
    assert preparation.run([film], walker, identity="walker") == json.loads(json.dumps(first))
    assert len(calls.read_text().split()) == 30  # nor is anything done when nothing is missing
    assert (preparation.out / "train" / "frames.npy").stat().st_mtime_ns == bytes_before
    replace(preparation, margin=0.3).run([film], walker, identity="walker")
    assert len(calls.read_text().split()) == 60
    assert not (preparation.out / ".work").exists()


def test_several_films_are_split_by_film(tmp_path, preparation):
    films = []
    for number in range(4):
        write_video(tmp_path / f"{number}.mkv", 12 + number)
        films.append(VideoFile(tmp_path / f"{number}.mkv"))
    by_film = replace(preparation, splitting=Splitting(val=0.25), maps=Limbs())
    by_film.run(films, Walker(), identity="walker")
    stores = {split: open_store(preparation.out / split) for split in ("train", "val")}
    names = {split: {info.name.split("-")[0] for info in store.sequences} for split, store in stores.items()}
    assert names["val"] == {"2"}
    assert names["train"] == {"0", "1", "3"}
    assert stores["train"].poses.shape == (40, 3, 16, 16)
    assert stores["train"].poses.any()


def test_a_film_without_a_person_is_named(film, preparation):
    with pytest.raises(PreparationError, match=r"film\.mkv shows no person .*found in 0 of 30 frames"):
        preparation.run([film], Walker(absent=tuple(range(30))), identity="walker")


def test_a_lower_rate_takes_fewer_frames(film, preparation):
    report = replace(preparation, fps=5.0).run([film], Walker(), identity="walker")
    assert report["films"][0]["frames"] == 15
    assert open_store(preparation.out / "train").about["fps"] == 5.0


@pytest.mark.parametrize("options", [{"height": 4}, {"min_confidence": 2.0}, {"margin": -1.0}, {"fps": -5.0}])
def test_impossible_options_are_refused(preparation, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        replace(preparation, **options)
