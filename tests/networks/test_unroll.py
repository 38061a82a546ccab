import pytest
import torch
from jaxtyping import TypeCheckError
from samples import SHAPE, TINY, lively
from torch import nn

from vidpred.networks import CVAE, LearnedPrior, predict_next, rollout, unroll
from vidpred.networks.features import unbind_steps
from vidpred.types import Gaussian


def clip(model, *, clips=2, frames=6, dtype=torch.float64, known=1):
    generator = torch.Generator().manual_seed(1)
    film, poses = (torch.rand(clips, frames, 3, SHAPE.height, SHAPE.width, generator=generator, dtype=dtype)
                   for _ in range(2))  # fmt: skip
    noise = torch.randn(clips, frames - known, *model.latent_shape, generator=generator, dtype=dtype)
    return film, poses, noise


def loss_and_gradients(model, film, poses, noise, forced, **options):
    model.zero_grad()
    prediction = unroll(model, film, poses, noise=noise, forced=forced, **options)
    target = film[:, film.shape[1] - noise.shape[1] :]
    loss = ((prediction.frames - target) ** 2).sum() + prediction.posterior.mean.square().sum()
    loss = loss + prediction.prior.mean.square().sum() + prediction.posterior.logvar.sum()
    loss.backward()
    return loss.detach(), {
        name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None
    }


@pytest.mark.parametrize("known", [1, 2])
@pytest.mark.parametrize("chunk", [None, 1, 2, 3])
def test_forced_steps_together_give_the_loops_loss_and_gradients(model, chunk, known):
    model.double()
    film, poses, noise = clip(model, known=known)
    forced = torch.ones(2, 6 - known, dtype=torch.bool)
    together = loss_and_gradients(model, film, poses, noise, forced, chunk=chunk)
    model.parallel = False
    in_turn = loss_and_gradients(model, film, poses, noise, forced, chunk=2)  # of posteriors, here
    torch.testing.assert_close(together[0], in_turn[0], rtol=1e-5, atol=1e-5)
    assert together[1].keys() == in_turn[1].keys()
    for name, gradient in together[1].items():
        torch.testing.assert_close(gradient, in_turn[1][name], rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("chunk", [None, 2])
@pytest.mark.parametrize("coins", [
    torch.zeros(2, 5, dtype=torch.bool),
    torch.tensor([[False, True, False, False, True], [False, False, True, False, True]]),
    torch.tensor([[0.0, 0.3, 1.0, 0.0, 0.5]] * 2),
])  # fmt: skip
def test_rehearsed_steps_together_give_the_loops_loss_and_gradients(model, coins, chunk, half):
    """Under autocast, too, which keeps weights that it has rounded, as it could without gradients in a rehearsal."""
    film, poses, noise = clip(lively(model), dtype=torch.float32)
    results = []
    for size in (1, chunk):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            results.append(loss_and_gradients(model, film, poses, noise, coins, gradient="detached", chunk=size,
                                              from_prior=torch.tensor([True, False])))  # fmt: skip
    in_turn, rehearsed = results
    share = 0.05 if half else 1e-4
    torch.testing.assert_close(rehearsed[0], in_turn[0], rtol=share, atol=1e-5)
    assert rehearsed[1].keys() == in_turn[1].keys()
    for name, gradient in rehearsed[1].items():
        assert (gradient - in_turn[1][name]).norm() <= share * in_turn[1][name].norm() + 1e-5, name


@pytest.mark.parametrize(
    ("chunk", "gradient", "grads", "rows"),
    [(None, "detached", [False] * 4 + [True], [2] * 4 + [10]), (2, 1, [False] * 4 + [True] * 3, [2] * 4 + [4, 4, 2]),
     (1, "detached", [True] * 5, [2] * 5), (None, "full", [True] * 5, [2] * 5)],
)  # fmt: skip
def test_only_steps_that_gradients_do_not_leave_are_rehearsed(model, chunk, gradient, grads, rows):
    film, poses, noise = clip(model, dtype=torch.float32)
    decode, encode_poses, calls, maps = model.decode, model.encode_poses, [], []
    model.decode = lambda previous, pose, z, *rest: (
        calls.append((torch.is_grad_enabled(), len(z))) or decode(previous, pose, z, *rest)
    )
    model.encode_poses = lambda poses, *rest: maps.append(poses.shape[1]) or encode_poses(poses, *rest)
    unroll(model, film, poses, noise=noise, forced=torch.zeros(2, 5, dtype=torch.bool), gradient=gradient, chunk=chunk)
    assert calls == list(zip(grads, rows, strict=True))
    assert len(maps) == 1


@pytest.mark.parametrize("options", [{}, {"chunk": 1}, {"chunk": 1, "recompute": True}])
def test_a_gap_changes_the_step_after_it(options):
    model = lively(TINY["cvae"](prior=LearnedPrior))
    film, poses, noise = clip(model, frames=14, dtype=torch.float32)
    forced = torch.ones(2, 13, dtype=torch.bool)
    near, far = (unroll(model, film, poses, noise=noise, forced=forced, gap=gap, **options)
                 for gap in (None, torch.tensor([0.0, 9.0])))  # fmt: skip
    changed = (far.frames - near.frames).abs().flatten(2).amax(2) > 1e-4
    assert changed.nonzero().tolist() == [[1, 0]]


@pytest.mark.parametrize("coins", [0, 1])
def test_recomputed_steps_give_the_same_gradients_from_less_memory(model, coins):
    film, poses, noise = clip(model, frames=14, dtype=torch.float32)
    forced = torch.full((2, 13), bool(coins))

    def train(recompute):
        kept = {}

        def pack(tensor):
            kept[tensor.data_ptr()] = tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            found = loss_and_gradients(model, film, poses, noise, forced, from_prior=torch.tensor([True, False]),
                                       gradient="detached", chunk=1, recompute=recompute)  # fmt: skip
        return *found, kept

    loss, gradients, kept = train(recompute=False)
    again, regained, kept_less = train(recompute=True)
    torch.testing.assert_close(again, loss, rtol=1e-5, atol=0)
    assert gradients.keys() == regained.keys()
    for name, gradient in gradients.items():
        assert (regained[name] - gradient).norm() <= 1e-4 * gradient.norm(), name
    assert len(kept_less) < len(kept) / 2


def test_a_true_frame_is_encoded_once_where_all_is_forced(model):
    film, poses, noise = clip(model, dtype=torch.float32)
    rows = []
    plain = model.encode_frames
    model.encode_frames = lambda frames: rows.append(len(frames)) or plain(frames)
    for chunk in (1, 2, None):
        unroll(model, film, poses, noise=noise, forced=torch.ones(2, 5, dtype=torch.bool), chunk=chunk)
        assert sum(rows) == film.shape[0] * film.shape[1]
        rows.clear()


def test_every_weight_gets_a_gradient(model):
    film, poses, noise = clip(model, dtype=torch.float32)
    forced = torch.zeros(2, 5, dtype=torch.bool)
    _, gradients = loss_and_gradients(model, film, poses, noise, forced, gap=torch.tensor([0.0, 3.0]))
    idle = [name for name, weight in model.named_parameters() if name not in gradients or not gradients[name].any()]
    assert not idle


class Echo(nn.Module):
    """Gives the previous frame back, a little brighter; keeps count in its carry."""

    shape, latent_shape, parallel = SHAPE, (1, 1, 1), False

    def context(self, frames, poses):
        return None

    def encode_poses(self, poses, context, gap=None):
        return poses[:, :, :1, :1, :1]

    def encode_frames(self, frames):
        return frames

    def posterior(self, target, pose):
        zero = target.new_zeros(len(target), 1, 1, 1)
        return Gaussian(zero, zero)

    def prior(self, previous, pose):
        return self.posterior(previous, pose)

    def decode(self, previous, pose, z, prior, carry):
        carry = torch.zeros(len(previous), 1, 1, 1) if carry is None else carry + 1
        return previous + 0.01 + carry, carry


def test_previous_frame_is_true_where_forced_and_predicted_elsewhere():
    film, poses, noise = clip(Echo(), dtype=torch.float32)
    forced = torch.tensor([[True, False, True, True, False], [True, True, False, False, True]])
    frames = unroll(Echo(), film, poses, noise=noise, forced=forced).frames
    for number in range(2):
        before = film[number, 0]
        for step in range(5):
            before = film[number, step] if step == 0 or forced[number, step] else before
            expected = before + 0.01 + step
            torch.testing.assert_close(frames[number, step], expected)
            before = frames[number, step]


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_shares_average_true_and_predicted_frames(share):
    film, poses, noise = clip(Echo(), dtype=torch.float32)
    frames = unroll(Echo(), film, poses, noise=noise, forced=torch.full((2, 5), share)).frames
    before = film[:, 0]
    for step in range(5):
        before = film[:, step] * share + before * (1 - share) if step else before
        before = before + 0.01 + step
        torch.testing.assert_close(frames[:, step], before)


@pytest.mark.parametrize("forced", [True, False])
def test_z_comes_from_the_prior_where_it_is_to_be(model, forced):
    """A clip whose z is the prior's does not depend on its target, the others do."""
    film, poses, noise = clip(model, dtype=torch.float32)
    coins, chosen = torch.full((2, 5), forced), torch.tensor([True, False])
    changed = film.clone()
    changed[:, -1] = 1 - changed[:, -1]
    frames = [
        unroll(model, each, poses, noise=noise, forced=coins, from_prior=chosen).frames for each in (film, changed)
    ]
    assert torch.equal(frames[0][0], frames[1][0])
    assert not torch.equal(frames[0][1, -1], frames[1][1, -1])
    usual = unroll(model, film, poses, noise=noise, forced=coins).frames
    torch.testing.assert_close(frames[0][1], usual[1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(frames[0][0], usual[0])


def test_predicting_the_next_frame_is_a_rollout_of_one_step(model):
    model.eval()
    film, poses, _ = clip(model, dtype=torch.float32, known=2)
    frames = predict_next(model, film, poses, context_frames=2)
    assert frames.shape == film[:, 2:].shape
    first = rollout(model, film[:, :2], poses[:, :3], z="mean")
    torch.testing.assert_close(frames[:, :1], first, rtol=1e-4, atol=1e-5)
    changed = film.clone()
    changed[:, 3:] = 0.5
    again = predict_next(model, changed, poses, context_frames=2)
    torch.testing.assert_close(again[:, :2], frames[:, :2], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="context and more"):
        predict_next(model, film, poses, context_frames=6)


def test_a_learned_prior_starts_as_the_posterior():
    model = CVAE(SHAPE, prior=LearnedPrior, widths=(8, 8, 8))
    frames, poses = torch.rand(2, 1, 3, SHAPE.height, SHAPE.width), torch.rand(2, 1, 3, SHAPE.height, SHAPE.width)
    pose = unbind_steps(model.encode_poses(poses, model.context(frames, poses)))[0]
    seen = model.encode_frames(frames[:, 0])
    for one, two in zip(model.posterior(seen, pose), model.prior(seen, pose), strict=True):
        assert torch.equal(one, two)


def test_coins_do_not_matter_where_predictions_are_perfect():
    class Perfect(Echo):
        def decode(self, previous, pose, z, prior, carry):
            return previous, None

    film = torch.rand(2, 1, 3, 16, 24).expand(2, 6, 3, 16, 24)
    noise = torch.zeros(2, 5, 1, 1, 1)
    for coins in (torch.zeros(2, 5), torch.ones(2, 5)):
        assert torch.equal(unroll(Perfect(), film, film, noise=noise, forced=coins.bool()).frames, film[:, 1:])


@pytest.mark.parametrize("gradient", ["whole", 0, -1])
def test_other_gradients_are_refused(gradient):
    film, poses, noise = clip(Echo(), dtype=torch.float32)
    with pytest.raises((ValueError, TypeCheckError), match="gradient"):
        unroll(Echo(), film, poses, noise=noise, forced=torch.zeros(2, 5).bool(), gradient=gradient)


@pytest.mark.parametrize("chunk", [0, -1])
def test_chunks_have_steps(chunk):
    film, poses, noise = clip(Echo(), dtype=torch.float32)
    with pytest.raises(ValueError, match=f"chunk must be >= 1 step, or null for all, got {chunk}"):
        unroll(Echo(), film, poses, noise=noise, forced=torch.zeros(2, 5).bool(), chunk=chunk)


def test_gradients_pass_through_predictions_as_far_as_they_may():
    class Traced(Echo):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(0.5))

        def decode(self, previous, pose, z, prior, carry):
            return previous * self.weight, None

    film, noise = torch.ones(1, 4, 3, 16, 24), torch.zeros(1, 3, 1, 1, 1)
    gradients = {}
    for gradient in ("full", "detached", 1, 2, 3):
        model = Traced()
        frames = unroll(model, film, film, noise=noise, forced=torch.zeros(1, 3).bool(), gradient=gradient).frames
        frames[0, 2].mean().backward()
        gradients[gradient] = float(model.weight.grad)
    assert gradients["full"] == pytest.approx(3 * 0.5**2)  # d w³ / dw
    assert gradients["detached"] == gradients[1] == pytest.approx(0.5**2)  # d (w · [w²]) / dw
    assert gradients[2] == pytest.approx(0.5**2)  # cut before the last of three steps, too
    assert gradients[3] == gradients["full"]


@pytest.mark.parametrize("name", ["cvae", "lab"])
def test_learned_prior_sees_the_previous_frame_and_the_pose_alone(name):
    model = lively(TINY[name](prior=LearnedPrior))
    film, poses, noise = clip(model, dtype=torch.float32)
    film.requires_grad_()
    prediction = unroll(model, film, poses, noise=noise, forced=torch.ones(2, 5, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(prediction.prior.mean[:, 2].sum(), film)
    touched = gradient.abs().flatten(2).sum(2) > 0
    assert touched.tolist() == [[False, False, True, False, False, False]] * 2
