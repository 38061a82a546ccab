import numpy as np
import pytest
from jaxtyping import TypeCheckError

from vidpred.pose.fitting import fit_poses
from vidpred.pose.skeletons import DANCER, build_skeleton

CHAIN = build_skeleton(("hip", "knee", "foot"), (("hip", "knee"), ("knee", "foot")))


def chain(*angles: float, lengths=(10.0, 8.0), hip=(0.0, 0.0)) -> np.ndarray:
    """Legs whose thigh hangs at an angle from straight down, the shin straight down."""
    knee = np.array([[np.sin(angle), np.cos(angle)] for angle in angles]) * lengths[0]
    joints = np.stack([np.zeros_like(knee), knee, knee + np.array([0, lengths[1]])], axis=1) + hip
    return np.concatenate([joints, np.ones((len(angles), 3, 1))], axis=2).astype(np.float32)


def test_a_driver_of_another_size_and_place_is_the_person_itself():
    """What differs by scale and place alone is fitted exactly, whatever the poses."""
    rng = np.random.default_rng(0)
    dance = np.concatenate(
        [rng.uniform(0, 50, (6, len(DANCER.joints), 2)), np.ones((6, len(DANCER.joints), 1))], axis=2
    )
    dance = dance.astype(np.float32)
    dance[1:, :, :2] = dance[:1, :, :2] + rng.uniform(-9, 9, (5, 1, 2))  # it moves through the room as a whole
    person = dance[0].copy()
    person[:, :2] = 2.5 * person[:, :2] + (30, -7)
    fitted = fit_poses(dance, person, DANCER)
    np.testing.assert_allclose(fitted[0], person, atol=1e-3)
    np.testing.assert_allclose(fitted[3, 0] - fitted[0, 0], 2.5 * (dance[3, 0] - dance[0, 0]), atol=1e-3)


def test_limbs_get_the_persons_lengths_and_keep_their_directions():
    driver, person = chain(0.0, 0.8, -0.5), chain(0.3, lengths=(10.0, 16.0), hip=(50.0, 20.0))[0]
    fitted = fit_poses(driver, person, CHAIN, fit="limbs")
    thigh, shin = fitted[:, 1] - fitted[:, 0], fitted[:, 2] - fitted[:, 1]
    ratio = np.linalg.norm(shin[:, :2], axis=1) / np.linalg.norm(thigh[:, :2], axis=1)
    np.testing.assert_allclose(ratio, 1.6, rtol=1e-4)
    angles = np.arctan2(thigh[:, 0], thigh[:, 1])
    np.testing.assert_allclose(angles, [0.0, 0.8, -0.5], atol=1e-4)
    placed = fit_poses(driver, person, CHAIN)
    shin = np.linalg.norm((placed[:, 2] - placed[:, 1])[:, :2], axis=1)
    thigh = np.linalg.norm((placed[:, 1] - placed[:, 0])[:, :2], axis=1)
    np.testing.assert_allclose(shin / thigh, 0.8, rtol=1e-4)  # as the driver's


def test_a_foreshortened_limb_of_the_picture_does_not_shrink_the_dance():
    person = chain(0.3, lengths=(10.0, 0.5))[0]  # the shin points at the camera
    fitted = fit_poses(chain(0.0, 0.4), person, CHAIN, fit="limbs")
    shin = np.linalg.norm((fitted[:, 2] - fitted[:, 1])[:, :2], axis=1)
    assert (shin > 1.5).all()


def test_it_starts_where_the_person_is():
    person = chain(0.9, hip=(40.0, 30.0))[0]
    fitted = fit_poses(chain(0.0, 0.4), person, CHAIN)
    np.testing.assert_allclose(fitted[0, :, :2].mean(axis=0), person[:, :2].mean(axis=0), atol=1e-4)


def test_no_fit_changes_nothing():
    driver = chain(0.0, 0.4)
    assert fit_poses(driver, chain(0.9)[0], CHAIN, fit="none") is driver


def test_people_without_a_limb_in_common_are_refused():
    person = chain(0.9)[0]
    person[1, 2] = 0
    with pytest.raises(ValueError, match="no limb is seen in both"):
        fit_poses(chain(0.0), person, CHAIN)
    with pytest.raises((ValueError, TypeCheckError), match=r"place.*limbs.*none"):
        fit_poses(chain(0.0), chain(0.9)[0], CHAIN, fit="wide")
