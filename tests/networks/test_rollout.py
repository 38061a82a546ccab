import pytest
import torch
from samples import SHAPE, TINY, lively

from vidpred.networks import LearnedPrior, StandardPrior, rollout, stream_rollout
from vidpred.seeds import clip_generators


def clip(clips=2, frames=9):
    generator = torch.Generator().manual_seed(1)
    film, poses = (torch.rand(clips, frames, 3, SHAPE.height, SHAPE.width, generator=generator) for _ in range(2))
    return film, poses


@pytest.mark.parametrize("prior", [StandardPrior, LearnedPrior])
@pytest.mark.parametrize("name", TINY)
def test_the_rollout_sees_no_frame_after_the_context(name, prior):
    """The gradient with respect to every frame after the context is zero."""
    model = lively(TINY[name](prior=prior))
    film, poses = clip()
    film.requires_grad_()
    frames = torch.cat(list(stream_rollout(model, film[:, :2], poses, chunk=3)), dim=1)
    (gradient,) = torch.autograd.grad(frames.square().sum(), film)
    touched = gradient.abs().flatten(2).sum(2) > 0
    assert not touched[:, 2:].any()
    assert touched[:, 1].all()


def test_a_rollout_computes_no_gradients(model):
    film, poses = clip()
    assert not rollout(model, film[:, :1].requires_grad_(), poses).requires_grad


@pytest.mark.parametrize("name", TINY)
def test_chunks_do_not_change_the_film(name):
    model = lively(TINY[name]())
    film, poses = clip()
    films = [
        rollout(model, film[:, :1], poses, generators=clip_generators(0, range(2)), chunk=chunk) for chunk in (1, 3, 32)
    ]
    for other in films[1:]:
        torch.testing.assert_close(films[0], other)


def test_a_clips_film_does_not_depend_on_its_batch(model):
    film, poses = clip()
    both = rollout(model, film[:, :1], poses, generators=clip_generators(0, [4, 7]))
    alone = rollout(model, film[1:, :1], poses[1:], generators=clip_generators(0, [7]))
    torch.testing.assert_close(both[1:], alone)


def test_a_longer_film_begins_with_the_shorter_one(model):
    film, poses = clip()
    long = rollout(model, film[:, :1], poses, generators=clip_generators(0, range(2)))
    short = rollout(model, film[:, :1], poses[:, :5], generators=clip_generators(0, range(2)))
    torch.testing.assert_close(long[:, :4], short)


def test_z_can_be_drawn_averaged_or_given(model):
    film, poses = clip()
    mean = rollout(model, film[:, :1], poses, z="mean")
    zeros = rollout(model, film[:, :1], poses, z=torch.zeros(2, 8, *model.latent_shape))
    once = rollout(model, film[:, :1], poses, z=torch.zeros(2, 1, *model.latent_shape))
    torch.testing.assert_close(mean, zeros)
    torch.testing.assert_close(mean, once)
    assert not torch.allclose(mean, rollout(model, film[:, :1], poses, z="sample"))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_every_precision_gives_the_film(model, dtype):
    torch.manual_seed(1)
    frames, poses = torch.rand(1, 1, 3, 16, 24), torch.rand(1, 4, 3, 16, 24)
    expected = rollout(model, frames, poses, z="mean")
    film = rollout(model.to(dtype), frames.to(dtype), poses.to(dtype), z="mean")
    assert film.dtype == dtype
    assert (film.float() - expected).abs().mean() < 0.05 * expected.abs().mean()


def test_uint8_poses_are_those_in_the_unit_range(model):
    film, poses = clip()
    pixels = (poses * 255).round().byte()
    whole = rollout(model, film[:, :1], pixels.float() / 255, z="mean")
    torch.testing.assert_close(rollout(model, film[:, :1], pixels, z="mean"), whole)


def test_training_mode_is_left_as_it_was(model):
    film, poses = clip()
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rollout(model, film[:, :1], poses)
    assert model.training
    for name, value in model.state_dict().items():  # BatchNorm has not learned from it
        assert torch.equal(value, before[name]), name


def test_many_context_frames(model):
    film, poses = clip()
    assert rollout(model, film[:, :4], poses).shape == (2, 5, *film.shape[2:])


def test_the_stream_yields_pieces(model):
    film, poses = clip()
    pieces = list(stream_rollout(model, film[:, :1], poses, chunk=3))
    assert [piece.shape[1] for piece in pieces] == [3, 3, 2]


@pytest.mark.parametrize(
    ("known", "options", "word"),
    [(0, {}, "context"), (9, {}, "poses"), (1, {"z": "best"}, "z must"),
     (1, {"generators": clip_generators(0, [1])}, "generator")],
)  # fmt: skip
def test_what_cannot_be_rolled_out_is_refused(model, known, options, word):
    film, poses = clip()
    with pytest.raises(ValueError, match=word):
        rollout(model, film[:, :known], poses, **options)
