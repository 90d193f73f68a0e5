"""The writer in a process of its own, so that rules and rows never wait for the server's work.

The server sends batches over a socket pair and gets an answer to each, in order. The end of the
socket is the end of the writer: it goes when the server goes, however that ends, after the batch
that it is at. It holds the store's lock together with the server, so the file is free only once
nobody writes to it any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final

from paycli.payments.commands import Command
from paycli.storage.failures import CommitFailed, CommitLost, CommitRefused
from paycli.storage.sqlite.file import SqliteFile
from paycli.storage.sqlite.lock import write_holders
from paycli.storage.sqlite.writer import SqliteWriter
from paycli.storage.sqlite.writer_frames import (
    Answer,
    answer_from_bytes,
    answer_to_bytes,
    commands_from_bytes,
    commands_to_bytes,
)

_LENGTH: Final = struct.Struct("<I")  # goes before each frame
# A batch makes thousands of tuples and drops them; looking for cycles among them is a tenth of it.
_GC_THRESHOLD: Final = 100_000

# A disk that takes so long may yet go on, but its callers must hear something.
_HUNG_S: Final = 30.0
_CLOSE_S: Final = 5.0
_GONE_WITHIN_S: Final = 1.0
_LAST_WORDS_S: Final = 0.5

_log = logging.getLogger(__name__)


class WriterProcess:
    """The server's end; belongs to the event loop that it was made in.

    A writer that ended is followed by a new one at the next batch: what it had committed is on disk,
    and what it had not is rolled back by SQLite.
    """

    def __init__(self, path: Path, lock: int) -> None:
        """The writer of a store that this process holds through the descriptor `lock`."""
        self._loop = asyncio.get_running_loop()
        self._path = path
        self._lock = lock
        self._sending = asyncio.Lock()
        self._life = self._begin()

    async def write(self, commands: Sequence[Command]) -> Answer:
        """Commit a batch after those that came before.

        Raises CommitRefused, CommitFailed, and CommitLost when the writer ended or hung.
        """
        frame = commands_to_bytes(commands)
        try:
            async with asyncio.timeout(_HUNG_S):
                async with self._sending:
                    life = await self._living()
                    answer = await life.send(_LENGTH.pack(len(frame)) + frame)
                return answer_from_bytes(commands, await answer)
        except TimeoutError:
            self.kill()
            raise CommitLost(
                f"The writer of the store did not answer for {_HUNG_S:g} s and was ended."
            ) from None

    def kill(self) -> None:
        """End the writer at once; whoever waits for it gets CommitLost."""
        self._life.kill()

    async def close(self) -> None:
        """Let the writer finish. One that hangs is ended."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._life.close()
        except TimeoutError:
            self.kill()
            await self._life.is_gone()

    async def _living(self) -> _Life:
        if self._life.is_over:
            if not await self._life.is_gone():  # a disk that hangs keeps it; two are one too many
                raise CommitRefused("The writer of the store does not end.")
            _log.warning("%s Another one is started.", self._life.failure)
            self._life = self._begin()
        return self._life

    def _begin(self) -> _Life:
        life = _Life(self._loop, self._path, self._lock)
        write_holders(self._lock, os.getpid(), life.pid)
        return life


class _Life:
    """One process, from its start to its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, path: Path, lock: int) -> None:
        self._loop = loop
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        with theirs:
            descriptors = (theirs.fileno(), lock)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, *map(str, descriptors), str(path)],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,  # into our log, whatever its form
                start_new_session=True,  # a Ctrl-C is for the server, which drains first
            )
        self.pid = self._process.pid
        self.failure = CommitLost("The writer of the store was ended.")
        self.is_over = False
        self._answers: deque[asyncio.Future[bytes]] = deque()
        self._listening = loop.create_task(self._listen(), name="writer process")
        self._last_words = loop.create_task(self._hear(), name="writer process's stderr")

    async def is_gone(self) -> bool:
        """Whether the system says so, within a moment."""
        await asyncio.wait((self._listening,), timeout=_GONE_WITHIN_S)
        return self._listening.done()

    async def send(self, frame: bytes) -> asyncio.Future[bytes]:
        """The answer to come. Raises CommitLost."""
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._answers.append(answer)
        try:
            await self._loop.sock_sendall(self._socket, frame)
        except OSError:
            self._process.kill()  # which the listener hears, and fails all answers
        return answer

    def kill(self) -> None:
        """At once. What is not answered yet never will be."""
        self._process.kill()
        self._end()

    async def close(self) -> None:
        """Let it finish its batches."""
        with contextlib.suppress(OSError):  # it is gone already
            self._socket.shutdown(socket.SHUT_WR)
        await asyncio.wait((self._listening,))

    def _end(self) -> None:
        self.is_over = True
        while self._answers:
            answer = self._answers.popleft()
            if not answer.done():
                answer.set_exception(self.failure)

    async def _listen(self) -> None:
        try:
            while True:
                (length,) = _LENGTH.unpack(await self._receive(_LENGTH.size))
                data = await self._receive(length)
                answer = self._answers.popleft()
                if not answer.done():  # else its caller gave up
                    answer.set_result(data)
        except (EOFError, OSError):
            self.is_over = True
        code = await asyncio.to_thread(self._its_end)
        how = f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
        self.failure = CommitLost(f"The writer of the store {how}.")
        self._end()
        self._socket.close()
        if said := await self._last_words:
            _log.error("the writer of the store, before it ended: %s", said)

    def _its_end(self) -> int:
        """Its exit code. Without a socket it is of no use, but may have last words."""
        try:
            return self._process.wait(_LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    async def _hear(self) -> str:
        """What it says until its end: nothing, or a traceback."""
        words = asyncio.StreamReader()
        stderr = self._process.stderr
        await self._loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), stderr)
        return (await words.read()).decode(errors="replace").strip()

    async def _receive(self, size: int) -> bytes:
        received = bytearray()
        while len(received) < size:
            part = await self._loop.sock_recv(self._socket, size - len(received))
            if not part:
                raise EOFError
            received += part
        return bytes(received)


def main(descriptor: int, lock: int, path: Path) -> None:
    """The writer's end: serve batches until the socket ends."""
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, signal.SIG_IGN)  # the server stops when it has drained, and then we do
    gc.set_threshold(_GC_THRESHOLD)
    with (
        closing(SqliteFile(path, lock)) as file,
        socket.socket(fileno=descriptor) as channel,
        channel.makefile("rb") as batches,
        contextlib.suppress(ConnectionError),  # the server is gone: nobody to answer
    ):
        writer = SqliteWriter(file.connect())
        while (frame := _next_frame(batches)) is not None:
            commands = commands_from_bytes(frame)
            answer = answer_to_bytes(commands, _written(writer, commands))
            channel.sendall(_LENGTH.pack(len(answer)) + answer)


def _written(
    writer: SqliteWriter, commands: Sequence[Command]
) -> Answer | CommitFailed | CommitRefused:
    try:
        return writer.write(commands)
    except (CommitFailed, CommitRefused) as failure:
        return failure


def _next_frame(batches: BinaryIO) -> bytes | None:
    """None at the end, also when it comes in the middle of a frame."""
    header = batches.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(header)
    frame = batches.read(length)
    return frame if len(frame) == length else None


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
