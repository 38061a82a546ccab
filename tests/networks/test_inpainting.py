from itertools import product

import pytest
import torch

from vidpred.networks.inpainting import inpaint, repeat_pattern

H, W = 16, 24


@pytest.mark.parametrize("fill", [inpaint, repeat_pattern])
@pytest.mark.parametrize("size", [(16, 24), (8, 40), (24, 24)])
def test_nothing_hidden_stays_and_hidden_pixels_do_not_matter(size, fill):
    frames, hidden = torch.rand(2, 3, *size), torch.zeros(2, 1, *size)
    assert torch.allclose(fill(frames, hidden), frames, atol=1e-6)
    hidden[..., 2:7, 3:9] = 1
    other = torch.where(hidden.bool(), torch.rand_like(frames), frames)
    assert torch.allclose(fill(frames, hidden), fill(other, hidden), atol=1e-6)
    assert torch.allclose(fill(frames, hidden) * (1 - hidden), frames * (1 - hidden), atol=1e-6)


def draw_pattern(kind):
    """64x64 of what repeats itself along an axis, along both, or along neither alone."""
    rows, columns = torch.arange(64)[:, None], torch.arange(64)
    tiles = {"stripes": columns // 3 % 2 + 0 * rows, "checks": (columns // 5 + rows // 5) % 2,
             "diagonal": (columns + rows) // 4 % 2}  # fmt: skip
    return (0.3 + 0.4 * tiles[kind]).expand(1, 3, 64, 64).clone()


@pytest.mark.parametrize("kind", ["stripes", "checks", "diagonal"])
def test_a_pattern_goes_on_in_a_hole_that_is_wider_than_its_period(kind):
    image, hidden = draw_pattern(kind), torch.zeros(1, 1, 64, 64)
    hidden[..., 12:64, 22:43] = 1
    light = torch.linspace(0.8, 1.2, 64)
    for wall in (image, image * light):
        error = (repeat_pattern(wall, hidden) - wall).abs()
        assert error.max() < 0.12
        assert error.mean() < 0.01
    assert (inpaint(image, hidden) - image).abs().max() > 0.2


def test_a_part_that_does_not_repeat_itself_leaves_the_pattern_alone():
    image, hidden = draw_pattern("checks"), torch.zeros(1, 1, 64, 64)
    hidden[..., 20:50, 22:43] = 1
    image[..., 54:60, 4:10] = 1.0
    assert ((repeat_pattern(image, hidden) - image).abs() * hidden).mean() < 0.01


def overlapping(size, shift):
    """Where x, and where x + shift, lies along an axis, as far as both are inside."""
    return slice(max(0, -shift), min(size, size - shift)), slice(max(0, shift), min(size, size + shift))


def repeat_slowly(frame, hidden):
    """The formulas of ``repeat_pattern``, shift by shift."""
    known, found = 1 - hidden, []
    mean = (known * frame).sum(dim=(1, 2), keepdim=True) / known.sum()
    for down, right in product(range(1 - H, H), range(1 - W, W)):
        here, there = zip(overlapping(H, down), overlapping(W, right), strict=True)
        both = known[0][here] * known[0][there]
        if down**2 + right**2 > 3**2 and both.sum() > 0.1 * H * W:
            change = (frame[:, *here] - frame[:, *there]).square().sum(dim=0)
            found.append((here, there, (both * change).sum() / both.sum()))
    unlike = torch.stack([change for *_, change in found])
    weights = torch.exp(-20 * (unlike - unlike.min()) / (unlike.mean() - unlike.min())) + 1e-5
    sums, counts = torch.zeros_like(frame), torch.zeros_like(hidden)
    for (here, there, _), weight in zip(found, weights, strict=True):
        sums[:, *here] += weight * (known * (frame - mean))[:, *there]
        counts[:, *here] += weight * known[:, *there]
    repeated = sums / counts + mean
    return repeated + inpaint((frame - repeated)[None], hidden[None])[0]


def test_a_pattern_is_repeated_by_the_formulas():
    frame, hidden = torch.rand(3, H, W, dtype=torch.float64), torch.rand(1, H, W, dtype=torch.float64)
    hidden[:, 4:12, 8:16] = 1
    for image in (frame, frame / 4 + draw_pattern("checks")[0, :, :H, :W]):
        torch.testing.assert_close(repeat_pattern(image[None], hidden[None])[0], repeat_slowly(image, hidden))


@pytest.mark.parametrize("mask", [0.0, 0.5, 1.0])
def test_a_pattern_is_finite_whatever_is_hidden_and_gradients_reach_the_mask(mask):
    for image in (torch.rand(2, 3, 16, 24), torch.full((2, 3, 16, 24), 0.3)):
        hidden = torch.full((2, 1, 16, 24), mask, requires_grad=True)
        filled = repeat_pattern(image, hidden)
        filled.square().sum().backward()
        assert filled.isfinite().all()
        assert hidden.grad.isfinite().all()
        assert filled.amin() > -0.1
        assert filled.amax() < 1.5
        assert image.std() < 1e-6 or mask == 1 or hidden.grad.any()


def test_stripes_are_continued_along_them():
    across = torch.linspace(0, 1, 64) + torch.arange(64) % 6 / 3
    stripes = across.expand(1, 3, 64, 64).contiguous()
    hidden = torch.zeros(1, 1, 64, 64)
    hidden[..., 20:55, 22:41] = 1
    for image, mask, along, astray in (
        (stripes, hidden, (2, 1), (1, 2)),
        (stripes.mT.contiguous(), hidden.mT.contiguous(), (1, 2), (2, 1)),
    ):
        assert torch.allclose(inpaint(image, mask, pool=along), image, atol=1e-5)
        for pool in (astray, (2, 2)):
            assert (inpaint(image, mask, pool=pool) - image).abs().max() > 0.3
            assert torch.equal(inpaint(image, mask, pool=pool) * (1 - mask), image * (1 - mask))


def test_a_hole_in_one_colour_is_filled_with_it_and_a_ramp_with_what_lies_between():
    hidden = torch.zeros(1, 1, H, W)
    hidden[..., 4:12, 8:16] = 1
    flat = torch.full((1, 3, H, W), 0.3)
    assert torch.allclose(inpaint(flat, hidden), flat, atol=1e-5)
    ramp = torch.linspace(0, 1, W).expand(1, 3, H, W).contiguous()
    assert (inpaint(ramp, hidden) - ramp).abs().max() < 0.2
