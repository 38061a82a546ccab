"""What ``make bench`` concludes from its ratios; nothing is timed here."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))

import drift
import machine
import short


def test_what_got_slower_by_more_than_fifteen_percent_is_told(capsys):
    stored = {"steady": 2.0, "a little": 2.0, "much": 2.0, "gone": 1.0}
    found = {"steady": 2.3, "a little": 1.71, "much": 1.69, "new": 0.5}
    assert short.compare(found, stored) == ["much"]
    told = {line.split("  ")[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert told["much"].endswith("16% worse")
    assert [name for name, line in told.items() if "worse" in line] == ["much"]
    assert told["new"].split() == ["new", "0.50", "–"]
    assert told["gone"].split() == ["gone", "–", "1.00"]


def test_a_falling_ratio_ends_the_command_with_one(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(short, "STORED", tmp_path / "ratios.json")
    for ratio, options, code in ((2.0, ["--store"], 0), (1.0, [], 1), (1.0, ["--store"], 0), (1.0, [], 0)):
        monkeypatch.setattr(short, "measure", lambda ratio=ratio: {"one": ratio})
        monkeypatch.setattr(sys, "argv", ["short.py", *options])
        assert short.main() == code
    assert machine.find_processor() in capsys.readouterr().out


@pytest.mark.parametrize(("told", "name"), [
    ("model name\t: Abacus 3000\nflags\t\t: fpu avx512_bf16 amx_bf16\n", "Abacus 3000 (amx_bf16)"),
    ("model name\t: Abacus 3000\nflags\t\t: fpu avx512_bf16\n", "Abacus 3000 (avx512_bf16)"),
    ("model name\t: Abacus\nflags\t\t: fpu avx2\n", "Abacus"),
    ("", "Z80"),
])  # fmt: skip
def test_a_processor_is_named_with_how_it_computes(monkeypatch, tmp_path, told, name):
    monkeypatch.setattr(machine, "_PROCESSOR", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(told)
    monkeypatch.setattr(machine.platform, "processor", lambda: "Z80")
    assert machine.find_processor() == name


def test_a_fall_has_a_standard_error_where_there_are_several_clips():
    assert drift.with_error(np.array([-1.0])).split() == ["-1.00"]
    assert drift.with_error(np.array([-1.0, -2.0])).split() == ["-1.50", "±0.50"]
