"""Processes that serve one port, and the supervisor that starts them.

They listen with SO_REUSEPORT, so the kernel deals out the connections among them. A worker that ends is
started again, later each time. SIGUSR2 puts a new one in the place of each, one after the other: the new
one listens before the old one stops.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from paycli.errors import StartError
from paycli.host.processes.parent import end_with_parent
from paycli.host.processes.systemd import BOUND, SOCKET, notify

STARTED: Final = "X_STARTED="  # and what there is to say of it, on one line

_READY: Final = "READY=1"
_PAUSE_S: Final = 0.1  # before a worker is started again for the first time
_PAUSE_MAX_S: Final = 10.0
_WAIT_MAX_S: Final = 10.0  # for a connection to become as old as it may
_STEADY_S: Final = 30.0  # who lived so long is started again as if for the first time
_FAILED: Final = 1
_TOLD: Final = (1, 2)  # how a command ends that has said why
_BY_SIGTERM: Final = 128 + signal.SIGTERM
_STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_NEWS_BYTES: Final = 65_536

Say = Callable[[str], None]


class _Worker:
    """A process, what it has told so far, and how it ended."""

    def __init__(self, process: Process, news: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.pid = process.pid
        self.began = loop.time()
        self.started = ""
        self.is_replaced = False
        self._process = process
        self._bound, self._ready = asyncio.Event(), asyncio.Event()
        self.ended = loop.create_task(self._end(news))
        loop.add_reader(news, self._listen, news)

    async def is_bound(self) -> bool:
        """Wait until its addresses are its own; False when it has ended instead."""
        return await self._has(self._bound)

    async def is_ready(self) -> bool:
        """Wait until it takes calls; False when it has ended instead."""
        return await self._has(self._ready)

    @property
    def was_ready(self) -> bool:
        """Whether it has taken calls."""
        return self._ready.is_set()

    def send(self, number: int) -> None:
        """A signal, unless it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def _end(self, news: socket.socket) -> int:
        code = await self._process.wait()
        asyncio.get_running_loop().remove_reader(news)
        news.close()
        return code if code >= 0 else 128 - code  # as a shell tells of signals

    def _listen(self, news: socket.socket) -> None:
        for line in news.recv(_NEWS_BYTES).decode().split("\n"):
            if line == BOUND:
                self._bound.set()
            elif line == _READY:
                self._ready.set()
            elif line.startswith(STARTED):
                self.started = line.removeprefix(STARTED)

    async def _has(self, event: asyncio.Event) -> bool:
        happening = asyncio.ensure_future(event.wait())
        await asyncio.wait((happening, self.ended), return_when=asyncio.FIRST_COMPLETED)
        happening.cancel()
        return event.is_set()


def _temporary_folder() -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory(prefix="paycli-")
    except OSError as problem:
        raise StartError(
            f"--workers needs a folder for temporary files (TMPDIR): {problem.strerror}."
        ) from problem


@dataclass(frozen=True, slots=True)
class Plan:
    """How many workers, and how they give way.

    One that has not drained after `patience_s` is killed; `age_s` is the greatest age of a connection,
    if it has one. When `exclusive`, a worker is ready only once the one that it replaces has ended.
    """

    count: int
    patience_s: float
    age_s: float | None = None
    exclusive: bool = False

    @property
    def farewell(self) -> int:
        """The signal for a worker that is replaced: to retire, unless callers would wait too long."""
        waits = self.exclusive and (self.age_s or 0) > _WAIT_MAX_S
        return signal.SIGTERM if waits else signal.SIGUSR1


class Supervisor:
    """Runs workers of one command until it is told to stop."""

    def __init__(self, command: Sequence[str], plan: Plan, say: Say) -> None:
        self._command = command
        self._plan = plan
        self._say = say
        self._stop = asyncio.Event()
        self._alive: set[_Worker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._rolling = asyncio.Lock()
        self._numbers = itertools.count(1)

    async def run(self, on_ready: Callable[[str], None]) -> int:
        """Serve until SIGTERM, SIGINT or SIGHUP; returns the first exit code that is not 0, or 0.
        Raises StartError without a place for its sockets.

        `on_ready` gets what the first worker told, once all are ready. When the first ends before that,
        it has said why, and that is the end.
        """
        loop = asyncio.get_running_loop()
        for number in _STOPS:
            loop.add_signal_handler(number, self._end_all)
        with _temporary_folder() as folder:
            self._folder = Path(folder)
            first = await self._start()
            if not await first.is_ready():
                return self._judged(await first.ended)
            loop.add_signal_handler(signal.SIGUSR2, self._begin, self._roll)
            for worker in (first, *[await self._start() for _ in range(self._plan.count - 1)]):
                await worker.is_ready()  # one that is not is started again
                self._begin(self._keep, worker)
            if not self._stop.is_set():
                on_ready(first.started)
                notify("READY=1", f"STATUS=Workers: {self._plan.count}")
            await self._stop.wait()
            notify("STOPPING=1")
            patience_s = self._plan.patience_s
            codes = await asyncio.gather(*(self._end(each, patience_s) for each in self._alive))
        return next(filter(None, codes), 0)

    def _begin(self, work: Callable[..., object], *arguments: object) -> None:
        task = asyncio.ensure_future(work(*arguments))  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end_all(self) -> None:
        """The first signal lets them drain, the next ones hurry them."""
        self._stop.set()
        for each in self._alive:
            each.send(signal.SIGTERM)

    async def _start(self) -> _Worker:
        path = str(self._folder / str(next(self._numbers)))
        news = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        news.bind(path)
        process = await asyncio.create_subprocess_exec(
            *self._command,
            env={**os.environ, SOCKET: path},
            # What is typed on the terminal reaches them through us, and once.
            process_group=0,
            preexec_fn=end_with_parent,
        )
        worker = _Worker(process, news)
        self._alive.add(worker)
        worker.ended.add_done_callback(lambda _: self._alive.discard(worker))
        if self._stop.is_set():  # meanwhile
            worker.send(signal.SIGTERM)
        return worker

    def _judged(self, code: int) -> int:
        """The exit code of a first worker that was never ready; of mistakes it has told itself."""
        if self._stop.is_set() or code in _TOLD:
            return code
        self._say(f"The first worker ended with {code} before it was ready.")
        return _FAILED

    async def _end(self, worker: _Worker, patience_s: float) -> int:
        """Wait until it has drained, and kill it when that takes longer; returns its exit code."""
        await asyncio.wait((worker.ended,), timeout=patience_s)
        if worker.ended.done():
            code = await worker.ended
            # One that is still starting does not listen for signals yet, and has nothing to end.
            return 0 if code == _BY_SIGTERM and not worker.was_ready else code
        self._say(f"Worker {worker.pid} hangs, and is killed.")
        worker.send(signal.SIGKILL)
        await worker.ended
        return _FAILED

    async def _keep(self, worker: _Worker) -> None:
        """Start a worker again whenever it ends, unless another has its place."""
        pause_s = _PAUSE_S
        while True:
            code = await worker.ended
            if self._stop.is_set() or worker.is_replaced:
                return
            lived_s = asyncio.get_running_loop().time() - worker.began
            pause_s = _PAUSE_S if lived_s > _STEADY_S else pause_s
            self._say(f"Worker {worker.pid} ended with {code}; another starts in {pause_s:g} s.")
            await asyncio.sleep(pause_s)
            if self._stop.is_set():
                return
            worker = await self._start()
            pause_s = min(2 * pause_s, _PAUSE_MAX_S)

    async def _roll(self) -> None:
        """Put a new worker in the place of each; the old ones go on when a new one does not start."""
        async with self._rolling:
            for old in list(self._alive):
                new = await self._start()
                if not await (new.is_bound() if self._plan.exclusive else new.is_ready()):
                    code = await new.ended
                    if not self._stop.is_set():
                        self._say(f"A new worker ended with {code}; the old ones go on.")
                    return
                old.is_replaced = True
                self._begin(self._keep, new)
                old.send(self._plan.farewell)
                await self._end(old, self._plan.patience_s + 2 * (self._plan.age_s or 0))
                if not await new.is_ready() or self._stop.is_set():
                    return
            self._say("All workers are new.")
