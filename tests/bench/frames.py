"""A load generator that costs a tenth of a server's work: HTTP/2 frames made by hand.

It keeps to the peer's stream limit and flow control as any client, and checks each answer's status. It
tells the peer to compress no headers by a shared table, so equal header blocks are equal bytes.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from functools import cache, partial
from typing import Final, NamedTuple

from hpack import Decoder

# Frames, flags, settings and an error code of RFC 9113.
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW, _MORE = 0, 1, 3, 4, 6, 7, 8, 9
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_TABLE_SIZE, _MAX_STREAMS, _INITIAL_WINDOW = 1, 3, 4
_CANCEL: Final = 8
_LAST_S: Final = 1.0  # for the answers to what was asked last
_LARGE: Final = 1 << 30


class Answer(NamedTuple):
    """How a call ended: its status (-1 without one), and the seconds since it was due."""

    status: int
    seconds: float
    body: bytes


OnAnswer = Callable[[Answer], None]


class Connection(asyncio.Protocol):
    """Calls of one method over one connection. What the peer does not take yet waits here."""

    def __init__(self, path: str, on_answer: OnAnswer, deadline_s: float | None = None) -> None:
        self._head = _head(path, deadline_s)
        self._on_answer = on_answer
        self._deadline_s = deadline_s
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._due: dict[int, float] = {}
        self._bodies: dict[int, bytes] = {}
        self._next_stream = 1
        self._window = 65_535
        self._streams_max = 100
        self._received = b""
        self.ready = self._loop.create_future()
        self.lost = self._loop.create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        given = struct.pack(">HIHI", _TABLE_SIZE, 0, _INITIAL_WINDOW, _LARGE)
        hello = [_PREFACE, _frame(_SETTINGS, 0, 0, given)]
        transport.write(b"".join([*hello, _frame(_WINDOW, 0, 0, struct.pack(">I", _LARGE))]))

    def connection_lost(self, _: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
        now = self._loop.time()
        for due in (*self._due.values(), *(due for _, due in self._waiting)):
            self._on_answer(Answer(-1, now - due, b""))
        self._due.clear()
        self._waiting.clear()

    @property
    def open_calls(self) -> int:
        """Those without an answer."""
        return len(self._due) + len(self._waiting)

    def call(self, message: bytes, due: float) -> None:
        """Send a request that is due at this time of the loop, or as soon as the peer takes it."""
        self._waiting.append((message, due))

    def flush(self) -> None:
        """Send what the peer takes."""
        frames = []
        while self._waiting and len(self._due) < self._streams_max:
            message, due = self._waiting[0]
            if len(message) + 5 > self._window:
                break
            self._waiting.popleft()
            stream, self._next_stream = self._next_stream, self._next_stream + 2
            self._window -= len(message) + 5
            self._due[stream] = due
            frames.append(_frame(_HEADERS, _END_HEADERS, stream, self._head))
            body = struct.pack(">BI", 0, len(message)) + message
            frames.append(_frame(_DATA, _END_STREAM, stream, body))
        if frames and not self.transport.is_closing():
            self.transport.write(b"".join(frames))

    def give_up(self) -> None:
        """End, as clients do, the calls whose deadline has passed; they have no status."""
        assert self._deadline_s is not None
        now = self._loop.time()
        while self._waiting and now - self._waiting[0][1] > self._deadline_s:
            self._on_answer(Answer(-1, now - self._waiting.popleft()[1], b""))
        late = [stream for stream, due in self._due.items() if now - due > self._deadline_s]
        for stream in late:
            self.transport.write(_frame(_RST, 0, stream, struct.pack(">I", _CANCEL)))
            self._end(stream, -1)

    def data_received(self, data: bytes) -> None:
        received, at = self._received + data, 0
        while len(received) - at >= 9:
            high, low, kind, flags, stream = struct.unpack_from(">BHBBI", received, at)
            end = at + 9 + (high << 16 | low)
            if len(received) < end:
                break
            self._take(kind, flags, stream, received[at + 9 : end])
            at = end
        self._received = received[at:]
        self.flush()

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA:
            self._bodies[stream] = self._bodies.get(stream, b"") + payload
        elif kind == _HEADERS and flags & _END_STREAM:
            self._end(stream, _status(payload))
        elif kind == _RST:
            self._end(stream, -1)
        elif kind == _SETTINGS and not flags & _ACK:
            for name, value in struct.iter_unpack(">HI", payload):
                if name == _MAX_STREAMS:
                    self._streams_max = value
            self.transport.write(_frame(_SETTINGS, _ACK, 0, b""))
            if not self.ready.done():
                self.ready.set_result(None)
        elif kind == _PING and not flags & _ACK:
            self.transport.write(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW and stream == 0:
            self._window += int(struct.unpack(">I", payload)[0])

    def _end(self, stream: int, status: int) -> None:
        due = self._due.pop(stream, None)
        body = self._bodies.pop(stream, b"")
        if due is not None:
            self._on_answer(Answer(status, self._loop.time() - due, body[5:]))


async def connected(
    target: str, path: str, on_answer: OnAnswer, deadline_s: float | None = None
) -> Connection:
    """A connection whose peer has said what it takes."""
    host, _, port = target.rpartition(":")
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        lambda: Connection(path, on_answer, deadline_s), host, int(port)
    )
    await connection.ready
    return connection


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


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    size = len(payload)
    return struct.pack(">BHBBI", size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def _head(path: str, deadline_s: float | None) -> bytes:
    """POST, http, and the rest as literals that enter no table (RFC 7541 6.2.2)."""
    fields = [(b"\x04", path.encode()), (b"\x01", b"localhost")]
    fields += [(b"\x0f\x10", b"application/grpc"), (b"\x00\x02te", b"trailers")]
    if deadline_s is not None:
        fields.append((b"\x00\x0cgrpc-timeout", f"{round(deadline_s * 1000)}m".encode()))
    return b"\x83\x86" + b"".join(name + bytes([len(value)]) + value for name, value in fields)


@cache  # without a shared table, equal blocks mean the same
def _status(block: bytes) -> int:
    """The grpc-status in a block of headers; -1 where there is none."""
    for name, value in Decoder().decode(block, raw=True):
        if bytes(name) == b"grpc-status":
            return int(value)
    return -1
