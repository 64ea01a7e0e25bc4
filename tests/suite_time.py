"""How long a plain run of the tests takes, in seconds and in starts of `manage.py check`: `make suite-time`.

The second figure says on any machine whether the suite has become slower. Nothing else should run meanwhile.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STARTS = 5
# Seconds after which a run is taken for one that never ends.
LONGEST = 3_600


def seconds(*arguments: str) -> float:
    """Run Python with these arguments, and return how long that took."""
    began = time.monotonic()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, timeout=LONGEST, check=True)
    return time.monotonic() - began


def main() -> None:
    """Measure both, and print a line."""
    start = statistics.median(seconds("manage.py", "check") for _ in range(STARTS))
    suite = seconds("-m", "pytest", "-q")
    sys.stdout.write(f"pytest: {suite:.0f} s, {suite / start:.0f} times manage.py check, which takes {start:.2f} s\n")


if __name__ == "__main__":
    main()
