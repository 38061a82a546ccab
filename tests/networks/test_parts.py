import pytest
import torch

from vidpred.networks.parts import inpaint, join_pixels, locate_parts, split_pixels, warp_parts

H, W = 16, 24


def test_subpixels_are_split_and_joined():
    image = torch.rand(2, 3, H, W)
    assert torch.equal(join_pixels(split_pixels(image)), image)


@pytest.mark.parametrize("place", [(0, 0), (15, 23), (6, 11)])
def test_a_part_on_one_pixel_is_located_there(place):
    logits = torch.full((1, 2, H, W), -1e4)
    logits[0, 1, *place] = 0.0
    x, y = locate_parts(split_pixels(logits))[0, 1].tolist()
    assert ((x + 1) * W / 2 - 0.5, (y + 1) * H / 2 - 0.5) == pytest.approx((place[1], place[0]), abs=1e-4)


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, -3), (-1, 4)])
def test_one_part_everywhere_moves_the_frame(down, right):
    frames = torch.rand(1, 3, H, W)
    motion = torch.tensor([[[2 * right / W, 2 * down / H]]])
    moved = join_pixels(warp_parts(frames, split_pixels(torch.ones(1, 1, H, W)), motion))
    expected = frames.roll((-down, -right), dims=(2, 3))
    inside = (..., slice(4, H - 4), slice(4, W - 4))
    assert torch.allclose(moved[inside], expected[inside], atol=1e-4)


def test_parts_move_on_their_own():
    frames = torch.rand(1, 3, H, W)
    left = torch.zeros(1, 2, H, W)
    left[:, 0, :, : W // 2], left[:, 1, :, W // 2 :] = 1, 1
    moved = join_pixels(warp_parts(frames, split_pixels(left), torch.tensor([[[0.0, 0.0], [-2 * 2 / W, 0.0]]])))
    assert torch.allclose(moved[..., : W // 2], frames[..., : W // 2], atol=1e-5)
    assert torch.allclose(moved[..., W // 2 :], frames[..., W // 2 - 2 : -2], atol=1e-5)


@pytest.mark.parametrize("size", [(16, 24), (8, 40), (24, 24)])
def test_nothing_hidden_stays_and_hidden_pixels_do_not_matter(size):
    frames, hidden = torch.rand(2, 3, *size), torch.zeros(2, 1, *size)
    assert torch.allclose(inpaint(frames, hidden), frames)
    hidden[..., 2:7, 3:9] = 1
    other = torch.where(hidden.bool(), torch.rand_like(frames), frames)
    assert torch.allclose(inpaint(frames, hidden), inpaint(other, hidden))
    assert torch.allclose(inpaint(frames, hidden) * (1 - hidden), frames * (1 - hidden))


def test_a_hole_in_one_colour_is_filled_with_it_and_a_ramp_with_what_lies_between():
    hidden = torch.zeros(1, 1, H, W)
    hidden[..., 4:12, 8:16] = 1
    flat = torch.full((1, 3, H, W), 0.3)
    assert torch.allclose(inpaint(flat, hidden), flat, atol=1e-5)
    ramp = torch.linspace(0, 1, W).expand(1, 3, H, W).contiguous()
    assert (inpaint(ramp, hidden) - ramp).abs().max() < 0.2
