"""The model card of an exported model, in Markdown."""

from collections.abc import Mapping
from typing import Any

_SHOWN = {"psnr": ("PSNR", "dB", 2), "psnr_inside": ("PSNR inside", "dB", 2), "ssim": ("SSIM", "", 4),
          "lpips": ("LPIPS", "", 4), "mse": ("MSE", "", 5)}  # fmt: skip


def write_card(
    about: Mapping[str, Any], *, parameters: int, facts: Mapping[str, Any], metrics: Mapping[str, Any] | None, name: str
) -> str:
    """Say what a model is, what it takes, how it was trained and what it scores.

    Args:
        about: shape, version and configuration.
        parameters: how many weights it has.
        facts: of its run; empty where nobody knows.
        metrics: of its evaluation; None without one.
        name: of the folder.
    """
    channels, maps, height, width = about["shape"]
    known = about["config"]["context_frames"]
    lines = [
        f"# {name}",
        "",
        "Pose-conditioned video prediction: from the first frame of a person and a sequence of poses, the film; a "
        f"conditional VAE of vidpred {about['version']}.",
        "",
        f"- takes {known} context frame{'s' * (known > 1)} of {height}×{width} pixels with {channels} channels, in "
        f"[0, 1], and a pose map of {maps} channels for every frame of context and prediction",
        f"- `{about['config']['model']['_target_']}`, {parameters:,} weights",
        *_training(about["config"], facts),
        "",
        "## Use",
        "",
        "```",
        f"python -m vidpred.predict ckpt={name} image=me.png poses=poses/",
        "```",
        "",
        "```python",
        "import vidpred",
        "",
        f'predictor = vidpred.load("{name}")',
        "video = predictor.rollout(image, poses)",
        "```",
        "",
        "## Scores",
        "",
        *(
            _scores(metrics)
            if metrics is not None
            else ["None are known: `python -m vidpred.evaluate` has not scored it."]
        ),
        "",
        "## Licence",
        "",
        "Not stated: it is for whoever trained the model, and owns the data, to say.",
    ]
    return "\n".join(lines) + "\n"


def _training(config: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    lines = [f"- trained for {config['trainer']['max_epochs']} epochs with seed {config['seed']}"]
    if facts.get("choices"):
        chosen = ", ".join(f"`{key}={value}`" for key, value in facts["choices"].items() if value != "None")
        lines.append(f"- choices: {chosen}")
    if facts.get("data"):
        lines.append(f"- data fingerprint `{facts['data']}`")
    return lines


def _scores(metrics: Mapping[str, Any]) -> list[str]:
    """A table of the model and the baselines, under its protocol."""
    protocol, every = metrics["protocol"], {"this model": metrics["scores"], **metrics["baselines"]}
    names = [name for name in _SHOWN if name in metrics["scores"]]
    heads = [f"{_SHOWN[name][0]} {_SHOWN[name][1]}".strip() for name in names]
    rows = [f"| {label} | {' | '.join(_cell(scores, name) for name in names)} |" for label, scores in every.items()]
    flattered = f" The checkpoint was chosen on this split ({metrics['chosen_on']})." if metrics["chosen_on"] else ""
    return [
        f"{metrics['clips']} clips of the {metrics['split']} split, {metrics['frames']} predicted frames, data "
        f"`{metrics['data']}`.{flattered}",
        "",
        f"| prediction | {' | '.join(heads)} |",
        f"| --- |{' ---: |' * len(names)}",
        *rows,
        "",
        f"Protocol {protocol['name']}, fingerprint `{protocol['fingerprint']}`: {protocol['definition']}.",
    ]


def _cell(scores: Mapping[str, Any], name: str) -> str:
    return f"{scores[name]['mean']:.{_SHOWN[name][2]}f}" if name in scores else ""
