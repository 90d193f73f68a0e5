"""`paycli pay --from` end to end against the least work that the same rows can take.

The whole command is within the clock: it starts, reads, checks, sends and counts.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from paycli.scenarios.own_server import own_server
from tests.bench import ids
from tests.bench.batch import CUSTOMERS, tight_loop

ROUNDS = 3


class Found(NamedTuple):
    """Median rows a second of both, the median of their ratios, and the client's greatest memory."""

    subject: float
    baseline: float
    ratio: float
    rss_mb: float


def compare(folder: Path, payments: int, kind: str) -> Found:
    """Alternate rounds on a fresh server and on a fresh file; the first is not counted."""
    rows = folder / "rows.csv"
    rounds = []
    for number in range(ROUNDS + 1):
        _write(rows, payments, kind)
        with own_server() as server:
            seconds, rss_mb = _pay(rows, server.target)
        loop_s = tight_loop(folder / f"{number}.db", payments, kind)
        rounds.append((payments / seconds, payments / loop_s, loop_s / seconds, rss_mb))
    subject, baseline, ratio, memory = zip(*rounds[1:], strict=True)
    return Found(median(subject), median(baseline), median(ratio), max(memory))


def _write(path: Path, payments: int, kind: str) -> None:
    new_id = ids.KINDS[kind]()
    with path.open("w", encoding="utf-8") as file:
        file.write("order_id,amount,currency,user_id,idempotency_key\n")
        for n in range(payments):
            customer = f"customer-{n * 7919 % CUSTOMERS}"
            file.write(f"{new_id(n)},12.34,EUR,{customer},{new_id(n)}\n")


# Of its own: Linux counts the memory of whoever starts a process as that process's, and ours is large.
_MEASURED: Final = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def _pay(rows: Path, target: str) -> tuple[float, float]:
    """Seconds, and megabytes at most."""
    line = [sys.executable, "-m", "paycli", "pay", "--from", str(rows), "--target", target]
    started = time.perf_counter()
    measured = [sys.executable, "-c", _MEASURED, *line]
    peak = subprocess.run(measured, capture_output=True, text=True, check=True).stdout
    seconds = time.perf_counter() - started
    return seconds, int(peak) / 1024
