import torch
from torch.nn import functional

from vidpred.networks.layers import enlarge, join_pixels, split_pixels


def test_subpixels_are_split_and_joined():
    image = torch.rand(2, 3, 16, 24)
    assert torch.equal(join_pixels(split_pixels(image)), image)


def test_subpixels_of_a_place_are_its_four_pixels():
    image = torch.rand(3, 16, 24)
    places = split_pixels(image)
    assert torch.equal(places[1, :, 2, 5], image[1, 4:6, 10:12].flatten())


def test_images_are_enlarged_where_they_are_smaller():
    image = torch.rand(2, 3, 4, 6)
    assert enlarge(image, 4, 6) is image
    expected = functional.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(enlarge(image, 8, 12), expected)
