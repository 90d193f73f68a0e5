"""Signals that end a command, as one exception that unwinds it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

from paycli.cli import output

_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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

    def interrupt(number: int, _frame: FrameType | None) -> None:
        output.after_signal(is_shown=number == signal.SIGINT)
        for each in endings:
            signal.signal(each, signal.SIG_IGN)
        interrupts.arrive()

    before = {number: signal.signal(number, interrupt) for number in endings}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
