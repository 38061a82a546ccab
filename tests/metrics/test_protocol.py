import pytest
import yaml
from jaxtyping import TypeCheckError

from vidpred import assembly
from vidpred.configuration import find_conf
from vidpred.metrics.protocol import Protocol

PRESETS = sorted(file.stem for file in (find_conf() / "protocol").glob("*.yaml"))


def preset(name: str) -> Protocol:
    return assembly.build(assembly.compose(f"protocol={name}", "ckpt=unused", verb="evaluate").protocol)


def test_presets_are_what_their_papers_say():
    assert preset("strict") == Protocol(name="strict", samples=8)
    lab = preset("lab")
    assert (lab.context_frames, lab.frames, lab.samples, lab.quantize, lab.choice) == (1, 600, 1, True, "mean")
    svg = preset("svg")
    assert (svg.samples, svg.choice, svg.ssim_window, svg.ssim_range, svg.per_channel) == (
        100, "best_ssim", "uniform", 2.0, True,
    )  # fmt: skip
    srvp = preset("srvp")
    assert (srvp.samples, srvp.choice, srvp.ssim_window, srvp.ssim_range) == (100, "best_each", "gaussian", 1.0)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_named_as_its_file(name):
    assert preset(name).name == name == yaml.safe_load((find_conf() / "protocol" / f"{name}.yaml").read_text())["name"]


def test_a_definition_says_what_was_set():
    assert preset("lab").definition == (
        "one rollout from 1 context frame; z drawn from the prior; mean over predicted frames 1 to 600, then clips; "
        "rounded to 256 levels; SSIM in gaussian 11x11 windows, without borders, of range 1; inside is where pixels "
        "move"
    )
    sentences = {Protocol(name="a", **change).definition for change in (
        {}, {"samples": 2}, {"samples": 2, "choice": "best_ssim"}, {"samples": 2, "choice": "best_each"},
        {"samples": 3, "choice": "best_each"}, {"z": "mean"}, {"context_frames": 2}, {"frames": 3}, {"quantize": True},
        {"per_channel": True}, {"ssim_window": "uniform"}, {"ssim_range": 2.0}, {"mask": "limbs"},
    )}  # fmt: skip
    assert len(sentences) == 13


def test_fingerprints_tell_numbers_apart_and_nothing_else():
    assert len({preset(name).fingerprint for name in PRESETS}) == len(PRESETS)
    one, two = (Protocol(name=name) for name in "ab")
    assert one.fingerprint == two.fingerprint
    for change in ({"samples": 2}, {"z": "mean"}, {"mask": "limbs"}, {"frames": 3}, {"ssim_range": 2.0}):
        assert one.fingerprint != Protocol(name="a", **change).fingerprint


def test_fingerprints_change_when_scoring_does(monkeypatch):
    before = Protocol(name="a").fingerprint
    monkeypatch.setattr("vidpred.metrics.protocol.SCORING", 99)
    assert Protocol(name="a").fingerprint != before


@pytest.mark.parametrize(
    ("options", "word"),
    [({"z": "mean", "samples": 2}, "one film a clip"), ({"z": "x"}, "z"), ({"mask": "x"}, "mask"),
     ({"samples": 0}, "samples"), ({"frames": 0}, "frames"), ({"context_frames": 0}, "context_frames"),
     ({"ssim_range": 0.0}, "ssim_range"), ({"choice": "luckiest"}, "choice"), ({"ssim_window": "x"}, "ssim_window")],
)  # fmt: skip
def test_what_is_no_protocol_is_refused(options, word):
    with pytest.raises((ValueError, TypeCheckError), match=word):
        Protocol(name="mine", **options)
