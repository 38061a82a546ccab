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
    width = max(map(len, found))
    print(f"\n{'ratio':{width}}   now    stored")
    for name, value in found.items():
        before = stored.get(name)
        fallen = before is not None and value < (1 - SLOWER) * before
        shown = "     –" if before is None else f"{before:6.2f}"
        print(f"{name:{width}}   {value:6.2f} {shown}{f'   {1 - value / before:.0%} worse' if fallen else ''}")
    return [name for name, value in found.items() if value < (1 - SLOWER) * stored.get(name, 0.0)]


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
