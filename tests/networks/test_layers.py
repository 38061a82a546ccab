import math

import torch
from samples import lively

from vidpred.networks.layers import GapNote, enlarge, join_pixels, split_pixels


def test_subpixels_are_split_and_joined():
    image = torch.rand(2, 3, 16, 24)
    assert torch.equal(join_pixels(split_pixels(image)), image)


def test_subpixels_of_a_place_are_its_four_pixels():
    image = torch.rand(3, 16, 24)
    places = split_pixels(image)
    assert torch.equal(places[1, :, 2, 5], image[1, 4:6, 10:12].flatten())


def test_an_enlarged_ramp_stays_a_ramp_at_the_centres_of_pixels():
    ramp = (torch.arange(6.0) + 0.5).expand(1, 2, 4, 6)
    assert enlarge(ramp, 4, 6) is ramp
    fine = (torch.arange(24.0) + 0.5) / 4
    torch.testing.assert_close(enlarge(ramp, 8, 24), fine.clamp(0.5, 5.5).expand(1, 2, 8, 24))


def test_the_note_of_a_gap_saturates_with_four_time_constants():
    note, features = lively(GapNote(5)), torch.rand(2, 3, 5, 4, 6)
    change = note(features, torch.tensor([0.0, 6.0])) - features
    expected = sum(note.told.weight[:, place] * (1 - math.exp(-6 / span)) for place, span in enumerate((1, 4, 16, 64)))
    torch.testing.assert_close(change[1, 0], expected[:, None, None].expand(5, 4, 6))
    assert not change[0].any()
    assert not change[1, 1:].any()
