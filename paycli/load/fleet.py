"""Generator processes of one run, as who started them sees them."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any, Final

from paycli.errors import StartError, Unreachable
from paycli.load.observed import Observed, observed_of, together
from paycli.load.plan import STOP, Plan, Turn, line_of

_START_S: Final = 60.0
_POLL_S: Final = 0.1

Show = Callable[[int, int], None]


class Fleet:
    """Several generators that share what a turn asks for. `stop` ends the turn, not what it saw."""

    def __init__(self, processes: list[subprocess.Popen[bytes]], stop: threading.Event) -> None:
        self._processes = processes
        self._said: queue.Queue[tuple[int, dict[str, Any]]] = queue.Queue()
        self.stop = stop
        self._listeners = [
            threading.Thread(target=self._listen, args=each, daemon=True)
            for each in enumerate(processes)
        ]
        for each in self._listeners:
            each.start()

    def _listen(self, number: int, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._said.put((number, json.loads(line)))
        self._said.put((number, {"gone": True}))

    def join(self) -> None:
        """Wait until all that was said is heard, once they have ended."""
        for each in self._listeners:
            each.join()

    def begin(self, plan: Plan) -> None:
        """Tell each its part of the plan. Raises StartError."""
        count = len(self._processes)
        for number in range(count):
            self._tell(number, line_of(replace(plan, first=number + 1, step=count)))
        for _ in range(count):
            try:
                _, said = self._said.get(timeout=_START_S)
            except queue.Empty:
                said = {}
            if "ready" not in said:
                raise StartError("A generator process did not start; try fewer --processes.")

    def turn(self, turn: Turn, show: Show) -> Observed:
        """Run one turn, and what all saw together. Raises Unreachable."""
        running = [
            (number, part)
            for number, part in enumerate(_parts(turn, len(self._processes)))
            if part.concurrency != 0
        ]
        for number, part in running:
            self._tell(number, line_of(part))
        left = {number for number, _ in running}
        seen: list[Observed] = []
        counts: dict[int, tuple[int, int]] = {}
        problem = ""
        while left:
            number, said = self._next(left)
            if "ok" in said:
                counts[number] = said["ok"], said["errors"]
                show(sum(ok for ok, _ in counts.values()), sum(bad for _, bad in counts.values()))
            if "observed" in said:
                seen.append(observed_of(said["observed"]))
            problem = said.get("error", problem)
            if not said.keys().isdisjoint(("observed", "error", "gone")):
                left.discard(number)
                self._tell(number, STOP)
        if problem or not seen:
            why = problem or "its generator is gone"
            raise Unreachable(f"Cannot connect to {turn.target}: {why}.")
        return together(seen)

    def _next(self, left: set[int]) -> tuple[int, dict[str, Any]]:
        has_told = False
        while True:
            if self.stop.is_set() and not has_told:
                has_told = True
                for number in left:
                    self._tell(number, STOP)
            try:
                return self._said.get(timeout=_POLL_S)
            except queue.Empty:
                continue

    def _tell(self, number: int, line: bytes) -> None:
        stdin = self._processes[number].stdin
        assert stdin is not None
        with suppress(OSError):  # one that is gone is told of by its stdout
            stdin.write(line)
            stdin.flush()


def _parts(turn: Turn, count: int) -> list[Turn]:
    """A turn, shared out: callers as evenly as they go, calls by the clock one after another."""
    callers = turn.concurrency
    rate = None if turn.rate is None else turn.rate / count
    return [
        replace(
            turn,
            concurrency=None if callers is None else (callers + count - 1 - number) // count,
            rate=rate,
            phase=number / count,
        )
        for number in range(count)
    ]


@contextmanager
def fleet_of(count: int, stop: threading.Event) -> Iterator[Fleet]:
    """So many generators, which end with the block. Raises StartError."""
    with ExitStack() as after, ExitStack() as stack:
        fleet = Fleet([_start(stack) for _ in range(count)], stop)
        after.callback(fleet.join)
        yield fleet


def _start(stack: ExitStack) -> subprocess.Popen[bytes]:
    try:
        process = subprocess.Popen(
            # -P: a random.py where the user stands is not the random that we mean
            [sys.executable, "-P", "-m", "paycli.load.generator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us, who ask it what it saw
            env={**os.environ, "GRPC_VERBOSITY": "NONE"},
        )
    except OSError as problem:
        raise StartError(f"A generator process cannot start: {problem.strerror}.") from problem
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
