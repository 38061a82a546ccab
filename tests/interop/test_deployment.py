"""Exported graphs against the networks that they are of."""

import json

import jaxtyping
import numpy as np
import pytest
import torch
from samples import PRIORS, SHAPE, TINY, lively

from vidpred.interop.deployment import ExportError, export_onnx, export_torch, rollout_exported
from vidpred.networks import rollout

CLIPS, STEPS = 3, 4  # not what graphs were traced with


@pytest.fixture(autouse=True)
def _unchecked():
    """The shape checks of the tests compare sizes with numbers, which would fix them in the graphs."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def given(model):
    generator = torch.Generator().manual_seed(1)
    frames = torch.rand(CLIPS, 1, 3, SHAPE.height, SHAPE.width, generator=generator)
    poses = torch.rand(CLIPS, 1 + STEPS, 3, SHAPE.height, SHAPE.width, generator=generator)
    return frames, poses, torch.randn(CLIPS, STEPS, *model.latent_shape, generator=generator)


def expected(model, frames, poses, noise):
    """The one rollout, whose own noise is replaced by what the graphs are given."""
    rows = iter(noise.unbind(dim=1))

    class Given:
        def __getattr__(self, name):
            return getattr(model, name)

        def prior(self, previous, pose):
            mean, logvar = model.prior(previous, pose)
            return type(model.prior(previous, pose))(mean + torch.exp(logvar / 2) * next(rows), logvar)

    with torch.no_grad():
        return rollout(Given(), frames, poses, z="mean")


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("name", ["cvae", "cvae-no-anchor", "lab"])
def test_graphs_of_torch_roll_out_as_the_networks_do(name, prior, tmp_path):
    model = lively(TINY[name](prior=PRIORS[prior])).eval()
    export_torch(model, tmp_path / "graphs", context_frames=1)
    about = json.loads((tmp_path / "graphs" / "export.json").read_text())
    encoder, step = (torch.export.load(tmp_path / "graphs" / f"{part}.pt2").module() for part in ("encoder", "step"))
    frames, poses, noise = given(model)
    found = rollout_exported(encoder, step, frames, poses, torch.zeros_like(noise), kept=about["kept"])
    torch.testing.assert_close(found, rollout(model, frames, poses, z="mean"), atol=1e-4, rtol=1e-4)
    found = rollout_exported(encoder, step, frames, poses, noise, kept=about["kept"])
    torch.testing.assert_close(found, expected(model, frames, poses, noise), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["cvae", "lab"])
def test_graphs_of_onnx_roll_out_as_the_networks_do(name, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = lively(TINY[name](prior=PRIORS["learned"])).eval()
    export_onnx(model, tmp_path / "graphs", context_frames=1)
    about = json.loads((tmp_path / "graphs" / "export.json").read_text())

    def load(part):
        session = onnxruntime.InferenceSession(tmp_path / "graphs" / f"{part}.onnx")
        names = [entry.name for entry in session.get_inputs()]

        def run(*inputs):
            everything = dict(zip(about[part]["inputs"], inputs, strict=True))
            values = session.run(None, {key: everything[key].numpy() for key in names})
            outputs = [torch.from_numpy(np.asarray(value)) for value in values]
            return outputs[0] if part == "step" else outputs

        return run

    frames, poses, noise = given(model)
    found = rollout_exported(load("encoder"), load("step"), frames, poses, torch.zeros_like(noise), kept=about["kept"])
    torch.testing.assert_close(found, rollout(model, frames, poses, z="mean"), atol=1e-4, rtol=1e-4)


def test_what_is_in_the_way_is_kept(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(ExportError, match="holds something else"):
        export_torch(lively(TINY["lab"]()).eval(), tmp_path / "mine", context_frames=1)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_without_onnx_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("vidpred.interop.deployment.find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r"pip install 'vidpred\[onnx\]'"):
        export_onnx(lively(TINY["lab"]()).eval(), tmp_path / "graphs", context_frames=1)
    assert list(tmp_path.iterdir()) == []
