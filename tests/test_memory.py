import os
import subprocess
import sys

import pytest

from vidpred import memory

CODE = """
import resource, sys
import torch
from vidpred.memory import keep_memory
kept = keep_memory() if sys.argv[1] == "keep" else False
before = None
for turn in range(20):
    torch.ones(10_000_000).add(1)
    before = before or (resource.getrusage(resource.RUSAGE_SELF).ru_minflt if turn == 4 else None)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(word, **environment):
    """Whether memory is kept, and pages that a process was given anew for fifteen times two blocks of 40 MB."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", CODE, word], check=True, capture_output=True, text=True,
                          env=plain | environment)  # fmt: skip
    kept, pages = done.stdout.split()
    return kept == "True", int(pages)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have other allocators")
def test_large_blocks_are_used_again_without_new_pages():
    _, plain = faults("plain")
    kept, fewer = faults("keep")
    assert kept
    assert plain > 200_000
    assert fewer < plain / 10


def test_what_the_user_has_set_up_stays():
    assert faults("keep", MALLOC_ARENA_MAX="2")[0] is False


def test_other_systems_and_libraries_are_left_alone(monkeypatch):
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert not memory.keep_memory()
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", None)
    assert not memory.keep_memory()


def test_every_command_keeps_memory(tmp_path):
    code = "import sys; from vidpred import cli; cli.keep_memory = lambda: print('kept'); " \
           "sys.argv = ['report', 'runs=x']; cli.launch('report', lambda cfg: None)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "kept\n"
