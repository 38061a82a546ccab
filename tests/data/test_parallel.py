import operator
import sys

import pytest

from vidpred.data.parallel import map_processes


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("jobs", [3, 40])
def test_results_come_in_the_order_of_the_jobs_behind_a_plain_line(capsys, workers, jobs):
    results = map_processes(operator.neg, range(jobs), title="Turning", workers=workers)
    assert list(results) == [-number for number in range(jobs)]
    assert capsys.readouterr().out == ("Turning …\n" if jobs == 40 else "")


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert list(map_processes(operator.neg, range(40), title="Turning", workers=1)) == [-number for number in range(40)]
    assert "Turning" in capsys.readouterr().out


def test_what_a_job_raises_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        list(map_processes((1).__truediv__, [0, 1], title="Dividing", workers=1))
