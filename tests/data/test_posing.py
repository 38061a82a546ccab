import numpy as np
import pytest

from vidpred.data.posing import PoseInput, skeleton_of
from vidpred.data.source import Content
from vidpred.pose.maps import Heatmaps, Limbs
from vidpred.pose.skeletons import COCO, DANCER

BOTH, IMAGES, POINTS = (Content(3, 16, 24, *kinds) for kinds in ((3, COCO), (3, None), (0, COCO)))
AUTO = PoseInput(images="prefer", draw=Limbs())
ONLY = PoseInput(images="only")
HEAT = PoseInput(images="never", draw=Heatmaps())


def test_channels_follow_what_is_seen():
    assert [AUTO.channels(content) for content in (BOTH, IMAGES, POINTS)] == [3, 3, 3]
    assert [HEAT.channels(content) for content in (BOTH, POINTS)] == [17, 17]
    assert [ONLY.channels(content) for content in (BOTH, IMAGES)] == [3, 3]


@pytest.mark.parametrize(("poses", "content", "says"), [(HEAT, IMAGES, "auto or rgb"), (ONLY, POINTS, "limbs")])
def test_what_the_data_does_not_have_is_said(poses, content, says):
    with pytest.raises(ValueError, match=says):
        poses.channels(content)


def test_maps_are_drawn_from_keypoints_or_read(source):
    store = source.open("train")
    assert skeleton_of(store) == DANCER
    assert np.array_equal(AUTO.read(store, slice(3, 9, 2)), store.poses[3:9:2])
    drawn = PoseInput(images="never", draw=Limbs(thickness=6.4)).read(store, np.arange(3, 9))
    lit = store.poses[3:9].max(axis=1) > 128
    assert drawn.max(axis=1)[lit].min() > 60  # thick lines cover thin ones
    assert HEAT.read(store, slice(0, 2)).shape == (2, 17, 16, 24)


def test_a_flipped_map_is_the_mirror_image_with_the_sides_exchanged(source):
    store = source.open("train")
    heat = HEAT.read(store, slice(0, 4)).astype(int)
    flipped = HEAT.read(store, slice(0, 4), flip=True).astype(int)
    expected = heat[:, list(DANCER.mirrored), :, ::-1]
    assert np.abs(flipped - expected).max() <= 1
