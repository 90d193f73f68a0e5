"""Signals that end a command, as one exception that unwinds it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

from paycli.cli import output

_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Before the next call waits for its answer: one after the other would always be met in the same place.
_SOON_S: Final = 5e-5
_STANDS_S: Final = 0.001
_LOCKS: Final = (threading.Condition.__enter__.__code__, threading.Condition.__exit__.__code__)
_WAITS: Final = threading.Condition.wait.__code__


class Interrupts:
    """Whether a signal has come, and whether it has to wait."""

    def __init__(self) -> None:
        self._held = False
        self._waits = False
        self._then: Callable[[], None] | None = None

    @contextmanager
    def held(self, then: Callable[[], None] | None = None) -> Iterator[None]:
        """What the block begins it ends; a signal that comes meanwhile interrupts right after it.

        `then` is called when it comes: it may ask the block to end.
        """
        self._held, self._then = True, then
        try:
            yield
        finally:
            self._held = False
        if self._waits:
            self._waits = False
            raise KeyboardInterrupt

    def arrive(self) -> None:
        """A signal. Raises KeyboardInterrupt, now or at the end of the block."""
        if not self._held:
            raise KeyboardInterrupt
        self._waits = True
        if self._then is not None:
            self._then()


@contextmanager
def termination_as_interrupt() -> Iterator[Interrupts]:
    """Let SIGTERM and a closed terminal unwind like Ctrl-C, as KeyboardInterrupt.

    The first one does; those that follow, from somebody in a hurry, cut nothing off that it began.
    """
    endings = [
        number
        for number in _ENDINGS
        if signal.getsignal(number) is not signal.SIG_IGN  # nohup, or a shell's background job
    ]
    interrupts = Interrupts()
    place: tuple[FrameType, int] | None = None
    since = 0.0

    def interrupt(number: int, frame: FrameType | None) -> None:
        output.after_signal(is_shown=number == signal.SIGINT)
        for each in endings:
            signal.signal(each, signal.SIG_IGN)
        arrive(number, frame)

    def arrive(_number: int, frame: FrameType | None) -> None:
        nonlocal place, since
        now, here = time.monotonic(), None if frame is None else (frame, frame.f_lasti)
        if here != place:
            place, since = here, now
        if frame is None or _may_end(frame, stands=now - since > _STANDS_S):
            place = None
            interrupts.arrive()
        else:
            signal.setitimer(signal.ITIMER_REAL, _SOON_S)

    before = {number: signal.signal(number, interrupt) for number in endings}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, arrive)
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _may_end(frame: FrameType, *, stands: bool) -> bool:
    """Whether an exception right there leaves nothing half-done that closing a channel waits for.

    A lock of grpc's that nobody gives back stops the thread that brings all answers, and a call
    that is only half begun never ends.
    """
    code = frame.f_code
    if code in _LOCKS:
        return False
    if code is _WAITS:  # from "gotit" on it takes its lock again, whatever happens
        return "gotit" in frame.f_locals or "gotit" not in code.co_varnames
    within: FrameType | None = frame
    while within is not None and not within.f_globals.get("__name__", "").startswith("grpc."):
        within = within.f_back
    return within is None or stands  # where it stands still it waits for an answer


def end_as_process_1() -> None:
    """Let signals end process 1 of a container, too, before or without handlers of a command's own.

    The kernel keeps from it whatever it does not handle, and a stop would wait for kill -9.
    """

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        os._exit(128 + number)

    if os.getpid() == 1:
        for each in _ENDINGS:
            if signal.getsignal(each) is signal.SIG_DFL:
                signal.signal(each, end)
