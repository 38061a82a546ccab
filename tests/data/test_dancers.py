import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidpred.data.dancers.choreography import JOINT
from vidpred.data.dancers.factors import BALL_RADIUS, Strengths
from vidpred.data.dancers.film import Dancers
from vidpred.data.dancers.source import DancersSource, SplitSize
from vidpred.data.store import open_store
from vidpred.pose.skeletons import DANCER

DETERMINISTIC = Dancers(stochastic=0.0)


def test_two_drawings_have_identical_bytes():
    first, second = (Dancers().film("train", 3, 20) for _ in range(2))
    assert first.frames.tobytes() == second.frames.tobytes()
    assert first.poses.tobytes() == second.poses.tobytes()


def test_clips_differ():
    films = [Dancers().film("train", index, 2).frames for index in range(4)]
    assert len({film.tobytes() for film in films}) == 4


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 30), st.integers(0, 50))
def test_a_longer_clip_begins_with_the_shorter_one(frames, index):
    short, long = Dancers().film("val", index, frames), Dancers().film("val", index, frames + 9)
    assert np.abs(short.frames.astype(int) - long.frames[:frames]).max() <= 1  # windows differ, and so does rounding
    assert np.abs(short.poses.astype(int) - long.poses[:frames]).max() <= 1


@pytest.mark.parametrize("size", [(64, 64), (32, 64), (48, 40), (16, 16)])
def test_any_size(size):
    film = Dancers(height=size[0], width=size[1]).film("train", 0, 5)
    assert film.frames.shape == film.poses.shape == (5, 3, *size)
    assert film.frames.std() > 10


def body_mask(dancers: Dancers, split: str, index: int, frames: int) -> np.ndarray:
    """Where the dancer is: pixels that change when everything but the dancer stays, found by removing the dancer."""
    scene = dancers._scene(split, index, frames)
    factors = dancers._factors(scene, split, index, frames, [0])
    with_dancer = dancers._paint(scene, factors, 0).astype(int)
    away = scene._replace(motion=scene.motion._replace(joints=scene.motion.joints + np.array([0.0, 50.0, 0.0])))
    without = dancers._paint(away, factors, 0).astype(int)
    return np.abs(with_dancer - without).max(axis=1) > 8


@pytest.mark.parametrize("index", range(4))
def test_limb_pixels_lie_on_the_body(index):
    film = DETERMINISTIC.film("train", index, 24)
    body = body_mask(DETERMINISTIC, "train", index, 24)
    limbs = film.poses.max(axis=1) > 200
    assert limbs.sum() > 24 * 60
    assert body[limbs].mean() > 0.97


def test_the_pose_of_another_moment_does_not_fit():
    film = DETERMINISTIC.film("train", 0, 48)
    body = body_mask(DETERMINISTIC, "train", 0, 48)
    limbs = film.poses.max(axis=1) > 200
    assert body[limbs].mean() > body[np.roll(limbs, 24, axis=0)].mean() + 0.1


def test_keypoints_are_the_ends_of_the_limbs():
    film = Dancers().film("train", 0, 6)
    head = film.keypoints[:, JOINT["head"]].round().astype(int)
    neck_to_head = np.array(DANCER.colors[DANCER.limbs.index((JOINT["neck"], JOINT["head"]))])
    drawn = film.poses[np.arange(6), :, head[:, 1], head[:, 0]]
    assert (np.abs(drawn.astype(int) - neck_to_head)[:, neck_to_head > 0] < 140).all()


def test_no_dancer_is_in_two_splits():
    dancers = Dancers(clips_per_dancer=2)
    looks = {
        split: {str(dancers._scene(split, index, 1).look) for index in range(40)} for split in ("train", "val", "test")
    }
    assert all(len(kept) == 20 for kept in looks.values())
    assert not looks["train"] & looks["val"]
    assert not looks["train"] & looks["test"]
    assert not looks["val"] & looks["test"]


def test_without_strength_frames_are_a_function_of_first_frame_and_poses():
    films = [DETERMINISTIC.film("val", 2, 30, future=future) for future in range(3)]
    assert films[0].frames.tobytes() == films[1].frames.tobytes() == films[2].frames.tobytes()
    assert (films[0].factors.light == 1).all()
    assert not films[0].factors.wind.any()
    assert np.ptp(films[0].factors.ball, axis=1).max() == 0


@pytest.mark.parametrize(
    ("stochastic", "strengths", "deterministic"),
    [(1.0, (1.0, 1.0, 1.0), False), (0.0, (1.0, 1.0, 1.0), True), (1.0, (0.0, 0.0, 0.0), True),
     (1.0, (0.0, 0.5, 0.0), False)],
)  # fmt: skip
def test_the_source_knows_whether_chance_has_a_part(tmp_path, stochastic, strengths, deterministic):
    dancers = Dancers(height=16, width=16, stochastic=stochastic, strengths=Strengths(*strengths))
    source = DancersSource(dancers=dancers, sizes={"train": SplitSize(1, 2)}, cache=tmp_path)
    assert source.deterministic == deterministic


def test_futures_share_first_frame_and_poses_and_nothing_else():
    films = [Dancers().film("val", 2, 40, future=future) for future in range(3)]
    for film in films[1:]:
        assert np.abs(film.frames[0].astype(int) - films[0].frames[0]).max() <= 1
        assert np.array_equal(film.poses, films[0].poses)
        assert not np.array_equal(film.frames[1:], films[0].frames[1:])


@pytest.mark.parametrize("name", Strengths._fields)
def test_every_factor_changes_the_film_alone(name):
    only = Strengths(**{other: float(other == name) for other in Strengths._fields})
    film = Dancers(strengths=only).film("train", 5, 60)
    still = DETERMINISTIC.film("train", 5, 60)
    assert not np.array_equal(film.frames, still.frames)
    assert np.array_equal(film.poses, still.poses)
    moved = {
        field: not np.array_equal(value, getattr(still.factors, field))
        for field, value in film.factors._asdict().items()
    }
    assert moved == {field: field == name for field in Strengths._fields}


def test_the_ball_stays_in_the_room():
    film = Dancers(strengths=Strengths(ball=3.0)).film("train", 1, 300)
    assert film.factors.ball[..., 1].min() >= BALL_RADIUS - 1e-9
    assert np.abs(film.factors.ball[..., 0]).max() < 0.6


def test_feet_stay_on_the_ground_and_bones_keep_their_length():
    motion = Dancers()._scene("train", 4, 200).motion
    for side in ("left", "right"):
        hip, knee, ankle = (motion.joints[:, JOINT[f"{side}_{name}"]] for name in ("hip", "knee", "ankle"))
        assert np.ptp(np.linalg.norm(knee - hip, axis=1)) < 1e-6
        shank = np.linalg.norm(ankle - knee, axis=1)
        assert np.ptp(shank) < 0.02
        assert ankle[:, 1].min() > 0


def test_the_oracle_is_the_mean_of_other_futures():
    dancers = Dancers(height=16, width=16)
    films = [dancers.film("val", 0, 6, future=future).frames / 255 for future in range(1, 4)]
    np.testing.assert_allclose(dancers.oracle("val", 0, 6, futures=3), np.mean(films, axis=0), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "word"),
    [({"height": 8}, "16x16"), ({"fps": 0.0}, "fps"), ({"stochastic": -1.0}, "strengths"),
     ({"clips_per_dancer": 0}, "clips_per_dancer")],
)  # fmt: skip
def test_impossible_options_are_refused(options, word):
    with pytest.raises(ValueError, match=word):
        Dancers(**options)


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="split"):
        Dancers().film("validation", 0, 1)


def small_source(cache, **options) -> DancersSource:
    return DancersSource(
        dancers=Dancers(height=16, width=16, **options), sizes={"train": SplitSize(3, 5)}, cache=cache, workers=1
    )


def test_the_cache_is_written_once(tmp_path):
    small_source(tmp_path).prepare()
    index = next(tmp_path.rglob("index.json"))
    stamp = index.stat().st_mtime_ns
    small_source(tmp_path).prepare()
    assert index.stat().st_mtime_ns == stamp


def test_other_settings_have_another_cache(tmp_path):
    small_source(tmp_path).prepare()
    small_source(tmp_path, seed=1).prepare()
    assert len(list(tmp_path.rglob("index.json"))) == 2


@pytest.mark.parametrize("damage", ["truncated", "changed", "no index", "stale"])
def test_a_damaged_or_stale_cache_is_drawn_again_with_a_line_that_says_so(tmp_path, damage, caplog):
    source = small_source(tmp_path)
    source.prepare()
    expected = np.array(source.open("train").frames)
    folder = source._path("train")
    frames = folder / "frames.npy"
    if damage == "truncated":
        frames.write_bytes(frames.read_bytes()[:-100])
    elif damage == "changed":
        content = bytearray(frames.read_bytes())
        content[-1] ^= 0xFF
        frames.write_bytes(content)
    elif damage == "no index":
        (folder / "index.json").unlink()
    else:
        from vidpred.data import store

        index = json.loads((folder / "index.json").read_text())
        del index["checksum"]
        index["fingerprint"] = "older"
        (folder / "index.json").write_text(json.dumps({"checksum": store.index_checksum(index), **index}))
    source.prepare()
    assert "drawn again" in caplog.text
    assert np.array_equal(open_store(folder).frames, expected)


def test_several_workers_draw_what_one_does(tmp_path):
    sizes = {"train": SplitSize(9, 4)}
    one, two = (
        DancersSource(dancers=Dancers(height=16, width=16), sizes=sizes, cache=tmp_path / str(workers), workers=workers)
        for workers in (1, 2)
    )
    one.prepare()
    two.prepare()
    assert np.array_equal(one.open("train").frames, two.open("train").frames)
    assert np.array_equal(one.open("train").keypoints, two.open("train").keypoints)


def test_oracles_are_kept(tmp_path):
    source = small_source(tmp_path)
    source.prepare()
    first = source.oracles("train", [(1, 5)])
    assert len(list(tmp_path.rglob("oracle-*.npy"))) == 1
    again = source.oracles("train", [(0, 5), (1, 5)])  # each by itself, whatever it is asked for with
    np.testing.assert_array_equal(again[1], first[0])
    assert len(list(tmp_path.rglob("oracle-*.npy"))) == 2
    np.testing.assert_allclose(first[0], source.dancers.oracle("train", 1, 5, futures=32), atol=3e-4)
