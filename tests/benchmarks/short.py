"""The short set: every ratio that should not fall, beside the one that is stored.

    python tests/benchmarks/short.py [--store]

Ratios compare two sides that were measured in turns on this machine, so that machines can be compared; absolute times
cannot. A ratio that is more than 15 % below the stored one is told, and ends the command with code 1. ``--store`` keeps
what was measured, with machine, date and versions.
"""

import json
import sys
import time
from pathlib import Path

import lab_step
import loop
import memory
import rollout
import sampling
from machine import about

STORED = Path(__file__).with_name("ratios.json")
SLOWER = 0.15  # of the stored ratio, which is worth a word


def measure() -> dict[str, float]:
    """All ratios; the bigger the better."""
    found: dict[str, float] = {}
    for part in (lab_step, rollout, memory, loop, sampling):
        started = time.perf_counter()
        print(f"\n{part.__name__}: {part.__doc__.splitlines()[0]}", flush=True)
        found |= part.main(short=True)
        print(f"({time.perf_counter() - started:.0f} s)", flush=True)
    return found


def compare(found: dict[str, float], stored: dict[str, float]) -> list[str]:
    """Print the table; the names of what has fallen."""
    names, fallen = list(found | stored), []
    width = max(map(len, names))
    print(f"\n{'ratio':{width}}   now    stored")
    for name in names:
        now, before = found.get(name), stored.get(name)
        shown = ["     –" if value is None else f"{value:6.2f}" for value in (now, before)]
        worse = 0.0 if now is None or before is None else 1 - now / before
        if worse > SLOWER:
            fallen.append(name)
        print(f"{name:{width}}   {' '.join(shown)}{f'   {worse:.0%} worse' if worse > SLOWER else ''}")
    return fallen


def main() -> int:
    """Measure, compare, and store where that is asked for."""
    started, here = time.perf_counter(), about()
    found = measure()
    before = json.loads(STORED.read_text()) if STORED.is_file() else {"about": {}, "ratios": {}}
    fallen = compare(found, before["ratios"])
    print(f"\n{time.perf_counter() - started:.0f} s; {here}; stored: {before['about']}")
    if "--store" in sys.argv:
        STORED.write_text(json.dumps({"about": here, "ratios": found}, indent=2) + "\n")
        print(f"stored in {STORED}")
        return 0
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
