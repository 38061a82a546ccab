import pytest
import torch
from samples import PRIORS, SHAPE, TINY, lively

from vidpred.networks import CVAE, LabCVAE, LearnedPrior, Model, StandardPrior
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


def test_colours_cannot_run_away_whatever_z_tells():
    """As in rollouts with the posterior's z, which makes up for what the step before has painted."""
    model = lively(TINY["cvae"](prior=LearnedPrior))
    frames, poses = torch.rand(2, 1, 3, 16, 24), torch.rand(2, 2, 3, 16, 24)
    pose = unbind_steps(model.encode_poses(poses, model.context(frames, poses[:, :1])))[1]
    before = model.encode_frames(frames[:, 0])
    prior = model.prior(before, pose)
    for told in (-1e4, 1e4):
        frame, _ = model.decode(before, pose, prior.mean + told, prior, None)
        assert frame.abs().max() > 0.5
        assert frame.min() >= -1.5
        assert frame.max() <= 2.5


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
