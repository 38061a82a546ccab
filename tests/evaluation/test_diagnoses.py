"""Diagnoses of models of which everything is known, and of curves whose law is known."""

import math

import numpy as np
import pytest
import torch
from fakes import Cheat, Fake, assess

from vidpred.data.clips import Window
from vidpred.doctor import Chart
from vidpred.evaluation.conditions import CONDITIONS, POSE_CHANGES, ExaminedClip, examine_clips
from vidpred.evaluation.diagnoses import diagnose_conditions, diagnose_samples
from vidpred.evaluation.pose_following import Joints
from vidpred.evaluation.sampling import SampledClip, Spread
from vidpred.networks import CVAE
from vidpred.predictor import Predictor


def examine(model, data):
    windows = data.eval_sampler("val").windows
    return examine_clips(Predictor(model, 1, {}), data, "val", windows, context_frames=1)


def diagnose(model, data):
    clips, chart = examine(model, data)
    return {entry.question: entry for entry in diagnose_conditions(clips, chart, deterministic=False)}


def flat(**levels: float) -> list[ExaminedClip]:
    """Clips whose conditions score one number each; all others score 20 dB."""
    chosen = {name.replace("_", " "): level for name, level in levels.items()}
    levels = np.array([chosen.get(name, 20.0) for name in CONDITIONS])
    curves = [dict(zip(CONDITIONS, np.tile(levels[:, None] + 0.1 * clip, 8), strict=True)) for clip in range(4)]
    return [ExaminedClip(Window(clip, 0, 9), psnr, {}) for clip, psnr in enumerate(curves)]


def chart() -> Chart:
    """Of a model that was examined on one frame."""
    one = Chart((1, 1, 1))
    one.frames, one.errors = 1, torch.ones(4, dtype=torch.float64)
    one.kl_of_steps = one.clips_of_steps = torch.ones(1, dtype=torch.float64)
    return one


def by_question(clips):
    return {entry.question: entry for entry in diagnose_conditions(clips, chart(), deterministic=False)}


def sampled(psnr: np.ndarray, spread: Spread | None = None) -> SampledClip:
    return SampledClip(Window(0, 0, len(psnr) + 1), {"psnr": psnr[None]}, np.zeros((1, 1)), 0, spread)


def test_a_model_that_cheats_is_told(data):
    told = diagnose(Cheat(data.shape), data)
    assert told["Does it use z?"].numbers["posterior_db"] > 20
    assert "the posterior (which sees the target) gains" in told["Does it use z?"].sentence
    assert told["Does it use the pose?"].sentence.startswith("It hardly uses the pose")


def test_a_model_that_copies_uses_nothing(data):
    told = diagnose(Fake(data.shape), data)
    assert told["Does it use z?"].sentence.startswith("It does not use z")
    assert told["Does it use the pose?"].numbers["shuffled_db"] == pytest.approx(0.0)
    assert told["Do its own frames mislead it?"].sentence.startswith("They do not")


def test_poses_are_changed_as_their_names_say():
    poses = torch.arange(12.0).reshape(1, 12, 1, 1, 1)
    order = torch.tensor([2, 0, 1, 9, 8, 7, 6, 5, 4, 3])
    found = {name: change(poses, 2, order).flatten().tolist() for name, change in POSE_CHANGES.items()}
    assert found["shuffled"] == [4, 2, 3, 11, 10, 9, 8, 7, 6, 5]
    assert found["frozen"] == [1] * 10
    assert found["late"] == [1, 1, 1, 1, 1, 2, 3, 4, 5, 6]
    assert found["zeroed"] == [0] * 10


def test_the_loss_without_the_pose_has_its_interval():
    found = by_question(flat(pose_shuffled=18.0, pose_frozen=17.0))["Does it use the pose?"]
    assert found.sentence.startswith("It uses the pose: with the poses of other moments it loses 2.00 dB")
    assert [found.numbers[f"frozen_{part}"] for part in ("db", "low", "high")] == pytest.approx([3.0] * 3)
    assert by_question(flat(pose_shuffled=18.0))["Does it use the pose?"].sentence.startswith("It hardly")


def test_what_z_is_worth():
    found = by_question(flat(z_posterior=21.5, z_zero=15.0))["Does it use z?"]
    assert found.sentence.startswith(
        "It uses z: against the prior's mean, the posterior (which sees the target) gains +1.50"
    )
    assert found.numbers["zero_db"] == pytest.approx(5.0)


def test_exposure_is_told_as_it_grows():
    clips = flat()
    for clip in clips:
        clip.psnr["forced"][:] = clip.psnr["z mean"] + np.linspace(0, 7, 8)
    found = by_question(clips)["Do its own frames mislead it?"]
    assert found.sentence.startswith("They do: with the true frame before each it scores +3.50 dB")
    assert "and grows, from +0.50 dB in the first quarter of the clips to +6.50 dB in the last" in found.sentence


def test_drift_is_the_slope_after_the_first_frames():
    steady = np.concatenate([np.linspace(40, 20, 5), np.full(25, 20.0)])
    falling = np.concatenate([np.full(5, 40.0), np.linspace(20, 17, 25)])
    (still,) = diagnose_samples([sampled(steady)] * 4, {})
    assert still.sentence.startswith("It does not drift")
    assert still.numbers["db"] == pytest.approx(0.0, abs=1e-6)
    (drifts,) = diagnose_samples([sampled(falling)] * 4, {})
    assert drifts.sentence.startswith("It drifts: PSNR changes by -3.00 dB from predicted frame 6 to the last")
    (shared,) = diagnose_samples([sampled(falling)] * 4, {"oracle": [falling + 5] * 4})
    assert shared.sentence.startswith("Its PSNR falls, but no faster than that of the best forecast")
    (alone,) = diagnose_samples([sampled(falling)] * 4, {"oracle": [steady] * 4})
    assert alone.sentence.startswith("It drifts")
    assert alone.numbers["against_oracle_db"] == pytest.approx(-3.0)
    (single,) = diagnose_samples([sampled(falling)], {})  # one clip has no interval
    assert single.sentence == "It drifts: PSNR changes by -3.00 dB from predicted frame 6 to the last of a clip."
    (short,) = diagnose_samples([sampled(np.array([30.0, 20.0, 20.0, 20.0]))] * 4, {})
    assert short.numbers["db"] == pytest.approx(0.0)


@pytest.mark.parametrize(("error", "word"), [(0.01, "They agree"), (0.1, "too much alike"), (0.001, "spread too far")])
def test_calibration_compares_spread_and_error(error, word):
    spread = Spread(np.full(8, 0.008), np.full(8, error), np.zeros((10, 3)))
    clip = SampledClip(Window(0, 0, 9), {"psnr": np.full((4, 8), 20.0)}, np.zeros((1, 1)), 0, spread)
    found = diagnose_samples([clip], {})[-1]
    assert word in found.sentence
    assert found.numbers["foreseen"] == pytest.approx(0.008 * 1.25 / error)


@pytest.mark.parametrize(("reach", "word"), [(0.0, "They take them:"), (4.0, "They do not take them:")])
def test_following_is_told_between_the_true_frames_and_the_copied_one(reach, word):
    shape = (8, 2)
    counted, size = np.ones(shape, bool), np.full(8, 20.0)
    joints = {"model": Joints(np.full(shape, reach), counted, size), "truth": Joints(np.zeros(shape), counted, size),
              "copy_context": Joints(np.full(shape, 4.0), counted, size)}  # fmt: skip
    clips = [clip._replace(joints=joints) for clip in flat()]
    found = by_question(clips)["Do people take the poses asked for?"]
    assert found.sentence.startswith(word)
    assert found.numbers["model_akd"] == reach
    assert found.numbers["copy_context_pck"] == 0.0


def test_people_who_hardly_move_do_not_tell_whether_poses_are_taken():
    joints = Joints(np.full((8, 2), 0.5), np.ones((8, 2), bool), np.full(8, 20.0))
    clips = [clip._replace(joints=dict.fromkeys(("model", "truth", "copy_context"), joints)) for clip in flat()]
    assert by_question(clips)["Do people take the poses asked for?"].sentence.startswith("These clips do not tell")


def test_diagnoses_of_a_real_network_end_in_sentences(data):
    torch.manual_seed(0)
    model = CVAE(data.shape, widths=(8, 8, 8), name_channels=4, z_channels=2)
    clips, chart = examine(model, data)
    assert [clip.window for clip in clips] == data.eval_sampler("val").windows
    assert all(tuple(clip.psnr) == CONDITIONS for clip in clips)
    told = diagnose_conditions(clips, chart, deterministic=False)
    told += diagnose_samples(assess(model, data, samples=3).sampled, {})
    assert len(told) == 6
    for diagnosis in told:
        assert diagnosis.question.endswith("?")
        assert diagnosis.sentence.endswith(".")
        assert all(math.isfinite(value) for value in diagnosis.numbers.values())
