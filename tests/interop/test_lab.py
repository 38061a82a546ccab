"""Public checkpoints against networks that are written for the test, from the description of the template alone."""

from pathlib import Path

import pytest
import torch
from template import WIDTHS, Template, public_checkpoint, random_weights
from torch import nn

from vidpred.interop.lab import (
    LabWidths,
    build_model,
    export_checkpoint,
    import_weights,
    infer_widths,
    is_lab_checkpoint,
)
from vidpred.networks import LabCVAE, LearnedPrior, rollout
from vidpred.networks.checkpoint import CheckpointError
from vidpred.types import FrameShape

SHAPE = FrameShape(3, 3, 8, 12)
STOCK = LabWidths(3, 3, 128, 32, 12, 192)


def imported(checkpoint: dict, **options) -> LabCVAE:
    widths, weights = import_weights(checkpoint)
    model = build_model(widths, SHAPE, **options)
    model.load_state_dict(weights)
    return model.eval()


@pytest.mark.parametrize("bn_mode", ["batch", "running"])
def test_every_layer_computes_what_the_template_computes(bn_mode, tmp_path: Path):
    torch.save(public_checkpoint(), tmp_path / "epoch=best.ckpt")
    checkpoint = torch.load(tmp_path / "epoch=best.ckpt", weights_only=True)
    assert is_lab_checkpoint(checkpoint)
    model, template = imported(checkpoint, bn_mode=bn_mode), Template(checkpoint["state_dict"])
    frame, poses = torch.rand(2, 3, 8, 12), torch.rand(2, 3, 8, 12)
    with torch.no_grad():
        features, pose = template.frame(frame), template.pose(poses, alone=bn_mode == "batch")
        torch.testing.assert_close(model.frame_encoder(frame), features)
        torch.testing.assert_close(model.encode_poses(poses[:, None], None)[:, 0], pose)
        mean, logvar = template.gaussian(features, pose)
        seen = model.encode_frames(frame)
        torch.testing.assert_close(model.posterior(seen, pose).mean, mean)
        torch.testing.assert_close(model.posterior(seen, pose).logvar, logvar)
        fused = template.fuse(features, pose, mean)
        torch.testing.assert_close(model.decoder_fusion(torch.cat([features, pose, mean], dim=1)), fused)
        generated = template.generate(fused)
        torch.testing.assert_close(model.generator(fused), generated)
        torch.testing.assert_close(model.decode(seen, pose, mean, model.prior(seen, pose), None)[0], generated)


@pytest.mark.parametrize(
    ("activation", "bound"),
    [("none", lambda x: x), ("sigmoid", lambda x: 1 / (1 + (-x).exp())), ("clamp", lambda x: x.clip(0, 1))],
)
def test_a_rollout_is_the_templates(activation, bound):
    """One frame at a time on one clip, as the template tests; its activation is the user's choice."""
    checkpoint = public_checkpoint()
    checkpoint["state_dict"]["Generator.7.bias"] = torch.tensor([3.0, -3.0, 0.0])  # beyond both ends of [0, 1]
    model, template = imported(checkpoint, bn_mode="batch", activation=activation), Template(checkpoint["state_dict"])
    frame, poses, z = torch.rand(1, 3, 8, 12), torch.rand(1, 5, 3, 8, 12), torch.randn(1, 4, 4, 8, 12)
    previous, expected = frame, []
    with torch.no_grad():
        for step in range(4):
            pose = template.pose(poses[:, step + 1], alone=True)
            raw = template.generate(template.fuse(template.frame(previous), pose, z[:, step]))
            assert raw.min() < 0
            assert raw.max() > 1
            previous = bound(raw)
            expected.append(previous)
    found = rollout(model, frame[:, None], poses, z=z)
    torch.testing.assert_close(found[0], torch.cat(expected), atol=1e-5, rtol=1e-5)


def test_a_frame_is_normalized_by_itself_also_in_training():
    model = imported(public_checkpoint(), bn_mode="batch")
    poses = torch.rand(2, 3, 3, 8, 12)
    alone = torch.stack([model.encode_poses(pose[None], None)[0] for pose in poses])
    torch.testing.assert_close(model.train().encode_poses(poses, None), alone)
    torch.testing.assert_close(model.encode_poses(poses[:, 1:2], None)[:, 0], alone[:, 1])


def test_the_stock_widths_are_told_by_the_shapes():
    weights = random_weights(STOCK)
    assert infer_widths(weights) == STOCK
    trained = [value for key, value in weights.items() if "running" not in key and "tracked" not in key]
    assert sum(value.numel() for value in trained) == 1_585_620
    model = imported({"state_dict": weights})
    assert sum(value.numel() for value in model.parameters()) == 1_585_620
    assert sum(value.numel() for value in model.prior_net.parameters()) == 0


def test_weights_go_out_as_they_came_in(tmp_path):
    checkpoint = public_checkpoint()
    exported = export_checkpoint(imported(checkpoint), lr=2e-4, forcing_prob=0.3, epoch=5)
    torch.save(exported, tmp_path / "again.ckpt")
    again = torch.load(tmp_path / "again.ckpt", weights_only=True)
    assert set(again) == set(checkpoint)
    assert (again["lr"], again["tfr"], again["last_epoch"]) == (2e-4, 0.3, 5)
    assert again["state_dict"].keys() == checkpoint["state_dict"].keys()
    for key, value in checkpoint["state_dict"].items():
        torch.testing.assert_close(again["state_dict"][key], value, rtol=0, atol=0)
    weights = [
        nn.Parameter(value) for key, value in again["state_dict"].items() if "running" not in key and "num" not in key
    ]
    torch.optim.Adam(weights).load_state_dict(again["optimizer"])  # as many as the template's own optimizer has


def test_a_learned_prior_has_no_place_in_the_template():
    model = LabCVAE(SHAPE, prior=LearnedPrior, frame_width=16, pose_width=4, z_channels=4, fused_width=24)
    with pytest.raises(ValueError, match="train with prior=standard"):
        export_checkpoint(model, lr=1e-3, forcing_prob=0.0, epoch=0)


def test_every_key_that_does_not_fit_is_named():
    checkpoint = public_checkpoint()
    state = checkpoint["state_dict"]
    del state["Generator.7.bias"]
    state["Generator.9.weight"] = torch.zeros(1)
    state["Decoder_Fusion.1.conv1.bias"] = torch.zeros(3)
    with pytest.raises(CheckpointError) as error:
        import_weights(checkpoint)
    said = str(error.value)
    assert "Generator.7.bias is missing" in said
    assert "Generator.9.weight is not known" in said
    assert "Decoder_Fusion.1.conv1.bias has shape (3,) instead of (6,)" in said
    assert "\n" not in said


def test_networks_that_are_not_the_labs_are_told():
    checkpoint = public_checkpoint()
    del checkpoint["state_dict"]["Decoder_Fusion.5.weight"]
    with pytest.raises(CheckpointError, match=r"Decoder_Fusion\.5\.weight is missing: the widths"):
        import_weights(checkpoint)


@pytest.mark.parametrize(
    ("key", "shape", "divisor"),
    [("frame_transformation.6.weight", (17, 8, 3, 3), 8), ("label_transformation.1.weight", (3, 3, 7, 7), 2),
     ("Gaussian_Predictor.6.weight", (12, 6, 1, 1), 4), ("Decoder_Fusion.5.weight", (0, 12, 1, 1), 8),
     ("frame_transformation.0.conv1.weight", (2, 0, 3, 3), 1)],
)  # fmt: skip
def test_a_width_that_cannot_be_is_told_by_its_key(key, shape, divisor):
    checkpoint = public_checkpoint()
    checkpoint["state_dict"][key] = torch.zeros(shape)
    with pytest.raises(CheckpointError) as error:
        import_weights(checkpoint)
    assert str(error.value).startswith(f"{key} has shape {shape}: its axis ")
    assert f"must be a multiple of {divisor} in" in str(error.value)
    checkpoint["state_dict"][key] = torch.zeros(shape[:3])
    with pytest.raises(CheckpointError, match=f"{key} has shape .*: the widths of the networks cannot be told"):
        import_weights(checkpoint)


def test_what_holds_no_weights_is_told():
    with pytest.raises(CheckpointError, match=r"has a state_dict, this one has \['lr'\]"):
        import_weights({"lr": 1.0})
    checkpoint = public_checkpoint()
    checkpoint["state_dict"]["Generator.7.bias"] = [0.0, 0.0, 0.0]
    with pytest.raises(CheckpointError, match=r"networks: Generator\.7\.bias is no tensor$"):
        import_weights(checkpoint)


def test_data_parallel_and_old_versions_are_read():
    checkpoint = public_checkpoint()
    state = checkpoint["state_dict"]
    del state["label_transformation.2.num_batches_tracked"]
    checkpoint["state_dict"] = {f"module.{key}": value for key, value in state.items()}
    assert is_lab_checkpoint(checkpoint)
    model = imported(checkpoint)
    assert model.pose_encoder[2].num_batches_tracked == 0
    assert torch.equal(model.generator[7].bias, state["Generator.7.bias"])
    state["module.Generator.7.bias"] = state.pop("Generator.7.bias")  # of one alone it is no prefix
    with pytest.raises(CheckpointError, match=r"module\.Generator\.7\.bias is not known"):
        import_weights({"state_dict": state})


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"state_dict": {"layer.weight": 1}},
        None,
        {"state_dict": {1: 2}},
        {"state_dict": {"Generator.0": 1, "Decoder_Fusion.0": 1}, "vidpred": {}},
    ],
)
def test_other_files_are_not_taken_for_the_labs(other):
    assert not is_lab_checkpoint(other)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"model\.bn_mode must be 'running' or 'batch', got 'train'"):
        build_model(WIDTHS, SHAPE, bn_mode="train")
