"""What exists, by the commands as a user writes them: a lab's checkpoint and data, and what others shall read."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from template import WIDTHS, Template, public_checkpoint
from test_cli import DEBUG, vidpred

import vidpred as package
from vidpred.interop.submission import SubmissionWriter, read_submission

SIZE = (16, 32)  # of frames
LENGTH = 5  # of test sequences
LAB = ("lab.height=16", "lab.width=32", "lab.activation=sigmoid")


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (4, 8, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Path:
    """The lab's folders and a checkpoint as a student left it."""
    root = tmp_path_factory.mktemp("lab")
    for split, frames, seed in (("train", 8, 200), ("val", 6, 300)):
        for number in range(frames):
            picture(root / "data" / split / f"{split}_img" / f"{number}.png", seed + number)
            picture(root / "data" / split / f"{split}_label" / f"{number}.png", seed + 50 + number)
    for sequence in range(2):
        picture(root / "data" / "test" / "test_img" / str(sequence) / "0.png", 50 + sequence)
        for number in range(LENGTH):
            picture(
                root / "data" / "test" / "test_label" / str(sequence) / f"{number}.png", 60 + 10 * sequence + number
            )
    torch.save(public_checkpoint(), root / "epoch=best.ckpt")
    return root


@pytest.fixture
def call(cache, tmp_path):
    def run(verb: str, *options: str, fails: bool = False):
        answer = vidpred(*options, cwd=tmp_path, cache=cache, module=f"vidpred.{verb}")
        assert answer.returncode == (2 if fails else 0), answer.stderr
        return answer.stderr if fails else answer.stdout

    return run


def test_a_labs_checkpoint_is_evaluated(lab, call, tmp_path):
    options = (f"ckpt={lab}/epoch=best.ckpt", *LAB, "split=val", "allow_selection_split=true", "lpips=false",
               "protocol.samples=1", "out=scores", "films=false", "pose_following=false")  # fmt: skip
    said = call("evaluate", *options, f"lab.root={lab}/data")
    assert "1 val clip, 5 predicted frames" in said
    assert json.loads((tmp_path / "scores" / "metrics.json").read_text())["chosen_on"] == "val"
    assert "lab.root=… is the folder" in call("evaluate", *options, fails=True)


def test_its_submission_is_the_templates_to_the_digit(lab, call, tmp_path):
    """Rolled out by the template that the tests have written, with z at the prior's mean, which is 0."""
    options = (
        f"ckpt={lab}/epoch=best.ckpt",
        *LAB,
        f"lab.root={lab}/data",
        "z=mean",
        "format=submission",
        "out=mine.csv",
    )
    assert "10 rows written: mine.csv" in call("predict", *options)
    template = Template(torch.load(lab / "epoch=best.ckpt", weights_only=True)["state_dict"])
    expected = []
    for sequence in range(2):
        folder = lab / "data" / "test"
        read = lambda file: torch.from_numpy(np.asarray(Image.open(file))).permute(2, 0, 1)[None] / 255  # noqa: E731
        previous = read(folder / "test_img" / str(sequence) / "0.png")
        expected.append(previous)
        for number in range(1, LENGTH):
            pose = template.pose(read(folder / "test_label" / str(sequence) / f"{number}.png"), alone=True)
            z = torch.zeros(1, WIDTHS.z_channels, *SIZE)
            previous = torch.sigmoid(template.generate(template.fuse(template.frame(previous), pose, z)))
            expected.append(previous)
    rows = torch.cat(expected).flatten(1).numpy()
    found = read_submission(tmp_path / "mine.csv").astype(int)
    assert abs(found - 255 * rows).max() < 0.51
    with SubmissionWriter(tmp_path / "truth.csv") as writer:
        writer.add(torch.cat(expected).clamp(0, 1) * 0.9)
    scoring = ("submission=mine.csv", "score=truth.csv", f"sequence_length={LENGTH}", f"counted={LENGTH - 1}")
    said = call("predict", *scoring)
    truth = read_submission(tmp_path / "truth.csv").astype(float)
    psnr = 10 * np.log10(255**2 / ((found - truth) ** 2).mean(axis=1)).reshape(2, LENGTH)[:, 1:]
    assert f"mean PSNR of frames 1 to 4, range 255: {psnr.mean():.4f} dB" in said
    assert f"mean PSNR of frames 1 to 4, range 255: {psnr.mean():.4f} dB" in call("predict", *options, *scoring[1:])
    assert "no sequences of sequence_length=630" in call("predict", *scoring[:2], fails=True)


def test_it_is_fine_tuned_and_goes_back_to_the_lab(lab, call, tmp_path):
    widths = ("model.frame_width=16", "model.pose_width=4", "model.z_channels=4", "model.fused_width=24")
    call("run", "experiment=lab", "data=folder", f"data.root={lab}/data", "data.height=16", "data.width=32", *widths,
         f"init_from={lab}/epoch=best.ckpt", "data.clip_length=4", "trainer.max_epochs=1", "kl_anneal.cycles=1",
         "teacher_forcing.decay_start=0", "fit_schedules=true", "baselines=false", "hydra.run.dir=run")  # fmt: skip
    assert "exported as lab: back.ckpt" in call("export", "ckpt=run", "format=lab", "out=back.ckpt")
    back = torch.load(tmp_path / "back.ckpt", weights_only=True)
    before = torch.load(lab / "epoch=best.ckpt", weights_only=True)
    assert back.keys() == before.keys()
    assert {key: value.shape for key, value in back["state_dict"].items()} == {
        key: value.shape for key, value in before["state_dict"].items()
    }
    moved = abs(back["state_dict"]["Generator.7.weight"] - before["state_dict"]["Generator.7.weight"]).max()
    assert 0 < moved < 0.1  # it began where the lab's training had ended
    call("export", f"ckpt={lab}/epoch=best.ckpt", "format=lab", "out=same.ckpt")
    again = torch.load(tmp_path / "same.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, before["state_dict"][key]) for key, value in again.items())


def test_a_model_is_handed_on_in_every_format(cache, call, tmp_path):
    call("run", *DEBUG, "hydra.run.dir=run")
    for form in ("safetensors", "torch_export", "onnx"):
        assert f"run/export/{form}" in call("export", "ckpt=run", f"format={form}")
    assert (tmp_path / "run" / "export" / "torch_export" / "step.pt2").stat().st_size > 10_000
    assert (tmp_path / "run" / "export" / "onnx" / "encoder.onnx").stat().st_size > 10_000
    image, poses = torch.rand(3, *SIZE), torch.rand(4, 3, *SIZE)
    films = [package.load(tmp_path / place, device="cpu").rollout(image, poses)
             for place in ("run", "run/export/safetensors")]  # fmt: skip
    assert torch.equal(*films)
    call("evaluate", "ckpt=run/export/safetensors", "lpips=false", "diagnoses=false", "protocol.samples=1")
    assert (tmp_path / "run" / "export" / "safetensors" / "evaluation" / "metrics.json").is_file()
    assert "format=lab holds the lab's networks alone" in call("export", "ckpt=run", "format=lab", fails=True)
    assert "format must be one of" in call("export", "ckpt=run", "format=tflite", fails=True)
