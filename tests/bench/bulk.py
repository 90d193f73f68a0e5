"""`paycli pay --from` end to end against the least work that the same rows can take.

The whole command is within the clock: it starts, reads, checks, sends and counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

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


def _pay(rows: Path, target: str) -> tuple[float, float]:
    """Seconds, and megabytes at most."""
    line = [sys.executable, "-m", "paycli", "pay", "--from", str(rows), "--target", target]
    started = time.perf_counter()
    with subprocess.Popen(line, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return seconds, usage.ru_maxrss / 1024
