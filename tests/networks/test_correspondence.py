from itertools import product

import pytest
import torch
from torch.nn import functional

from vidpred.networks import correspondence
from vidpred.networks.correspondence import fetch, fetch_hints, remember

H, W = 16, 24
SHARP = torch.tensor(100.0)


def keep(images, names, colors=None):
    """A memory of images alone."""
    return remember(images, names, names[:, :, :0], colors=colors or images.shape[2])


def fetch_one(memory, names, sharpness):
    """Looks and moved images for one pose a clip."""
    _, looks, moved = fetch(memory, names[:, None], sharpness)
    return looks[:, 0], moved[:, 0]


def naively(memory_images, names, keys, features, sharpness, stride):
    """The equations of ``fetch`` over Python's lists of places, of one clip."""
    count, channels, height, width = memory_images.shape
    h, w = height // stride, width // stride
    places = [(k, i, j) for k in range(count) for i in range(h) for j in range(w)]
    likeness = torch.stack([torch.einsum("dij, d -> ij", names, keys[k, :, i, j]) for k, i, j in places])
    attention = (sharpness * likeness).softmax(dim=0)
    squares = [memory_images[k, :, stride * i : stride * (i + 1), stride * j : stride * (j + 1)] for k, i, j in places]
    quarters = [functional.avg_pool2d(square, stride // 2) for square in squares]
    looks = sum(
        share.repeat_interleave(2, 0).repeat_interleave(2, 1) * quarter.repeat(1, h, w)
        for share, quarter in zip(attention, quarters, strict=True)
    )
    hints = sum(share * features[k, :, i, j, None, None] for share, (k, i, j) in zip(attention, places, strict=True))
    rows, columns = torch.meshgrid(torch.arange(float(h)), torch.arange(float(w)), indexing="ij")
    moved = torch.zeros(channels, height, width)
    for k in range(count):
        own = [(share, i, j) for share, (image, i, j) in zip(attention, places, strict=True) if image == k]
        total = sum(share for share, _, _ in own)
        shift = torch.stack(
            [
                sum(share * j for share, _, j in own) / total - columns,
                sum(share * i for share, i, _ in own) / total - rows,
            ]
        )
        fine = functional.interpolate(
            torch.cat([shift * stride, total[None]])[None], scale_factor=stride, mode="bilinear", align_corners=False
        )[0]
        y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
        grid = torch.stack([(2 * (x + fine[0]) + 1) / width - 1, (2 * (y + fine[1]) + 1) / height - 1], dim=-1)[None]
        picked = functional.grid_sample(
            memory_images[k][None], grid, mode="bicubic", padding_mode="border", align_corners=False
        )[0]
        moved += fine[2] * picked
    return hints, looks, moved


@pytest.mark.parametrize(("images", "stride"), [(1, 2), (3, 2), (2, 4)])
def test_fetching_is_its_equations(images, stride):
    torch.manual_seed(0)
    pictures = torch.rand(2, images, 3, 8, 12)
    keys = functional.normalize(torch.randn(2, images, 5, 8 // stride, 12 // stride), dim=2)
    names = functional.normalize(torch.randn(2, 3, 5, 8 // stride, 12 // stride), dim=2)
    features = torch.randn(2, images, 4, 8 // stride, 12 // stride)
    memory = remember(pictures, keys, features, colors=pictures.shape[2])
    found = fetch(memory, names, torch.tensor(3.0))
    for clip, step in product(range(2), range(3)):
        expected = naively(pictures[clip], names[clip, step], keys[clip], features[clip], 3.0, stride)
        for part, wanted in zip(found, expected, strict=True):
            assert torch.allclose(part[clip, step], wanted, atol=1e-4)
    assert torch.allclose(fetch_hints(memory, names, torch.tensor(3.0)), found.hints, atol=1e-6)


def named_by_place(shift: tuple[int, int] = (0, 0)) -> torch.Tensor:
    """A name of its own for every place of H x W pixels, (1, h·w, h, w), the places moved by whole places."""
    names = torch.eye(H * W // 4).reshape(1, H * W // 4, H // 2, W // 2)
    return names.roll(shift, dims=(2, 3))


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, -3), (-1, 4)])
def test_names_that_move_take_the_picture_with_them(down, right):
    frames = torch.rand(1, 3, H, W)
    looks, moved = fetch_one(keep(frames[:, None], named_by_place()[:, None]), named_by_place((down, right)), SHARP)
    rows, columns = 2 * abs(down) + 1, 2 * abs(right) + 1  # what wraps around reaches a pixel further
    inside = (..., slice(rows, H - rows), slice(columns, W - columns))
    assert torch.allclose(moved[inside], frames.roll((2 * down, 2 * right), dims=(2, 3))[inside], atol=1e-4)
    assert torch.allclose(looks, frames.roll((2 * down, 2 * right), dims=(2, 3)), atol=1e-5)


def test_a_pose_that_is_wider_stretches_the_picture():
    ramp = torch.linspace(0, 1, W).expand(1, 1, H, W)
    wider = named_by_place()[..., torch.arange(W // 2) // 2 + 2]
    _, moved = fetch_one(keep(ramp[:, None], named_by_place()[:, None]), wider, SHARP)
    slope = (moved[..., 4:-4] - moved[..., 3:-5]).mean()
    assert slope == pytest.approx(0.5 / (W - 1), rel=0.1)


def test_every_image_of_a_memory_shows_what_it_alone_knows():
    """A place that one of two images names alike comes from that one."""
    left, right = torch.rand(2, 1, 3, H, W)
    known = named_by_place()
    nameless = torch.zeros_like(known)
    halves = torch.arange(W // 2) < W // 4
    keys = torch.stack([torch.where(halves, known, nameless), torch.where(halves, nameless, known)], dim=1)
    _, moved = fetch_one(keep(torch.stack([left, right], dim=1), keys), known, SHARP)
    assert torch.allclose(moved[..., : W // 2 - 1], left[..., : W // 2 - 1], atol=1e-3)
    assert torch.allclose(moved[..., W // 2 + 1 :], right[..., W // 2 + 1 :], atol=1e-3)


def test_positions_are_nearly_exact_under_autocast():
    """bfloat16 has 8 bits: what is moved may be off by an eighth of a pixel, and is where it should be on average."""
    ramp = torch.linspace(0, 1, W).expand(1, 1, H, W)
    memory, moved = keep(ramp[:, None], named_by_place()[:, None]), named_by_place((0, 3))
    exact = fetch_one(memory, moved, SHARP)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = fetch_one(memory, moved, SHARP)[1]
    assert found.dtype == exact.dtype
    assert (found - exact).abs().max() < 0.125 / (W - 1)


def test_attention_in_pieces_is_attention(monkeypatch):
    images, keys = torch.rand(2, 2, 3, H, W), functional.normalize(torch.randn(2, 2, 5, H // 2, W // 2), dim=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        whole = fetch(keep(images, keys), keys, SHARP)
        monkeypatch.setattr(correspondence, "_SCORES", 5000)  # queries are cut within a frame
        pieces = fetch(keep(images, keys), keys, SHARP)
    for one, other in zip(whole, pieces, strict=True):
        torch.testing.assert_close(one, other, atol=0.02, rtol=0)


def test_looks_may_have_some_of_the_channels():
    images, keys = torch.rand(2, 2, 4, H, W), functional.normalize(torch.randn(2, 2, 5, H // 2, W // 2), dim=2)
    looks, moved = fetch_one(keep(images, keys), keys[:, 0], SHARP)
    fewer, same = fetch_one(keep(images, keys, colors=3), keys[:, 0], SHARP)
    assert torch.allclose(fewer, looks[:, :3], atol=1e-6)
    assert torch.allclose(same, moved, atol=1e-6)


def test_gradients_reach_names_keys_sharpness_images_and_hints():
    images, keys, hints = torch.rand(1, 2, 3, 8, 8), torch.randn(1, 2, 4, 4, 4), torch.randn(1, 2, 2, 4, 4)
    names, sharpness = torch.randn(1, 1, 4, 4, 4), torch.tensor(2.0)
    inputs = [value.double().requires_grad_() for value in (images, keys, hints, names, sharpness)]

    def shown(images, keys, hints, names, sharpness):
        return tuple(fetch(remember(images, keys, hints, colors=images.shape[2]), names, sharpness))

    assert torch.autograd.gradcheck(shown, inputs, atol=1e-4, rtol=1e-3, nondet_tol=1e-6)
