"""Threads for the methods of servicers that are not async."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")

_Job = tuple["asyncio.Future[Any]", Callable[[], Any], Callable[[], None]]


class Threads:
    """At most so many threads, each made when it is first wanted.

    One that never ends keeps no server from its end; those of concurrent.futures do, for which a
    process waits.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._made = 0
        self._under_way = 0
        self._jobs: SimpleQueue[_Job] = SimpleQueue()

    async def run(
        self, function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """Call a function in one of them, which goes on when the caller does not wait any more."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        call = partial(contextvars.copy_context().run, function, *args, **kwargs)
        self._under_way += 1
        if self._made < min(self._under_way, self._most):
            self._made += 1
            name = f"servicer {self._made}"
            threading.Thread(target=_work, args=(self._jobs,), name=name, daemon=True).start()
        self._jobs.put((answer, call, self._over))
        return await answer

    def _over(self) -> None:
        self._under_way -= 1


def _work(jobs: SimpleQueue[_Job]) -> None:
    while True:
        answer, call, over = jobs.get()
        result, problem = None, None
        try:
            if not answer.cancelled():  # nobody waits for work that was not begun
                result = call()
        except BaseException as raised:  # noqa: BLE001 - it is the caller's
            problem = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            answer.get_loop().call_soon_threadsafe(_hand_over, answer, result, problem, over)


def _hand_over(
    answer: asyncio.Future[Any],
    result: object,
    problem: BaseException | None,
    over: Callable[[], None],
) -> None:
    over()
    if answer.done():  # cancelled
        return
    if isinstance(problem, StopIteration) or not isinstance(problem, Exception | None):
        # No future takes the one, and the others (SystemExit) would end the loop for all.
        said = RuntimeError(f"{type(problem).__name__} was raised by the method itself")
        problem = said.with_traceback(problem.__traceback__)
    if problem is not None:
        answer.set_exception(problem)
    else:
        answer.set_result(result)
