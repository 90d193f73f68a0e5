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
import signal
import socket
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final

from paycli.payments.batch import Outcome
from paycli.payments.commands import Command
from paycli.storage.failures import CommitFailed
from paycli.storage.sqlite_file import SqliteFile
from paycli.storage.sqlite_writer import SqliteWriter
from paycli.storage.writer_frames import (
    answer_from_bytes,
    answer_to_bytes,
    commands_from_bytes,
    commands_to_bytes,
)

_LENGTH: Final = struct.Struct("<I")  # goes before each frame
# A batch makes thousands of tuples and drops them; looking for cycles among them is a tenth of it.
_GC_THRESHOLD: Final = 100_000

_Answer = tuple[list[Outcome], int]


class WriterProcess:
    """The server's end; belongs to the event loop that it was made in."""

    def __init__(self, path: Path, lock: int, on_end: Callable[[CommitFailed], None]) -> None:
        """Start the writer of a store that this process holds through the descriptor `lock`.

        `on_end` is called if it ends before it is closed.
        """
        self._loop = asyncio.get_running_loop()
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        with theirs:
            descriptors = (theirs.fileno(), lock)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, *map(str, descriptors), str(path)],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C is for the server, which drains first
            )
        self._on_end = on_end
        self._answers: deque[asyncio.Future[bytes]] = deque()
        self._ended: CommitFailed | None = None
        self._closing = False
        self._sending = asyncio.Lock()
        self._listening = self._loop.create_task(self._listen(), name="writer process")

    async def write(self, commands: Sequence[Command]) -> _Answer:
        """Commit a batch after those that came before. Raises CommitFailed."""
        frame = commands_to_bytes(commands)
        answer: asyncio.Future[bytes] = self._loop.create_future()
        async with self._sending:
            if self._ended is not None:
                raise self._ended
            self._answers.append(answer)
            try:
                await self._loop.sock_sendall(self._socket, _LENGTH.pack(len(frame)) + frame)
            except OSError:
                self._process.kill()  # which the listener hears, and fails all answers
        return answer_from_bytes(await answer)

    async def close(self) -> None:
        """Let the writer finish, and wait for it."""
        self._closing = True
        with contextlib.suppress(OSError):  # it is gone already
            self._socket.shutdown(socket.SHUT_WR)
        await self._listening
        self._socket.close()

    async def _listen(self) -> None:
        try:
            while True:
                (length,) = _LENGTH.unpack(await self._receive(_LENGTH.size))
                self._answers.popleft().set_result(await self._receive(length))
        except EOFError:
            pass
        except OSError:
            self._process.kill()
        code = await asyncio.to_thread(self._process.wait)
        how = f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
        self._ended = CommitFailed(f"The writer of the store {how}.")
        for answer in self._answers:
            answer.set_exception(self._ended)
        if not self._closing:
            self._on_end(self._ended)

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
            answer = answer_to_bytes(_written(writer, commands_from_bytes(frame)))
            channel.sendall(_LENGTH.pack(len(answer)) + answer)


def _written(writer: SqliteWriter, commands: Sequence[Command]) -> _Answer | CommitFailed:
    try:
        return writer.write(commands)
    except CommitFailed as failure:
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
