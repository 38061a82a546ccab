import pytest
import torch
from samples import TINY, lively

from vidpred.data.dancers.film import Dancers
from vidpred.networks import CVAE, anchor
from vidpred.networks.correspondence import fetch
from vidpred.networks.features import unbind_steps
from vidpred.networks.layers import join_pixels
from vidpred.types import FrameShape


def test_a_pose_finds_itself():
    """Context and pose are named by one network: before any training the likest place is the same place."""
    torch.manual_seed(0)
    film = Dancers(height=64, width=64).film("val", index=0, frames=1)
    frames, poses = (torch.from_numpy(part)[None] / 255 for part in (film.frames, film.poses))
    model = CVAE(FrameShape(3, 3, 64, 64))
    with torch.no_grad():
        model.anchor.sharpness.fill_(1e5)
        moved = join_pixels(model.encode_poses(poses, model.context(frames, poses)).kept[:, 0, 1])
    limbs = (poses[0].amax(dim=1, keepdim=True) > 0.5).expand(-1, 3, -1, -1)
    assert (moved - frames[0])[limbs].abs().mean() < 0.02


@pytest.mark.parametrize(
    ("size", "places"), [((64, 64), 1024), ((32, 64), 512), ((128, 128), 1024), ((256, 320), 1280), ((264, 256), 1056)]
)
def test_larger_frames_have_larger_places(size, places):
    """Attention costs the square of their number."""
    model = CVAE(FrameShape(3, 3, *size), widths=(8, 8, 8))
    frames, poses = torch.rand(1, 2, 3, *size), torch.rand(1, 3, 3, *size)
    context = model.context(frames, poses[:, :2])
    assert context.memory.keys.shape[1] == 2 * places
    pose, before = unbind_steps(model.encode_poses(poses, context))[2], model.encode_frames(frames[:, 1])
    prior = model.prior(before, pose)
    assert model.decode(before, pose, prior.mean, prior, None)[0].shape == (1, 3, *size)


def test_the_anchor_remembers_all_context_frames():
    torch.manual_seed(0)
    model = TINY["cvae"]()
    frames, poses = torch.rand(1, 3, 3, 16, 24, requires_grad=True), torch.rand(1, 3, 3, 16, 24)
    moved = model.encode_poses(poses, model.context(frames, poses)).kept[:, 0, 1]
    (gradient,) = torch.autograd.grad(moved.square().sum(), frames)
    assert (gradient.abs().flatten(2).sum(2) > 0).all()


def test_the_names_of_the_context_learn_to_see_its_frames():
    """At first its poses alone decide."""
    frames, poses = torch.rand(2, 1, 1, 3, 16, 24)
    model = TINY["cvae"]()
    for seen in (False, True):
        first, second = (model.context(picture, poses).memory.keys for picture in (frames, 1 - frames))
        assert torch.allclose(first, second, atol=1e-3) != seen
        model = lively(model)
    assert torch.allclose(second.norm(dim=-1), torch.ones(()))


def test_the_scene_is_that_of_the_last_context_frame():
    """Those before it are remembered all the same."""
    model = lively(TINY["cvae"]())
    frames, poses = torch.rand(2, 2, 3, 16, 24), torch.rand(2, 2, 3, 16, 24)
    others = [torch.cat([torch.rand_like(part[:, :1]), part[:, 1:]], dim=1) for part in (frames, poses)]
    found, other = model.context(frames, poses), model.context(*others)
    torch.testing.assert_close(found.scene, other.scene)
    torch.testing.assert_close(found.features, other.features)
    assert not torch.allclose(found.memory.keys, other.memory.keys)


def test_painting_knows_where_the_context_was_taken_out():
    """The mask is remembered as a channel of the images, moved with them, and no colour."""
    model = lively(TINY["cvae"]())
    frames, poses = torch.rand(2, 1, 3, 16, 24), torch.rand(2, 3, 3, 16, 24)
    for bias, hidden in ((1e4, 1.0), (-1e4, 0.0)):
        model.anchor.scene.hider.bias.data.fill_(bias)
        context = model.context(frames, poses[:, :1])
        assert (context.memory.images[:, :, -1] == hidden).all()
    images = torch.cat([context.memory.images[:, :, :-1], torch.ones(2, 1, 1, 16, 24)], dim=2)
    taken = context._replace(memory=context.memory._replace(images=images))
    found, other = (model.encode_poses(poses, each) for each in (context, taken))
    torch.testing.assert_close(found.kept, other.kept)
    torch.testing.assert_close(found.looks, other.looks)
    assert (found.half - other.half).abs().mean() > 0.01


def test_the_scene_is_in_the_shade_of_the_pose():
    """What the context's pose leaves of the light is taken out of what is seen, and the present one's is put in."""
    model = lively(TINY["cvae"]())
    model.anchor.scene.hider.bias.data.fill_(-1e4)  # nothing is hidden, or painted anew
    model.anchor.shade.conv.weight.data.mul_(100)
    frames, poses = 1 - torch.rand(2, 1, 3, 16, 24) / 4, torch.rand(2, 3, 3, 16, 24)
    context = model.context(frames, poses[:, :1])
    shades = model.anchor.shade(model.pose_net(poses.flatten(0, 1))[0], poses.dtype).unflatten(0, (2, 3))
    assert 0.4 < shades.abs().max() <= 0.5
    scenes = [join_pixels(pose.kept[:, 0]) for pose in unbind_steps(model.encode_poses(poses, context))]
    torch.testing.assert_close(scenes[0], frames[:, 0])
    for step in (1, 2):
        lit = frames[:, 0] * torch.exp(shades[:, step] - shades[:, 0])
        assert lit.max() > 1.6
        torch.testing.assert_close(scenes[step], lit.clamp(-0.5, 1.5))


def test_a_second_look_knows_what_the_first_has_found(monkeypatch):
    """As built, pictures do not matter to the names of a pose; what has been learnt corrects them."""
    asked = []
    monkeypatch.setattr(
        anchor, "fetch", lambda memory, names, sharpness: asked.append(names) or fetch(memory, names, sharpness)
    )
    frames, poses = torch.rand(2, 1, 3, 16, 24), torch.rand(1, 3, 3, 16, 24).expand(2, -1, -1, -1, -1)
    model = TINY["cvae"]()
    for seen in (False, True):
        model.encode_poses(poses, model.context(frames, poses[:, :1]))
        first, second = asked.pop()
        assert torch.allclose(first, second, atol=1e-3) != seen
        assert torch.allclose(first.norm(dim=1), torch.ones(()))
        model = lively(model)


def test_what_the_second_look_finds_is_painted_with():
    """Where the first is not listened to, and the second's names are as built."""
    model = lively(TINY["cvae"]())
    for layer in (model.anchor.hint_first, model.anchor.hint_names):
        torch.nn.init.zeros_(layer.weight)
    frames, poses = torch.rand(2, 1, 3, 16, 24), torch.rand(2, 3, 3, 16, 24)
    context = model.context(frames, poses[:, :1])
    others = context._replace(memory=context.memory._replace(hints=context.memory.hints + 1))
    found, other = (model.encode_poses(poses, each) for each in (context, others))
    assert torch.equal(found.kept, other.kept)
    assert torch.equal(found.looks, other.looks)
    assert (found.half - other.half).abs().mean() > 0.01
