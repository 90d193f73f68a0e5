"""A generator process: `python -m paycli.load.generator`. Lines of JSON in and out.

In: a plan, then turns, each followed by a line "stop", which ends it if it still runs. Out: {"ready"}, then for each turn
{"ok", "errors"} now and then, and {"observed"} at its end. It ends with its stdin.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
import time
from time import monotonic
from typing import Any, Final

import grpc

from paycli.errors import PaycliError
from paycli.load.callers import KINDS
from paycli.load.frames import Answer
from paycli.load.observed import Bin, Observed
from paycli.load.plan import STOP, Plan, Turn
from paycli.load.templates import Template

_TICK_S: Final = 0.001
_PROGRESS_S: Final = 0.25
_CONNECTIONS: Final = 4
_AFTER_FAILURE_S: Final = 0.02  # a server that refuses at once is not to be drowned
_NAMES: Final = {code.value[0]: code.name for code in grpc.StatusCode}


class TurnRun:
    """One turn. In the closed loop an answer makes the next call, in the open one the clock does."""

    def __init__(self, plan: Plan, turn: Turn, template: Template, stop: asyncio.Event) -> None:
        self._plan, self._turn, self._template, self._stop = plan, turn, template, stop
        self._loop = asyncio.get_running_loop()
        count = max(1, round(turn.seconds / turn.bin_s))
        self._seen = Observed(turn.seconds, turn.bin_s, [Bin() for _ in range(count)])
        connections = min(_CONNECTIONS, turn.concurrency or _CONNECTIONS)
        self._caller = KINDS[plan.loader](plan, turn.target, connections, self._on_answer)
        self._begin = self._end = 0.0
        self._open_calls = 0
        self._progress_at = 0.0

    async def run(self) -> Observed:
        """Load for as long as it was told, or until it is to stop. Raises OSError."""
        await self._caller.open()
        started = monotonic()
        self._begin = started + self._turn.warm_up_s
        self._end = self._begin + self._turn.seconds
        for _ in range(self._turn.concurrency or 0):
            self._call(monotonic())
        cpu = await self._until_end(started)
        ended = min(monotonic(), self._end)
        await self._drain()
        await self._caller.close()
        self._seen.seconds = max(ended - self._begin, 0.0)
        self._seen.cpu_shares = [cpu / max(ended - self._begin, _TICK_S)]
        return self._seen

    async def _until_end(self, started: float) -> float:
        """The processor seconds that it took, without those of the warm-up."""
        cpu, sent = time.process_time(), 0
        is_warm = False
        first = started + self._turn.phase / (self._turn.rate or 1.0)
        while (now := monotonic()) < self._end and not self._stop.is_set():
            if not is_warm and now >= self._begin:
                is_warm, cpu = True, time.process_time()
            if self._turn.rate is not None:
                sent = self._send_due(first, sent, now)
            self._caller.flush()
            self._tell(now)
            await asyncio.sleep(_TICK_S)
        self._end = min(self._end, monotonic())
        return time.process_time() - cpu

    def _send_due(self, first: float, sent: int, now: float) -> int:
        assert self._turn.rate is not None
        while (due := first + sent / self._turn.rate) <= now and due < self._end:
            if due >= self._begin:
                self._seen.late.add(round((monotonic() - due) * 1e6))
            self._call(due)
            sent += 1
        return sent

    async def _drain(self) -> None:
        """Wait for the answers to what was sent; its deadline bounds that."""
        last = monotonic() + self._plan.timeout_s + 1
        while self._open_calls and monotonic() < last:
            self._caller.flush()
            await asyncio.sleep(_TICK_S)

    def _call(self, due: float) -> None:
        self._open_calls += 1
        self._caller.call(self._template(), due)

    def _call_again(self) -> None:
        if (now := monotonic()) < self._end and not self._stop.is_set():
            self._call(now)

    def _on_answer(self, answer: Answer) -> None:
        self._open_calls -= 1
        now = monotonic()
        self._note(answer, now - answer.seconds, now)
        if self._turn.concurrency is not None:
            if answer.status == 0:
                self._call_again()
            else:
                self._loop.call_later(_AFTER_FAILURE_S, self._call_again)

    def _note(self, answer: Answer, due: float, now: float) -> None:
        is_ok = answer.status == 0
        if self._begin <= now < self._end:
            ended = self._bin(now)
            if is_ok:
                ended.ok += 1
            else:
                ended.errors += 1
        if self._begin <= due < self._end:
            name = _NAMES.get(answer.status, "UNKNOWN")
            self._seen.statuses[name] += 1
            if is_ok:
                self._bin(due).latencies.add(round(answer.seconds * 1e6))
                self._seen.answer_bytes = max(self._seen.answer_bytes, len(answer.body))

    def _bin(self, at: float) -> Bin:
        number = int((at - self._begin) / self._turn.bin_s)
        return self._seen.bins[min(number, len(self._seen.bins) - 1)]

    def _tell(self, now: float) -> None:
        if now >= self._progress_at:
            self._progress_at = now + _PROGRESS_S
            bins = self._seen.bins
            _say({"ok": sum(each.ok for each in bins), "errors": sum(e.errors for e in bins)})


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(value)}\n")
    sys.stdout.flush()


async def _main() -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(
        lambda _, __: None
    )  # a peer that speaks no HTTP/2 loses its connection
    lines = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    plan = Plan(**json.loads(await lines.readline()))
    template = plan.template()
    _say({"ready": True})
    while line := await lines.readline():
        if line == STOP:  # one more than was needed
            continue
        stop = asyncio.Event()
        turn = asyncio.create_task(TurnRun(plan, Turn(**json.loads(line)), template, stop).run())
        listening = asyncio.create_task(lines.readline())
        await asyncio.wait((turn, listening), return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        try:
            _say({"observed": (await turn).as_dict()})
        except (OSError, PaycliError) as problem:  # a TimeoutError is one
            _say({"error": str(problem) or "no connection in time"})
        if not await listening:
            return


def main() -> None:
    """On uvloop, where that is to be had."""
    factory = None
    if importlib.util.find_spec("uvloop"):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_main())


if __name__ == "__main__":
    main()
