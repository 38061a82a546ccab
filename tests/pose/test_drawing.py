import numpy as np
import pytest
from skimage.draw import line

from vidpred.pose.drawing import draw_limbs, rasterize_capsule
from vidpred.pose.skeletons import DANCER, build_skeleton


def picture(start, end, radii, size=(20, 30)):
    stroke = rasterize_capsule(
        np.array([start], float), np.array([end], float), *(np.array([r], float) for r in radii), size
    )
    out = np.zeros(size, dtype=np.float32)
    out.reshape(-1)[stroke.pixels[0]] = stroke.coverage[0]
    return out


def test_coverage_is_that_of_dense_sampling():
    start, end, radius = np.array([5.3, 4.1]), np.array([21.7, 13.9]), 2.6
    ours = picture(start, end, (radius, radius))
    fine = (np.arange(30 * 16) + 0.5) / 16 - 0.5
    x, y = np.meshgrid(fine, fine[: 20 * 16])
    axis = end - start
    along = np.clip(((x - start[0]) * axis[0] + (y - start[1]) * axis[1]) / (axis @ axis), 0, 1)
    inside = np.hypot(x - start[0] - along * axis[0], y - start[1] - along * axis[1]) < radius
    sampled = inside.reshape(20, 16, 30, 16).mean(axis=(1, 3))
    assert np.abs(ours - sampled).max() < 0.12
    assert ours.sum() == pytest.approx(sampled.sum(), rel=0.01)


def test_a_point_is_a_disc():
    assert picture((10, 9), (10, 9), (4, 4)).sum() == pytest.approx(np.pi * 16, rel=0.02)


def test_a_taper_is_wider_where_its_radius_is():
    columns = picture((5, 10), (25, 10), (5, 2)).sum(axis=0)
    assert columns[7] > columns[15] > columns[23]


def test_what_lies_outside_is_cut_off():
    assert picture((-40, -40), (-30, -30), (2, 2)).sum() == 0
    assert picture((-5, 10), (35, 10), (1, 1))[10].min() == 1


def test_limbs_are_lines_between_their_joints():
    skeleton = build_skeleton(("a", "b", "c"), (("a", "b"), ("b", "c")))
    joints = np.array([[[3.0, 3.0], [25.0, 5.0], [12.0, 18.0]]])
    drawn = draw_limbs(joints, skeleton, (20, 30), thickness=1.5)[0]
    for (first, second), color in zip(skeleton.limbs, skeleton.colors, strict=True):
        (x0, y0), (x1, y1) = joints[0, first].astype(int), joints[0, second].astype(int)
        rows, columns = line(y0, x0, y1, x1)
        for channel, level in enumerate(color):
            if level:
                assert drawn[channel, rows, columns].mean() > 0.7 * level


def test_colors_differ():
    assert len(set(DANCER.colors)) == len(DANCER.limbs)


def test_impossible_drawings_are_refused():
    with pytest.raises(ValueError, match="unknown joints"):
        build_skeleton(("a",), (("a", "b"),))
    with pytest.raises(ValueError, match="joints"):
        draw_limbs(np.zeros((1, 3, 2)), DANCER, (8, 8), thickness=1.0)
    with pytest.raises(ValueError, match="thickness"):
        draw_limbs(np.zeros((1, 17, 2)), DANCER, (8, 8), thickness=0.0)
