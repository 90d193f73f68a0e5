"""Bulk: orders without end, sent some at a time, and an account of what came of every row.

Rows are read as they are sent: what is in flight is in memory, and nothing else.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from paycli.client.doors import Door, Sent
from paycli.client.orders import Order, Rejected
from paycli.client.runs import Outcome
from paycli.errors import CheckFailed, DocumentError, NotTaken, PaycliError, RemoteError

_DONE: Final = (Outcome.PAID, Outcome.PAID_BEFORE, Outcome.DECLINED)
_GRACE_S: Final = 2.0  # for answers that are on their way when all is to end
_BAD: Final = (Outcome.REJECTED, Outcome.FAILED, Outcome.UNKNOWN)


class _Ended(Exception):
    """Leaves a reader that waits for rows which nobody wants any more."""


class Limits(NamedTuple):
    """How many rows a second, and after how many bad ones to end; None: no limit."""

    rate: float | None = None
    failures_max: int | None = None


class Bulk:
    """Sends orders through a door, and counts. What is read is told of, however it ends."""

    def __init__(
        self,
        door: Door,
        limits: Limits,
        why_to_end: Callable[[PaycliError], str],
        report: Callable[[Sent | Rejected], None],
        held: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """`report` hears of each row once, as it is known; `held` keeps interrupts away meanwhile.

        `why_to_end` says why after this problem the next row would fare no better; "" if it may.
        """
        self._door = door
        self._limits = limits
        self._why_to_end = why_to_end
        self._report = report
        self._held = held
        self._in_flight: dict[Future[list[Sent]], list[Order]] = {}
        self._chunk: list[Order] = []
        self._exit_codes = {0}
        self._due = 0.0
        self._judged: PaycliError | None = None
        self._broken: DocumentError | None = None
        self.totals: Counter[Outcome] = Counter()
        self.ended_because = ""

    @property
    def exit_code(self) -> int:
        """The worst that is true: 3 says that nothing was carried out at all."""
        codes = self._exit_codes
        if NotTaken.exit_code in codes and any(self.totals[each] for each in _DONE):
            codes = codes - {NotTaken.exit_code} | {RemoteError.exit_code}
        return max(codes)

    def send(self, rows: Iterable[Order | Rejected], end_calls: Callable[[], None]) -> None:
        """Send all, or until the service takes no more or too much goes wrong.

        Whatever breaks in here, `end_calls` ends those in flight, and they are told of.
        """
        with ThreadPoolExecutor(self._door.at_once) as self._pool:
            try:
                self._send(rows)
                while self._in_flight:
                    self._settle()
            finally:
                with self._held():
                    if self._in_flight:
                        self._end(end_calls)
                    for order in self._chunk:
                        self._tell(Sent(order, Outcome.NOT_SENT))
        if self._broken is not None:
            raise self._broken

    def idle(self) -> None:
        """The reader waits for rows: send those that it has brought, tell of those that are known."""
        if self._chunk:
            self._submit()
        known = {each for each in self._in_flight if each.done()}
        with self._held():
            self._tell_of(known)
        if self.ended_because:
            raise _Ended

    def _end(self, end_calls: Callable[[], None]) -> None:
        """Something broke: what is on its way gets a moment for its answer."""
        self._door.stop.set()
        wait(self._in_flight, _GRACE_S)
        end_calls()
        while self._in_flight:
            self._tell_of(self._known())

    def _send(self, rows: Iterable[Order | Rejected]) -> None:
        rate = self._limits.rate
        size = self._door.size if rate is None else max(1, min(self._door.size, int(rate / 10)))
        for row in self._readable(rows):
            if isinstance(row, Order):
                self._chunk.append(row)
                if len(self._chunk) == size:
                    self._submit()
            else:
                with self._held():
                    self._tell(row)
            if self.ended_because:
                return
        if self._chunk:
            self._submit()

    def _submit(self) -> None:
        """Send the chunk, no sooner than it may go, and wait until another one may."""
        orders = self._chunk
        if self._limits.rate:
            time.sleep(max(0.0, self._due - time.monotonic()))
            self._due = max(self._due, time.monotonic()) + len(orders) / self._limits.rate
        with self._held():
            self._in_flight[self._pool.submit(self._door.pay, orders)] = orders
            self._chunk = []
        while len(self._in_flight) >= self._door.at_once:
            self._settle()

    def _readable(self, rows: Iterable[Order | Rejected]) -> Iterator[Order | Rejected]:
        """Rows up to where the file cannot be read any further, or need not; those before are paid."""
        try:
            yield from rows
        except DocumentError as problem:
            self._broken = problem
        except _Ended:
            pass

    def _settle(self) -> None:
        """Tell of those that are known next."""
        known = self._known()
        with self._held():
            self._tell_of(known)

    def _known(self) -> set[Future[list[Sent]]]:
        return wait(self._in_flight, return_when=FIRST_COMPLETED).done

    def _tell_of(self, known: set[Future[list[Sent]]]) -> None:
        for each in known:
            del self._in_flight[each]
            for sent in each.result():
                self._tell(sent)

    def _tell(self, row: Sent | Rejected) -> None:
        self.totals[row.outcome] += 1
        if row.problem is not None:
            self._exit_codes.add(row.problem.exit_code)
        elif row.outcome in (Outcome.DECLINED, Outcome.NOT_SENT):
            self._exit_codes.add(CheckFailed.exit_code)
        self._report(row)
        if not self.ended_because:
            self.ended_because = self._why(row)
            if self.ended_because:
                self._door.stop.set()

    def _why(self, row: Sent | Rejected) -> str:
        problem, limit = row.problem, self._limits.failures_max
        if limit is not None and (bad := sum(self.totals[each] for each in _BAD)) >= limit:
            return f"{bad:,} rows failed or were rejected, as many as --max-failures allows"
        # One problem of a whole batch is looked at once: it may take a call.
        if problem is None or problem is self._judged or isinstance(row, Rejected):
            return ""
        if self._door.stop.is_set():  # who ends it knows why
            return ""
        self._judged = problem
        return self._why_to_end(problem)
