"""The README says what the program does."""

import re
from pathlib import Path

import pytest

from vidpred import cli
from vidpred.configuration import compose, find_conf

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_group_and_every_choice_stands_in_the_table():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", README, re.MULTILINE))
    names = re.findall(r"^  - (\w+): ", (find_conf() / "run.yaml").read_text(), re.MULTILINE)
    groups = {name: {file.stem for file in (find_conf() / name).glob("[!_]*.yaml")} for name in names}
    assert {name: set(re.findall(r"`(\w+)`", row)) for name, row in rows.items()} == groups


def test_every_protocol_stands_in_its_table():
    rows = set(re.findall(r"^\| (\w+) \|", README.partition("## Numbers to publish")[2], re.MULTILINE))
    assert rows == {file.stem for file in (find_conf() / "protocol").glob("*.yaml")}


def test_the_first_choice_of_a_row_is_the_default():
    defaults = dict(re.findall(r"^  - (\w+): (\w+)", (find_conf() / "run.yaml").read_text(), re.MULTILINE))
    for group, row in re.findall(r"^\| `(\w+)` \| (.*?) \|", README, re.MULTILINE):
        if group not in ("experiment", "sweep"):
            assert re.findall(r"`(\w+)`", row)[0] == defaults[group], group


@pytest.mark.parametrize(
    ("verb", "line"),
    re.findall(rf"^python -m vidpred\.({'|'.join(cli.VERBS)}) (?!-m|resume)(.*?)(?: +#.*)?$", README, re.MULTILINE),
)
def test_commands_compose(verb, line):
    options = [cli._quote_path(option) for option in line.split()]
    compose(*options, *(["run_dir=unused"] if verb == "run" else []), verb=verb)


def test_pictures_and_links_are_there():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_verbs_are_modules():
    for verb in cli.VERBS:
        assert (ROOT / "vidpred" / f"{verb}.py").is_file()
        assert f"vidpred.{verb}" in README
