"""Exported graphs against the networks that they are of."""

import json

import jaxtyping
import numpy as np
import pytest
import torch
from samples import PRIORS, SHAPE, TINY, lively

from vidpred.interop.deployment import ExportError, export_onnx, export_torch, rollout_exported
from vidpred.networks import LabCVAE, rollout
from vidpred.networks.features import unbind_steps
from vidpred.networks.latent import reparameterize

CASES = [("cvae", "standard", 1), ("cvae", "learned", 2), ("cvae-no-anchor", "standard", 1),
         ("lab", "standard", 2), ("lab", "learned", 1)]  # fmt: skip
SIZES = [(3, 4), (1, 1)]  # clips and steps: not what graphs were traced with
TOLERANCE = 1e-4
EXPORTS = {"torch": export_torch, "onnx": export_onnx}


class Fixed(LabCVAE):
    """A model that knows how many clips there are."""

    def encode_poses(self, poses, context, gap=None):
        return super().encode_poses(poses, context, gap) * torch.ones(len(poses), 1, 1, 1, 1)


@pytest.fixture(autouse=True)
def _unchecked():
    """The shape checks of the tests compare sizes with numbers, which would fix them in the graphs."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


class Faint(LabCVAE):
    """A model with a small constant that matters."""

    def decode(self, previous, pose, z, prior, carry):
        frame, carry = super().decode(previous, pose, z, prior, carry)
        return frame + 1e4 * torch.sqrt((1e-9 * z[:, :1]) ** 2 + 1e-8), carry


def awake(name, prior):
    """A tiny model whose frames depend on all that it is given: the lab's would hardly look at its poses."""
    model = lively(TINY[name](prior=PRIORS[prior])).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.5 if weight.ndim > 1 else 1.0)
    return model


def given(model, known, clips, steps):
    generator = torch.Generator().manual_seed(1)
    frames = torch.rand(clips, known, 3, SHAPE.height, SHAPE.width, generator=generator)
    poses = torch.rand(clips, known + steps, 3, SHAPE.height, SHAPE.width, generator=generator)
    return frames, poses, torch.randn(clips, steps, *model.latent_shape, generator=generator)


def expected(model, frames, poses, noise):
    """The one rollout, whose own noise is replaced by what the graphs are given."""
    rows = iter(noise.unbind(dim=1))

    class Given:
        def __getattr__(self, name):
            return getattr(model, name)

        def decode(self, previous, pose, z, prior, carry):
            return model.decode(previous, pose, reparameterize(prior, next(rows)), prior, carry)

    with torch.no_grad():
        return rollout(Given(), frames, poses, z="mean")


def check_rollouts(model, known, encoder, step):
    for size in SIZES:
        frames, poses, noise = given(model, known, *size)
        at_mean = rollout(model, frames, poses, z="mean")
        found = rollout_exported(encoder, step, frames, poses, torch.zeros_like(noise))
        torch.testing.assert_close(found, at_mean, atol=TOLERANCE, rtol=0)
        drawn = expected(model, frames, poses, noise)
        found = rollout_exported(encoder, step, frames, poses, noise)
        torch.testing.assert_close(found, drawn, atol=TOLERANCE, rtol=0)
        others = (drawn, rollout(model, 1 - frames, poses, z="mean"), rollout(model, frames, 1 - poses, z="mean"))
        assert all((other - at_mean).abs().max() > 20 * TOLERANCE for other in others)  # or nothing was compared


@pytest.mark.parametrize(("name", "prior", "known"), CASES)
def test_graphs_of_torch_roll_out_as_the_networks_do(name, prior, known, tmp_path):
    model = awake(name, prior)
    export_torch(model, tmp_path / "graphs", context_frames=known)
    encoder, step = (torch.export.load(tmp_path / "graphs" / f"{part}.pt2").module() for part in ("encoder", "step"))
    check_rollouts(model, known, encoder, step)


def onnx_part(folder, part):
    onnxruntime = pytest.importorskip("onnxruntime")
    about = json.loads((folder / "export.json").read_text())[part]
    session = onnxruntime.InferenceSession(folder / f"{part}.onnx")
    found = {entry.name: entry.shape for entry in (*session.get_inputs(), *session.get_outputs())}
    assert found == about["shapes"]
    assert not any(0 in shape for shape in found.values())  # nobody has to pass what is empty

    def run(*inputs):
        named = dict(zip(about["inputs"], inputs, strict=True))
        values = session.run(about["outputs"], {key: value.numpy() for key, value in named.items()})
        outputs = [torch.from_numpy(np.asarray(value)) for value in values]
        return outputs[0] if part == "step" else outputs

    return run


@pytest.mark.parametrize(("name", "prior", "known"), CASES)
def test_graphs_of_onnx_roll_out_as_the_networks_do(name, prior, known, tmp_path):
    model, folder = awake(name, prior), tmp_path / "graphs"
    export_onnx(model, folder, context_frames=known)
    check_rollouts(model, known, onnx_part(folder, "encoder"), onnx_part(folder, "step"))


def test_small_constants_survive_in_onnx(tmp_path):
    """The optimizer of onnxscript takes an addition of 1e-8 away, wherever it stands; under a root it matters."""
    model = lively(Faint(SHAPE, frame_width=8, pose_width=4, z_channels=4, fused_width=8)).eval()
    export_onnx(model, tmp_path / "graphs", context_frames=1)
    encoder, step = (onnx_part(tmp_path / "graphs", part) for part in ("encoder", "step"))
    frames, poses, noise = given(model, 1, 2, 2)
    found = rollout_exported(encoder, step, frames, poses, torch.zeros_like(noise))
    torch.testing.assert_close(found, rollout(model, frames, poses, z="mean"), atol=TOLERANCE, rtol=0)


def test_a_stranger_is_told_the_order_of_inputs_and_their_shapes(tmp_path):
    """The names of ``export.json`` against the structures that the model gives, walked here by hand."""
    model = lively(TINY["cvae"]()).eval()
    export_torch(model, tmp_path / "graphs", context_frames=1)
    about = json.loads((tmp_path / "graphs" / "export.json").read_text())
    frames, poses, noise = given(model, 1, 2, 3)
    features = model.encode_poses(poses, model.context(frames, poses[:, :1]))
    pose = unbind_steps(features)[0]
    timed = {f"pose_{number}": ["batch", "frames", *tensor.shape[2:]] for number, tensor in enumerate(features)}
    steps = {f"pose_{number}": ["batch", *tensor.shape[1:]] for number, tensor in enumerate(pose)}
    sizes = [SHAPE.height, SHAPE.width]
    assert about["encoder"]["shapes"] == {
        "frames": ["batch", 1, 3, *sizes], "poses": ["batch", "frames", 3, *sizes], **timed
    }  # fmt: skip
    assert about["step"]["shapes"] == {
        "previous": ["batch", 3, *sizes], "noise": ["batch", *noise.shape[2:]], **steps,
        "frame": ["batch", 3, *sizes],
    }  # fmt: skip
    assert about["encoder"]["outputs"] == [*timed]
    assert about["step"]["inputs"] == ["previous", "noise", *timed]
    assert any("step(previous, noise" in line for line in about["loop"])


@pytest.mark.parametrize("form", EXPORTS)
def test_a_graph_of_one_batch_size_is_refused(form, tmp_path):
    model = Fixed(SHAPE, frame_width=8, pose_width=4, z_channels=4, fused_width=8)
    with pytest.raises(ExportError, match=r"Fixed cannot be traced as a graph: .*batch"):
        EXPORTS[form](model, tmp_path / "graphs", context_frames=1)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_told(tmp_path):
    model = TINY["lab"]()
    with pytest.raises(ExportError, match="context_frames must be >= 1, got 0"):
        export_torch(model, tmp_path / "graphs", context_frames=0)
    model.parallel = False
    with pytest.raises(ExportError, match="carries features"):
        export_torch(model, tmp_path / "graphs", context_frames=1)
    with pytest.raises(ExportError, match=r"got weights in torch\.bfloat16 on cpu"):
        export_torch(model.bfloat16(), tmp_path / "graphs", context_frames=1)
    assert list(tmp_path.iterdir()) == []


def test_a_model_in_training_is_exported_as_it_predicts_and_stays_in_training(tmp_path):
    model = lively(TINY["lab"]()).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    export_torch(model, tmp_path / "graphs", context_frames=1)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    frames, poses, _ = given(model, 1, 2, 1)
    encoder = torch.export.load(tmp_path / "graphs" / "encoder.pt2").module()
    torch.testing.assert_close(encoder(frames, poses)[0], model.eval().encode_poses(poses, None))


def test_an_older_export_is_replaced_and_what_else_is_in_the_way_is_kept(tmp_path):
    model, folder = lively(TINY["lab"]()).eval(), tmp_path / "mine"
    folder.mkdir()
    (folder / "encoder.onnx").touch()
    with pytest.raises(ValueError, match=r"holds something else \(encoder.onnx\)"):  # not ours, whatever its name
        export_torch(model, folder, context_frames=1)
    (folder / "encoder.onnx").unlink()
    export_torch(model, folder, context_frames=1)
    (folder / "step.pt2").write_bytes(b"older")
    export_torch(model, folder, context_frames=1)
    assert (folder / "step.pt2").stat().st_size > 10_000
    (folder / "rollout.cpp").touch()
    with pytest.raises(ValueError, match=r"holds something else \(rollout.cpp\)"):
        export_torch(model, folder, context_frames=1)
    assert sorted(file.name for file in folder.iterdir()) == ["encoder.pt2", "export.json", "rollout.cpp", "step.pt2"]
    assert list(tmp_path.iterdir()) == [folder]


def test_without_onnx_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("vidpred.interop.deployment.find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r"pip install 'vidpred\[onnx\]'"):
        export_onnx(lively(TINY["lab"]()).eval(), tmp_path / "graphs", context_frames=1)
    assert list(tmp_path.iterdir()) == []
