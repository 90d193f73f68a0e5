"""The loop that servers run in."""

from __future__ import annotations

from collections.abc import Coroutine

from paycli.cli import garbage


def run(main: Coroutine[object, object, None]) -> None:
    """On uvloop, where that is to be had."""
    import asyncio
    import importlib.util

    factory = None
    if importlib.util.find_spec("uvloop"):  # not on every platform
        import uvloop

        factory = uvloop.new_event_loop
    garbage.serving()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)
