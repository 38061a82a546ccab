import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidpred.pose.cleaning import clean, runs

LEVELS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])


@st.composite
def films(draw):
    """Random confidences, positions, and frames without a person."""
    frames, joints = draw(st.integers(0, 24)), draw(st.integers(1, 3))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    keypoints = np.concatenate(
        [generator.uniform(-5, 90, (frames, joints, 2)), generator.choice(LEVELS, (frames, joints, 1))], axis=2
    )
    keypoints[generator.random(frames) < draw(st.sampled_from([0, 0.3, 0.7]))] = (np.nan, np.nan, 0)
    return keypoints


options = st.fixed_dictionaries(
    {"min_confidence": st.sampled_from([0.0, 0.5, 1.0]), "max_gap": st.integers(0, 5), "min_stretch": st.integers(1, 5)}
)


def expected_track(track, present, max_gap):
    """One coordinate of one joint, by np.interp, at the frames that are at most so far between two that are present."""
    known = np.flatnonzero(present)
    out = np.full(len(track), np.nan)
    for frame in range(len(track)):
        before, after = known[known <= frame], known[known >= frame]
        if len(before) and len(after) and (before[-1] == frame or after[0] - before[-1] - 1 <= max_gap):
            out[frame] = np.interp(frame, known, track[known])
    return out


@given(films(), options)
def test_what_stays_is_interpolated_as_by_numpy(keypoints, options):
    cleaned = clean(keypoints, **options)
    present = np.isfinite(keypoints[..., 0]) & (keypoints[..., 2] >= options["min_confidence"])
    stays = np.zeros(len(keypoints), bool)
    for stretch in cleaned.stretches:
        stays[stretch] = True
    for joint in range(keypoints.shape[1]):
        for part in range(3):
            expected = expected_track(keypoints[:, joint, part], present[:, joint], options["max_gap"])
            missing = 0.0 if part == 2 else np.nan
            expected = np.where(stays & ~np.isnan(expected), expected, missing)
            np.testing.assert_allclose(cleaned.keypoints[:, joint, part], expected, atol=1e-9)
    changed = np.isfinite(cleaned.keypoints[..., 0]) & ~present
    assert cleaned.interpolated == changed.any(axis=1).sum()
    assert cleaned.cut == (~stays).sum()


@given(films(), options)
def test_stretches_are_apart_and_long_enough_and_nobody_is_missing_in_them(keypoints, options):
    cleaned = clean(keypoints, **options)
    ends = [0]
    for number, stretch in enumerate(cleaned.stretches):
        assert stretch.stop - stretch.start >= options["min_stretch"]
        assert stretch.start > ends[-1] or number == 0
        ends.append(stretch.stop)
        assert np.isfinite(cleaned.keypoints[stretch, :, 0]).any(axis=1).all()
    assert ends[-1] <= len(keypoints)


@given(films(), options)
def test_cleaning_twice_is_cleaning_once(keypoints, options):
    once = clean(keypoints, **options)
    twice = clean(once.keypoints, **options)
    np.testing.assert_array_equal(once.keypoints, twice.keypoints)
    assert (twice.stretches, twice.interpolated, twice.cut) == (once.stretches, 0, once.cut)


@given(films(), options)
def test_the_given_keypoints_stay_as_they_are(keypoints, options):
    before = keypoints.copy()
    clean(keypoints, **options)
    np.testing.assert_array_equal(keypoints, before)


def moving(frames=10, joints=2):
    """Joints that move evenly: interpolation gives them back."""
    t = np.arange(frames, dtype=np.float32)[:, None]
    joint = np.arange(joints, dtype=np.float32)
    return np.stack([3 * t + joint, 40 - 2 * t + 0 * joint, 0.9 + 0 * t + 0 * joint], axis=2).astype(np.float32)


def clean_small(keypoints, **changed):
    return clean(keypoints, **({"min_confidence": 0.5, "max_gap": 2, "min_stretch": 1} | changed))


def test_a_short_absence_is_bridged():
    keypoints = moving()
    keypoints[4:6] = (np.nan, np.nan, 0)
    cleaned = clean_small(keypoints)
    np.testing.assert_allclose(cleaned.keypoints, moving(), rtol=1e-6)
    assert cleaned[1:] == ([slice(0, 10)], 2, 0)
    assert cleaned.keypoints.dtype == np.float32


def test_a_long_absence_is_cut_out():
    keypoints = moving()
    keypoints[3:6] = (np.nan, np.nan, 0)
    cleaned = clean_small(keypoints)
    assert cleaned[1:] == ([slice(0, 3), slice(6, 10)], 0, 3)
    assert clean_small(keypoints, min_stretch=4)[1:] == ([slice(6, 10)], 0, 6)


def test_absence_at_the_ends_is_cut_out_however_short():
    keypoints = moving()
    keypoints[[0, 9]] = (np.nan, np.nan, 0)
    assert clean_small(keypoints)[1:] == ([slice(1, 9)], 0, 2)


def test_a_long_gap_of_one_joint_stays_without_that_joint():
    keypoints = moving()
    keypoints[2:7, 1, 2] = 0.1
    cleaned = clean_small(keypoints)
    assert cleaned[1:] == ([slice(0, 10)], 0, 0)
    assert np.isnan(cleaned.keypoints[2:7, 1, :2]).all()
    assert (cleaned.keypoints[2:7, 1, 2] == 0).all()
    np.testing.assert_array_equal(cleaned.keypoints[:, 0], moving()[:, 0])


def test_a_short_gap_of_one_joint_is_filled_with_its_neighbours_confidence():
    keypoints = moving()
    keypoints[5, 0] = (500, 500, 0.2)  # a wild guess, and known to be one
    keypoints[6, 0, 2] = 0.7
    cleaned = clean_small(keypoints)
    np.testing.assert_allclose(cleaned.keypoints[5, 0], (15, 30, 0.8), rtol=1e-6)
    assert cleaned[1:] == ([slice(0, 10)], 1, 0)


def test_runs_are_those_of_true():
    assert runs(np.array([True, True, False, True])) == [slice(0, 2), slice(3, 4)]
    assert runs(np.zeros(0, bool)) == []


@pytest.mark.parametrize(
    ("changed", "word"), [({"min_confidence": 1.5}, "min_confidence"), ({"max_gap": -1}, "max_gap"),
                          ({"min_stretch": 0}, "min_stretch")],
)  # fmt: skip
def test_impossible_options_are_refused(changed, word):
    with pytest.raises(ValueError, match=word):
        clean_small(moving(), **changed)
