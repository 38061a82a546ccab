"""What ``--help`` shows, and what a misspelt option is told: read from the configuration itself, without torch."""

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_WIDTH = 15
_EXAMPLES = {
    "run": "kl_anneal.cycles=8, data.batch_size=8, trainer.devices=2",
    "prepare": "split.val=0.2, pose_estimator.person=largest",
}


def render_help(verb: str, conf: Path) -> str:
    """Usage, options of the verb and all groups with their choices, each with the first line of its file."""
    text = (conf / f"{verb}.yaml").read_text(encoding="utf-8")
    lines = [f"usage: python -m vidpred.{verb} [option=value ...]", "", _comment(text), ""]
    options = list(_options(text))
    if options:
        lines += ["Options (default; meaning):"]
        lines += [f"  {name + '=' + value:<32} {meaning}".rstrip() for name, value, meaning in options]
        lines += [""]
    defaults = dict(re.findall(r"^  - (?:override )?/?(\w+): (\w+)", text, re.MULTILINE))
    for group, default in defaults.items():
        lines += [f"{group}=  (default {default})"]
        for name, file in _choices(conf, group).items():
            lines += [f"  {name:<{_WIDTH}} {_comment(file.read_text(encoding='utf-8'))}"]
    lines += [
        "",
        f"Every key of a file can be set: {_EXAMPLES.get(verb, 'out=PATH')}.",
        f"  python -m vidpred.{verb} --cfg job          shows the composed configuration",
    ]
    if verb == "run":
        lines += ["  python -m vidpred.run -m kl_anneal=none,monotonic,cyclical   runs a sweep"]
    return "\n".join(lines)


def explain_overrides(error: Exception, verb: str, conf: Path, arguments: Sequence[str]) -> str:
    """Which option cannot be, and which can: one screen.

    Args:
        error: what Hydra or OmegaConf said, for what is not understood here.
        verb: whose configuration was composed.
        conf: the folder of configurations.
        arguments: what the user wrote.
    """
    groups = {path.name for path in conf.iterdir() if path.is_dir()}
    overrides = [argument for argument in arguments if "=" in argument and not argument.startswith("-")]
    for override in overrides:
        key, _, value = override.partition("=")
        name = key.lstrip("+~").partition("@")[0]  # group@place=choice
        if name in groups:
            choices = sorted(_choices(conf, name))
            wrong = [choice for choice in value.split(",") if choice not in choices and choice != "null"]
            if wrong:
                listed = ", ".join(choices)
                return f"{name}={wrong[0]}: no such choice{_closest(wrong[0], choices)}\n  {name} is one of: {listed}"
    valid = [override for override in overrides if re.split("[@=]", override.lstrip("+~"))[0] in groups]
    tree = _compose(verb, conf, valid)
    for override in overrides:
        key = override.partition("=")[0]
        if key[:1] in "+~" or key.partition("@")[0] in groups or key.startswith("hydra."):
            continue
        unknown = _unknown(tree, key)
        if unknown is not None:
            place, word, choices = unknown
            where = f"{place} has" if place else "there are"
            return f"{override}: no option {key!r}{_closest(word, choices, place)}\n  {where}: {', '.join(choices)}"
    return "\n  ".join(line for line in str(error).strip().splitlines() if line.strip())


def _compose(verb: str, conf: Path, overrides: list[str]) -> Any:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException

    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(conf), version_base="1.3"):
        try:
            return compose(verb, overrides=[override for override in overrides if "," not in override])
        except HydraException:
            return compose(verb)


def _unknown(tree: Any, key: str) -> tuple[str, str, list[str]] | None:
    """The first part of a dotted key that does not exist: where, which, and what exists there."""
    from omegaconf import DictConfig

    node, place = tree, ""
    for part in key.split("."):
        if not isinstance(node, DictConfig):
            return None
        if part not in list(node):  # the node itself would deny what is still to be given, ???
            return place, part, sorted(str(name) for name in node if not str(name).startswith("_"))
        node = node._get_node(part)
        place = f"{place}.{part}" if place else part
    return None


def _closest(word: str, choices: Sequence[str], place: str = "") -> str:
    close = difflib.get_close_matches(word, choices, n=1)
    return f" (did you mean {f'{place}.{close[0]}' if place else close[0]!r}?)" if close else ""


def _choices(conf: Path, group: str) -> dict[str, Path]:
    return {file.stem: file for file in sorted((conf / group).glob("[!_]*.yaml"))}  # _ marks what files share


def _comment(text: str) -> str:
    """The first comment of a file that says something."""
    comments = (line[1:].strip() for line in text.splitlines() if line.startswith("#"))
    return next((comment for comment in comments if not comment.startswith("@")), "")


def _options(text: str) -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of the options that stand in a file itself, nested ones dotted."""
    section = ""
    for line in text.splitlines():
        found = re.match(r"^( *)(\w+):(?: +([^#]*?))?(?: +# (.*))?$", line)
        if not found:
            continue
        indent, name, value, meaning = found.groups()
        if name in ("defaults", "hydra") and not indent:
            section = "-"
        elif not indent:
            section = "" if value else name
        if section == "-" or (not indent and not value) or name == "run_dir":
            continue
        yield (f"{section}.{name}" if indent and section else name), value or "", meaning or ""
