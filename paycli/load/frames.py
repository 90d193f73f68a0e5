"""A load generator that costs a tenth of a server's work: HTTP/2 frames made by hand.

It keeps to the peer's stream limit and flow control as any client, and checks each answer's status. It
tells the peer to compress no headers by a shared table, so equal header blocks are equal bytes.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from functools import cache
from time import monotonic
from typing import Final, NamedTuple, cast

from hpack import Decoder, HPACKError

# Frames, flags, settings and an error code of RFC 9113.
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW, _MORE = 0, 1, 3, 4, 6, 7, 8, 9
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_TABLE_SIZE, _MAX_STREAMS, _INITIAL_WINDOW = 1, 3, 4
_CANCEL: Final = 8
_PADDED, _WITH_PRIORITY = 8, 32
_LARGE: Final = 1 << 30
_FRAME_MAX: Final = 16_384
# Of gRPC's status codes, those that a client finds itself; of HTTP/2's, what tells of them.
_DEADLINE_EXCEEDED, _INTERNAL, _UNAVAILABLE = 4, 13, 14
_OF_RESETS: Final = {7: 14, 8: 1, 11: 8, 12: 7}
MESSAGE_MAX: Final = 65_535 - 5
"""Bytes of a request that a peer takes without having said so; larger ones are for grpcio."""


class Answer(NamedTuple):
    """How a call ended: its gRPC status, and the seconds since it was due."""

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
        self._taken = 0
        self._heads: dict[int, tuple[int, bytes]] = {}
        self._is_going = False
        self.ready = self._loop.create_future()
        self.lost = self._loop.create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's says that it is none
        given = struct.pack(">HIHI", _TABLE_SIZE, 0, _INITIAL_WINDOW, _LARGE)
        hello = [_PREFACE, _frame(_SETTINGS, 0, 0, given)]
        self.transport.write(b"".join([*hello, _frame(_WINDOW, 0, 0, struct.pack(">I", _LARGE))]))

    def connection_lost(self, _: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
        if not self.ready.done():
            self.ready.set_result(None)
        now = monotonic()
        lost = (*self._due.values(), *(due for _, due in self._waiting))
        self._due.clear()
        self._waiting.clear()
        for due in lost:
            self._on_answer(Answer(_UNAVAILABLE, now - due, b""))

    @property
    def open_calls(self) -> int:
        """Those without an answer."""
        return len(self._due) + len(self._waiting)

    def call(self, message: bytes, due: float) -> None:
        """Send a request that is due at this monotonic time, or as soon as the peer takes it."""
        self._waiting.append((message, due))

    def flush(self) -> None:
        """Send what the peer takes."""
        frames = []
        while self._waiting and len(self._due) < self._streams_max and not self._is_going:
            message, due = self._waiting[0]
            if len(message) + 5 > self._window:
                break
            self._waiting.popleft()
            stream, self._next_stream = self._next_stream, self._next_stream + 2
            self._window -= len(message) + 5
            self._due[stream] = due
            frames.append(_frame(_HEADERS, _END_HEADERS, stream, self._head))
            frames += _data(stream, struct.pack(">BI", 0, len(message)) + message)
        if frames and not self.transport.is_closing():
            self.transport.write(b"".join(frames))

    def give_up(self) -> None:
        """End, as clients do, the calls whose deadline has passed."""
        assert self._deadline_s is not None
        now = monotonic()
        while self._waiting and now - self._waiting[0][1] > self._deadline_s:
            due = self._waiting.popleft()[1]
            self._on_answer(Answer(_DEADLINE_EXCEEDED, now - due, b""))
        late = [stream for stream, due in self._due.items() if now - due > self._deadline_s]
        for stream in late:
            self.transport.write(_frame(_RST, 0, stream, struct.pack(">I", _CANCEL)))
            self._end(stream, _DEADLINE_EXCEEDED)

    def data_received(self, data: bytes) -> None:
        try:
            self._receive(data)
        except (struct.error, HPACKError, KeyError, IndexError, ValueError):
            self.transport.abort()  # it speaks no HTTP/2

    def _receive(self, data: bytes) -> None:
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
            self._give_back(len(payload))
            self._bodies[stream] = self._bodies.get(stream, b"") + _unpadded(flags, payload)
            if flags & _END_STREAM:
                self._end(stream, _INTERNAL)
        elif kind == _HEADERS:
            payload = _unpadded(flags, payload)[5 if flags & _WITH_PRIORITY else 0 :]
            self._take_head(flags, stream, payload)
        elif kind == _MORE:
            flags_before, before = self._heads.pop(stream)
            self._take_head(flags | flags_before & _END_STREAM, stream, before + payload)
        elif kind == _RST:
            (code,) = struct.unpack(">I", payload)
            self._end(stream, _OF_RESETS.get(code, _INTERNAL))
        else:
            self._take_of_connection(kind, flags, stream, payload)

    def _take_head(self, flags: int, stream: int, block: bytes) -> None:
        if not flags & _END_HEADERS:
            self._heads[stream] = flags, block
        elif flags & _END_STREAM:
            self._end(stream, _status(block))

    def _take_of_connection(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _SETTINGS and not flags & _ACK:
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
        elif kind == _GOAWAY:
            self._is_going = True
            self._close_if_done()

    def _give_back(self, size: int) -> None:
        """What is read counts against the window, or a long run would end in silence."""
        self._taken += size
        if self._taken > _LARGE // 2:
            self.transport.write(_frame(_WINDOW, 0, 0, struct.pack(">I", self._taken)))
            self._taken = 0

    def _close_if_done(self) -> None:
        if self._is_going and not self._due:
            self.transport.close()

    def _end(self, stream: int, status: int) -> None:
        due = self._due.pop(stream, None)
        body = self._bodies.pop(stream, b"")
        if due is not None:
            self._on_answer(Answer(status, monotonic() - due, body[5:]))
        self._close_if_done()


async def connected(
    target: str, path: str, on_answer: OnAnswer, deadline_s: float | None = None
) -> Connection:
    """A connection whose peer has said what it takes."""
    host, _, port = target.rpartition(":")
    host = host.strip("[]")
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        lambda: Connection(path, on_answer, deadline_s), host, int(port)
    )
    await connection.ready
    return connection


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    size = len(payload)
    return struct.pack(">BHBBI", size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def _head(path: str, deadline_s: float | None) -> bytes:
    """POST, http, and the rest as literals that enter no table (RFC 7541 6.2.2)."""
    fields = [(b"\x04", path.encode()), (b"\x01", b"localhost")]
    fields += [(b"\x0f\x10", b"application/grpc"), (b"\x00\x02te", b"trailers")]
    if deadline_s is not None:
        fields.append((b"\x00\x0cgrpc-timeout", f"{round(deadline_s * 1000)}m".encode()))
    return b"\x83\x86" + b"".join(name + _length(len(value)) + value for name, value in fields)


def _length(size: int) -> bytes:
    """An integer after one bit that says: no Huffman code (RFC 7541 5.1)."""
    if size < 127:
        return bytes([size])
    more, rest = [127], size - 127
    while rest >= 128:
        more.append(rest % 128 + 128)
        rest //= 128
    return bytes([*more, rest])


def _data(stream: int, body: bytes) -> list[bytes]:
    """In frames that every peer takes."""
    parts = [body[at : at + _FRAME_MAX] for at in range(0, len(body), _FRAME_MAX)]
    last = len(parts) - 1
    return [
        _frame(_DATA, _END_STREAM if number == last else 0, stream, part)
        for number, part in enumerate(parts)
    ]


def _unpadded(flags: int, payload: bytes) -> bytes:
    return payload[1 : len(payload) - payload[0]] if flags & _PADDED else payload


@cache  # without a shared table, equal blocks mean the same
def _status(block: bytes) -> int:
    """The grpc-status in a block of headers; INTERNAL where there is none."""
    for name, value in Decoder().decode(block, raw=True):
        if bytes(name) == b"grpc-status":
            return int(value)
    return _INTERNAL
