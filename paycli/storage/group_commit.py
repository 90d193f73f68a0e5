"""Group commit: requests that arrive while a commit runs form the next batch.

One durable commit then serves many callers: the busier the server, the larger the batches. Each
caller gets its own outcome. A caller that gave up, or whose deadline passed, is dropped before the
write; more waiting than the bounds allow is refused at once.

A batch begins when the one before it has ended, or at once when it is full: then the writer finds
its next work waiting.

When nobody comes, an empty batch now and then tells whether the store still takes writes. While it
does not, everybody is refused at once, and it is tried again until it does or is found broken.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import chain, repeat
from typing import Final, NamedTuple

from paycli.errors import (
    DeadlinePassed,
    Draining,
    OutcomeOpen,
    Overloaded,
    PaymentError,
    StoreUnavailable,
)
from paycli.payments.batch import Outcome
from paycli.payments.commands import Change, Command, Create, Declined, Intend, Resume
from paycli.payments.store import CommitObserver, Health, OnHealth
from paycli.storage.crowd import Crowd
from paycli.storage.failures import CommitFailed, CommitLost, CommitRefused

BATCH_MAX: Final = 1000
_UNDER_WAY_MAX: Final = 2
WAITING_MAX: Final = 20_000
WAITING_BYTES_MAX: Final = 16 * 1024 * 1024

_REST: Final = 350  # bytes of a command besides the texts that its caller chose

_QUIET_S: Final = 0.003  # nobody came for so long: nobody will
_WAIT_MAX_S: Final = 0.010

# What begins something new; the rest ends what was begun, and has its place already.
_BEGINS: Final = (Create, Change, Declined, Intend, Resume)

_BEAT_S: Final = 1.0  # an idle store is tried so often
_SLOW_S: Final = 5.0  # a commit that takes longer keeps new callers out
_TRY_AGAIN_S: Final = (0.05, 0.2, 0.5)  # and the last of them again and again
_LOST_MAX: Final = 5  # commits lost in a row: this will not mend itself

_log = logging.getLogger(__name__)

Outcomes = list[Outcome]


class _Waiting(NamedTuple):
    """What one caller wants committed together, and how long it waits (loop time)."""

    commands: Sequence[Command]
    size: int
    deadline: float
    future: asyncio.Future[Outcomes]


class GroupCommit:
    """Feeds one `commit` with batches; belongs to the event loop that it was made in."""

    def __init__(
        self,
        commit: Callable[[Sequence[Command]], Awaitable[Outcomes]],
        on_health: OnHealth,
        observer: CommitObserver | None = None,
        *,
        full: int = BATCH_MAX,
    ) -> None:
        """`commit` raises CommitRefused, CommitLost or CommitFailed.

        With `full` commands waiting, another batch begins beside the one that is under way.
        """
        self._commit = commit
        self._full = full
        self._on_health = on_health
        self._observer = observer
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Waiting] = deque()
        self._count = 0
        self._bytes = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._wake_at = 1.0
        self._refusal: PaymentError | None = None
        self._ending = False
        self._recovering: asyncio.Task[None] | None = None
        self._task = self._loop.create_task(self._run(), name="group commit")
        self._task.add_done_callback(partial(self._ended, ()))
        self._heart = self._loop.create_task(self._beat(), name="group commit heartbeat")
        if observer is not None:
            observer.opened(lambda: self._count)

    def submit(
        self, commands: Sequence[Command], timeout_s: float | None
    ) -> asyncio.Future[Outcomes]:
        """Queue commands that share a commit; the future is their outcomes in order.

        Raises, or fails the future with, the PaymentError that concerns them all.
        """
        if self._refusal is not None:
            raise self._refusal
        if timeout_s is not None and timeout_s <= 0:
            raise _too_late()
        size = sum(map(_size_of, commands))
        is_full = (
            self._count + len(commands) > WAITING_MAX or self._bytes + size > WAITING_BYTES_MAX
        )
        if is_full and any(isinstance(each, _BEGINS) for each in commands):
            raise Overloaded("More payments are waiting than this server takes; try again shortly.")
        future: asyncio.Future[Outcomes] = self._loop.create_future()
        deadline = math.inf if timeout_s is None else self._loop.time() + timeout_s
        self._queue.append(_Waiting(commands, size, deadline, future))
        self._count += len(commands)
        self._bytes += size
        if len(self._queue) >= self._wake_at or self._count >= self._full:
            self._wake.set()
        return future

    def stop(self, failure: BaseException) -> None:
        """Fail-stop: after a failed commit nothing can be promised, so nothing more is taken."""
        if self._ending:
            return  # it failed before, or a batch failed with the one before it
        told = isinstance(failure, CommitFailed | CommitLost)  # which say what it is in a sentence
        _log.critical(
            "the store stopped taking payments until a restart: %s",
            failure,
            exc_info=None if told else failure,
        )
        self._ending = True
        self._refuse_all(f"{_said(failure)} The server takes no more payments.")
        self._on_health(Health.BROKEN)

    async def close(self) -> None:
        """Refuse what comes from now on, commit what is waiting, and stop."""
        self._ending = True
        self._refusal = self._refusal or Draining("The server is stopping; try again shortly.")
        self._wake.set()
        for each in filter(None, (self._heart, self._recovering)):
            each.cancel()
        await asyncio.wait((self._task,))

    def _pause(self, problem: str) -> None:
        """Keep callers out; nothing is begun for them that might have to be called unknown."""
        if self._refusal is None:
            _log.error("the store takes no payments for now: %s", problem)
            self._refuse_all(f"{problem} Nothing was written; try again shortly.")
            self._on_health(Health.PAUSED)

    def _resume(self) -> None:
        if self._refusal is not None and not self._ending:
            _log.warning("the store takes payments again")
            self._refusal = None
            self._on_health(Health.SERVING)

    def _refuse_all(self, why: str) -> None:
        self._refusal = StoreUnavailable(why)
        for each in self._queue:
            _refuse(each, self._refusal)
        self._queue.clear()
        self._count = self._bytes = 0
        self._wake.set()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_S)
            if not self._under_way and self._refusal is None:
                self._begin([])

    def _recover(self) -> None:
        if self._recovering is None and not self._ending:
            self._recovering = self._loop.create_task(self._try_again(), name="store recovery")

    async def _try_again(self) -> None:
        """Until the store takes an empty batch, or shows that it never will."""
        lost = 0
        for pause in chain(_TRY_AGAIN_S, repeat(_TRY_AGAIN_S[-1])):
            await asyncio.sleep(pause)
            try:
                await self._commit(())
            except CommitRefused:
                continue
            except CommitLost as failure:
                lost += 1
                if lost < _LOST_MAX:
                    continue
                self.stop(failure)
            except CommitFailed as failure:
                self.stop(failure)
            break
        self._recovering = None
        self._resume()

    async def _run(self) -> None:
        crowd = Crowd()
        while self._queue or not self._ending:
            if not self._may_begin():
                await self._woken(at=math.inf if self._under_way else 1)
                continue
            await self._wait_for(crowd.awaited(len(self._queue)))
            batch = self._next_batch()
            crowd.served(len(batch))
            if batch:
                self._begin(batch)
        if self._under_way:
            await asyncio.wait(self._under_way)

    def _may_begin(self) -> bool:
        if not self._under_way:
            return bool(self._queue)
        return self._count >= self._full and len(self._under_way) < _UNDER_WAY_MAX

    def _begin(self, batch: list[_Waiting]) -> None:
        task = self._loop.create_task(self._carry_out(batch), name="commit")
        self._under_way.add(task)
        task.add_done_callback(partial(self._ended, batch))

    async def _carry_out(self, batch: list[_Waiting]) -> None:
        slow = self._loop.call_later(_SLOW_S, self._pause, "The store has not answered for 5 s.")
        began = self._loop.time()
        try:
            outcomes = await self._commit([one for each in batch for one in each.commands])
        finally:
            slow.cancel()
        if self._observer is not None and outcomes:
            self._observer.committed(len(outcomes), self._loop.time() - began)
        start = 0
        for commands, _, _, future in batch:
            if not future.done():  # else the caller gave up meanwhile
                future.set_result(outcomes[start : start + len(commands)])
            start += len(commands)
        if self._refusal is not None and self._recovering is None:
            self._resume()

    async def _wait_for(self, callers: float) -> None:
        """Until so many are waiting, or no more come."""
        give_up = self._loop.time() + _WAIT_MAX_S
        while len(self._queue) < callers and self._count < self._full:
            before = len(self._queue)
            quiet = self._loop.call_later(_QUIET_S, self._wake.set)
            await self._woken(at=callers)
            quiet.cancel()
            if len(self._queue) == before or self._loop.time() > give_up:
                return

    async def _woken(self, at: float) -> None:
        """Until `at` callers or a full batch are waiting, or something else happened."""
        self._wake_at = at
        self._wake.clear()
        await self._wake.wait()

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        commands = 0
        now = self._loop.time()
        while self._queue and commands < BATCH_MAX:
            each = self._queue.popleft()
            self._count -= len(each.commands)
            self._bytes -= each.size
            if each.future.cancelled():
                continue
            if each.deadline <= now:
                each.future.set_exception(_too_late())
                continue
            batch.append(each)
            commands += len(each.commands)
        return batch

    def _ended(self, batch: Sequence[_Waiting], task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._wake.set()
        failure = None if task.cancelled() else task.exception()
        if failure is None:
            return
        refusal: PaymentError = OutcomeOpen(
            f"{_said(failure)} Whether this was written is not known; send it again with the same "
            "key once the service is back.",
            reason="STORE_OUTCOME_UNKNOWN",
        )
        if isinstance(failure, CommitRefused):
            refusal = StoreUnavailable(f"{failure} Nothing was written; try again shortly.")
        for each in batch:
            _refuse(each, refusal)
        if isinstance(failure, CommitRefused | CommitLost):
            self._pause(str(failure))
            self._recover()
        else:
            self.stop(failure)


def _said(failure: BaseException) -> str:
    ours = isinstance(failure, CommitFailed | CommitLost)
    return str(failure) if ours else "The store failed."


def _refuse(waiting: _Waiting, refusal: PaymentError) -> None:
    if not waiting.future.done():
        waiting.future.set_exception(refusal)


def _too_late() -> DeadlinePassed:
    return DeadlinePassed("The deadline passed before the payment was begun; nothing was written.")


def _size_of(command: Command) -> int:
    """About the memory that a waiting command takes, in bytes: its texts, and all the rest."""
    asked = command.operation if isinstance(command, Declined | Intend) else command
    size = _REST + len(asked.request_key)
    if isinstance(asked, Create):
        return size + len(asked.order_id) + len(asked.customer_id)
    if isinstance(asked, Change):
        return size + len(asked.payment_id) + len(asked.reason)
    return size
