import pytest
import torch
from samples import PRIORS, SHAPE, TINY, lively

from vidpred.data.dancers.film import Dancers
from vidpred.networks import CVAE, LabCVAE, LearnedPrior, Model, StandardPrior, cvae
from vidpred.networks.correspondence import fetch, join_pixels
from vidpred.networks.features import unbind_steps
from vidpred.networks.latent import bound_logvar, reparameterize
from vidpred.networks.rollout import rollout
from vidpred.types import FrameShape, Gaussian

STOCK = FrameShape(3, 3, 32, 64)


def test_stock_networks_have_the_stock_number_of_weights():
    assert sum(weight.numel() for weight in LabCVAE(STOCK).parameters()) == 1_585_620


def test_stock_names_inside_the_sequences():
    names = set(LabCVAE(STOCK).state_dict())
    for name in (
        "frame_encoder.0.conv1.weight", "frame_encoder.0.skip.weight", "frame_encoder.1.block.0.conv1.0.weight",
        "frame_encoder.1.block.0.depth_conv.weight", "frame_encoder.1.block.1.conv_out.bias", "frame_encoder.6.weight",
        "pose_encoder.1.weight", "pose_encoder.2.running_mean", "pose_encoder.4.conv2.weight",
        "gaussian_predictor.4.conv1.weight", "gaussian_predictor.6.weight", "decoder_fusion.2.block.0.adaptor.weight",
        "decoder_fusion.5.weight", "generator.7.weight",
    ):  # fmt: skip
        assert name in names, name


def test_models_keep_the_contract(model):
    assert isinstance(model, Model)
    frames, poses = torch.rand(2, 3, 3, 16, 24), torch.rand(2, 3, 3, 16, 24)
    pose = unbind_steps(model.encode_poses(poses, model.context(frames[:, :1], poses[:, :1])))[1]
    before, target = model.encode_frames(frames[:, 0]), model.encode_frames(frames[:, 1])
    posterior, prior = model.posterior(target, pose), model.prior(before, pose)
    assert posterior.mean.shape == prior.mean.shape == (2, *model.latent_shape)
    frame, carry = model.decode(before, pose, posterior.mean, prior, None)
    assert frame.shape == (2, 3, 16, 24)
    assert carry is None


@pytest.mark.parametrize("size", [(16, 16), (32, 64), (64, 64), (24, 40)])
def test_cvae_takes_multiples_of_eight(size):
    model = CVAE(FrameShape(3, 3, *size), widths=(8, 8, 8), name_channels=4, z_channels=2)
    frames, poses = torch.rand(2, 1, 2, 3, *size)
    features = model.encode_poses(poses, model.context(frames[:, :1], poses[:, :1]))
    assert features.half.shape[-2:] == (size[0] // 2, size[1] // 2)


@pytest.mark.parametrize("size", [(8, 64), (30, 64), (64, 65)])
def test_cvae_refuses_others_with_the_reason(size):
    with pytest.raises(ValueError, match=f"multiples of 8.*{size[0]}x{size[1]}"):
        CVAE(FrameShape(3, 3, *size))


@pytest.mark.parametrize("size", [(5, 7), (32, 64)])
def test_lab_takes_any_size(size):
    model = LabCVAE(FrameShape(1, 3, *size), frame_width=8, pose_width=4, z_channels=4, fused_width=8)
    assert model.encode_poses(torch.rand(1, 2, 3, *size), None).shape[-2:] == size


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: LabCVAE(FrameShape(3, 3, 3, 64)), "4x4"),
        (lambda: LabCVAE(STOCK, frame_width=12), "frame_width"),
        (lambda: LabCVAE(STOCK, activation="tanh"), "activation"),
        (lambda: LabCVAE(STOCK, pose_width=34), "multiple of 4"),
        (lambda: CVAE(STOCK, z_channels=0), "z_channels"),
        (lambda: CVAE(STOCK, name_channels=0), "name_channels"),
    ],
)
def test_impossible_options_are_refused(make, word):
    with pytest.raises(ValueError, match=word):
        make()


@pytest.mark.parametrize("activation", ["none", "sigmoid", "clamp"])
def test_lab_bounds_its_output_as_told(activation):
    torch.manual_seed(0)
    model = LabCVAE(SHAPE, frame_width=8, pose_width=4, z_channels=4, fused_width=8, activation=activation)
    model.generator[-1].bias.data += torch.tensor([3.0, -3.0, 0.0])
    pose = model.encode_poses(torch.rand(1, 1, 3, 16, 24), None)[:, 0]
    before = model.encode_frames(torch.rand(1, 3, 16, 24))
    prior = model.prior(before, pose)
    frame, _ = model.decode(before, pose, prior.mean, prior, None)
    inside = bool(((frame >= 0) & (frame <= 1)).all())
    assert inside == (activation != "none")


def test_batch_norm_of_the_stock_networks_sees_all_poses_at_once():
    model = TINY["lab"]().train()
    poses = torch.rand(2, 5, 3, 16, 24)
    model.encode_poses(poses, None)
    norm = model.pose_encoder[2]
    seen = model.pose_encoder[1](model.pose_encoder[0](poses.flatten(0, 1)))
    torch.testing.assert_close(norm.running_mean, 0.1 * seen.mean(dim=(0, 2, 3)))


def test_without_an_anchor_the_context_does_not_matter():
    model = TINY["cvae-no-anchor"]()
    assert model.context(torch.rand(1, 1, 3, 16, 24), torch.rand(1, 1, 3, 16, 24)) is None


def test_a_pose_finds_itself():
    """Context and pose are named by one network: before any training the likest place is the same place."""
    torch.manual_seed(0)
    film = Dancers(height=64, width=64).film("val", index=0, frames=1)
    frames, poses = (torch.from_numpy(part)[None] / 255 for part in (film.frames, film.poses))
    model = CVAE(FrameShape(3, 3, 64, 64))
    with torch.no_grad():
        model.sharpness.fill_(1e5)
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


def test_the_scene_is_the_context_where_nothing_is_hidden_and_filled_elsewhere():
    model = lively(CVAE(FrameShape(3, 3, 24, 32), widths=(8, 8, 8), name_channels=4))
    torch.nn.init.zeros_(model.shade_net.weight)
    frames, poses = torch.rand(2, 2, 2, 3, 24, 32)
    for bias, kept in ((-1e3, True), (1e3, False)):
        torch.nn.init.constant_(model.hider.bias, bias)
        scene = join_pixels(model.context(frames, poses).scene)
        assert torch.allclose(scene, frames[:, -1], atol=1e-5) == kept
    features = torch.rand(2, 8, 12, 16)
    mask = torch.ones(2, 1, 24, 32)
    first, second = (model._paint_scene(frames[:, moment], mask, features)[0] for moment in (0, 1))
    assert torch.equal(first, second)  # what is hidden is not looked at


@pytest.mark.parametrize("name", ["cvae", "cvae-no-anchor"])
def test_colours_cannot_run_away_however_long_a_rollout(name):
    model = lively(TINY[name](prior=LearnedPrior))
    with torch.no_grad():
        for weight in model.head.parameters():
            weight.mul_(20)
    frames = rollout(model, torch.rand(2, 1, 3, 16, 24), torch.rand(2, 100, 3, 16, 24), z="mean")
    assert frames.min() >= -0.5
    assert frames.max() <= 1.5
    assert not torch.allclose(frames[:, -1], frames[:, 0], atol=0.1)


def test_the_scene_is_in_the_shade_of_the_pose():
    """What the context's pose leaves of the light is taken out of what is seen, and the present one's is put in."""
    model = lively(TINY["cvae"]())
    model.hider.bias.data.fill_(-1e4)  # nothing is hidden, or painted anew
    model.shade_net.weight.data.mul_(100)
    frames, poses = 1 - torch.rand(2, 1, 3, 16, 24) / 4, torch.rand(2, 3, 3, 16, 24)
    context = model.context(frames, poses[:, :1])
    shades = model._shade(model.pose_net(poses.flatten(0, 1)), poses.dtype).unflatten(0, (2, 3))
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
        cvae, "fetch", lambda memory, names, sharpness: asked.append(names) or fetch(memory, names, sharpness)
    )
    frames, poses = torch.rand(2, 1, 3, 16, 24), torch.rand(1, 3, 3, 16, 24).expand(2, -1, -1, -1, -1)
    model = TINY["cvae"]()
    for seen in (False, True):
        model.encode_poses(poses, model.context(frames, poses[:, :1]))
        first, second = asked.pop()
        assert torch.allclose(first, second, atol=1e-3) != seen
        assert torch.allclose(first.norm(dim=1), torch.ones(()))
        model = lively(model)


def test_standard_prior_is_standard(model):
    frames, poses = torch.rand(2, 3, 16, 24), torch.rand(2, 1, 3, 16, 24)
    pose = unbind_steps(model.encode_poses(poses, model.context(frames[:, None], poses)))[0]
    prior = model.prior(model.encode_frames(frames), pose)
    assert not prior.mean.any()
    assert not prior.logvar.any()


def test_learned_prior_is_not():
    model = TINY["cvae"](prior=LearnedPrior)
    frames, poses = torch.rand(2, 1, 1, 3, 16, 24)
    pose = unbind_steps(model.encode_poses(poses, model.context(frames, poses)))[0]
    prior = model.prior(model.encode_frames(frames[:, 0]), pose)
    assert prior.mean.any()


def test_the_first_step_alone_is_told_of_the_gap_before_it():
    model = lively(TINY["cvae"]())
    frames, poses = torch.rand(3, 1, 3, 16, 24), torch.rand(3, 4, 3, 16, 24)
    context = model.context(frames, poses[:, :1])
    plain = model.encode_poses(poses[:, 1:], context)
    told = model.encode_poses(poses[:, 1:], context, torch.tensor([0.0, 5.0, 50.0]))
    for name in ("half", "eighth"):
        change = getattr(told, name) - getattr(plain, name)
        assert not change[:, 1:].any()
        assert not change[0].any()
        assert change[1, 0].abs().max() > 0.01
        assert (change[2, 0] - change[1, 0]).abs().max() > 0.01


def test_z_at_the_learned_priors_mean_leaves_the_forecast_alone():
    """What z tells, and how it is trusted, is no matter then; elsewhere it is."""
    model = lively(TINY["cvae"](prior=LearnedPrior))
    frames, poses = torch.rand(2, 2, 3, 16, 24), torch.rand(2, 2, 3, 16, 24)
    pose = unbind_steps(model.encode_poses(poses, model.context(frames[:, :1], poses[:, :1])))[1]
    before = model.encode_frames(frames[:, 0])
    prior = model.prior(before, pose)

    def decode(z):
        return model.decode(before, pose, z, prior, None)[0]

    forecast, told = decode(prior.mean), decode(prior.mean + 1)
    for layer in (model.told, model.place_z, model.trust):
        layer.weight.data.mul_(2)
    assert torch.equal(decode(prior.mean), forecast)
    assert (decode(prior.mean + 1) - told).abs().max() > 0.01


@pytest.mark.parametrize("z_channels", [2, 3, 8])
@pytest.mark.parametrize("prior", [LearnedPrior, StandardPrior])
def test_z_tells_colours_from_the_first_step_on(prior, z_channels):
    """Posterior and learned prior start as the colours of their frame, so that z of a brighter frame brightens."""
    torch.manual_seed(0)
    model = CVAE(SHAPE, widths=(8, 12, 16), name_channels=6, z_channels=z_channels, prior=prior)
    frames, poses = torch.rand(1, 1, 3, 16, 24) / 2, torch.rand(1, 2, 3, 16, 24)
    pose = unbind_steps(model.encode_poses(poses, model.context(frames, poses[:, :1])))[1]
    same, more = (model.encode_frames(frame) for frame in (frames[:, 0], frames[:, 0] + 0.4))
    before, brighter = (model.posterior(frame, pose).mean for frame in (same, more))
    told = min(3, z_channels)
    torch.testing.assert_close((brighter - before)[:, :told].mean(), torch.tensor(1.6), atol=0.4, rtol=0)
    prior = model.prior(same, pose)
    dark, bright = (model.decode(same, pose, z, prior, None)[0] for z in (before, brighter))
    assert (bright - dark)[:, :told].mean() > 0.05


def test_reparameterization_has_mean_and_spread():
    gaussian = Gaussian(torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 0.6))
    noise = torch.randn(200_000, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    z = reparameterize(gaussian, noise)
    assert float(z.mean()) == pytest.approx(2.0, abs=0.01)
    assert float(z.var()) == pytest.approx(float(torch.tensor(0.6).exp()), rel=0.01)


def test_bounded_logvar_is_the_identity_near_zero_and_never_leaves_its_bound():
    raw = torch.tensor([-1e4, -0.01, 0.0, 0.01, 1e4])
    bounded = bound_logvar(raw, bound=8.0)
    torch.testing.assert_close(bounded[1:4], raw[1:4], rtol=1e-3, atol=1e-6)
    assert bounded.abs().max() <= 8.0


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("name", TINY)
def test_frames_and_prior_stay_exact_under_autocast(name, prior):
    """A frame in bfloat16 would have 8 bits, and be fed back."""
    model = TINY[name](prior=PRIORS[prior])
    frames, poses = torch.rand(1, 1, 3, 16, 24), torch.rand(1, 3, 3, 16, 24)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        seen = model.encode_frames(frames[:, 0])
        pose = unbind_steps(model.encode_poses(poses, model.context(frames, poses[:, :1])))[1]
        found = model.prior(seen, pose)
        frame, _ = model.decode(seen, pose, found.mean, found, None)
    assert found.mean.dtype == found.logvar.dtype == frame.dtype == torch.float32
