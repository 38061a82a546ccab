import pytest
import torch

from vidpred.runfolder import RunFolder
from vidpred.training.faults import LostProcessError, MemoryShortError, told_in_words

SHORT, LOST = (MemoryShortError, "data.batch_size"), (LostProcessError, "resume=")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore"), SHORT),
        (RuntimeError("alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried"), SHORT),
        (RuntimeError("gloo/transport/tcp/pair.cc:545] Read error: Connection reset by peer"), LOST),
        (RuntimeError("NCCL error: Connection closed by peer"), LOST),
    ],
)
def test_faults_from_outside_are_one_line_with_advice(tmp_path, error, told):
    kind, words = told
    with pytest.raises(kind) as caught, told_in_words(RunFolder(tmp_path)):
        raise error
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error


def test_a_real_lack_of_memory_is_told(tmp_path):
    with pytest.raises(MemoryShortError), told_in_words(RunFolder(tmp_path)):
        torch.empty(2**46)


def test_faults_of_our_own_stay_as_they_are(tmp_path):
    with pytest.raises(RuntimeError, match="shapes differ") as caught, told_in_words(RunFolder(tmp_path)):
        raise RuntimeError("shapes differ")
    assert type(caught.value) is RuntimeError
