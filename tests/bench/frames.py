"""How many right answers a second some callers get, from a loader that is not the limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from paycli.load.frames import Answer, Connection, connected

_LAST_S: Final = 1.0  # for the answers to what was asked last


async def answers_a_second(
    target: str,
    path: str,
    in_flight: int,
    seconds: float,
    new_message: Callable[[], bytes],
    is_right: Callable[[bytes], bool],
) -> float:
    """The rate for so many callers over four connections, each of whom waits for the answer before.

    Raises AssertionError if any answer was not right: its caller has given up by then.
    """
    loop, answered = asyncio.get_running_loop(), 0
    end = loop.time() + seconds
    connections: list[Connection] = []
    wrong: list[Answer] = []  # raised where it is seen, it would be asyncio's to log

    def on_answer(of: int, answer: Answer) -> None:
        nonlocal answered
        if answer.status != 0 or not is_right(answer.body):
            wrong.append(answer)
        elif loop.time() < end:
            answered += 1
            connections[of].call(new_message(), loop.time())

    connections += [await connected(target, path, partial(on_answer, each)) for each in range(4)]
    for number in range(in_flight):
        connections[number % 4].call(new_message(), loop.time())
    for each in connections:
        each.flush()
    await asyncio.sleep(seconds + _LAST_S)
    for each in connections:
        each.transport.close()
    assert not wrong, f"{len(wrong)} answers are wrong, the first is {wrong[0]}"
    return answered / seconds
