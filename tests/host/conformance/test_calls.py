"""One call: what its method sees of its client, and what the client sees of the method."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import pytest

from tests.host.conformance.serving import (
    BINARY,
    DETAILS,
    MESSAGE_BYTES,
    SERVICE,
    Code,
    Served,
    failure_of,
    run,
    status_of,
)
from tests.wire import refusal_of

_REQUESTS: Final = {"one": b"x", "many": b"2", "joins": None, "echoes": None}
_SENT: Final = (("plain", "a b"), ("twice", "1"), ("twice", "2"), ("raw-bin", BINARY))

_HERE: Final = "ipv4:127.0.0.1:"


async def requests(*given: bytes) -> AsyncIterator[bytes]:
    for each in given:
        yield each


def request_of(kind: str) -> Any:
    return requests(b"a", b"b") if _REQUESTS[kind] is None else _REQUESTS[kind]


@pytest.mark.parametrize("kind", _REQUESTS)
def test_metadata_goes_both_ways(transport: str, kind: str) -> None:
    async def test(served: Served) -> None:
        call = served.call(kind, request_of(kind), metadata=_SENT)
        assert await status_of(call) is Code.OK
        seen = await served.seen.value()
        assert [pair for pair in seen if pair[0] in dict(_SENT)] == list(_SENT)
        assert {("first", "1"), ("first-bin", BINARY)} <= set(await call.initial_metadata())
        last = [pair for pair in await call.trailing_metadata() if pair[0].startswith("last")]
        assert last == [("last", "2"), ("last", "3"), ("last-bin", BINARY)]

    run(transport, test)


def test_all_kinds_of_methods_answer(transport: str) -> None:
    async def test(served: Served) -> None:
        assert await served.call("one", b"") == b""
        assert [each async for each in served.call("many", b"3")] == [b"3"] * 3
        assert [each async for each in served.call("many", b"0")] == []
        assert [each async for each in served.call("writes", b"y")] == [b"y"] * 3
        assert await served.call("joins", requests(b"a", b"", b"c")) == b"a,,c"
        assert await served.call("joins", requests()) == b""
        assert [each async for each in served.call("echoes", requests(b"1", b"2"))] == [b"1", b"2"]

    run(transport, test)


def test_a_stream_answers_while_requests_come(transport: str) -> None:
    async def test(served: Served) -> None:
        call = served.call("echoes", None)
        for each in (b"1", b"2", b"3"):
            await call.write(each)
            assert await call.read() == each
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF

    run(transport, test)


@pytest.mark.parametrize(("name", "answers"), [("aborts", 0), ("streams_and_aborts", 1)])
def test_an_abort_has_details_and_trailers_of_any_text_and_bytes(
    transport: str, name: str, answers: int
) -> None:
    async def test(served: Served) -> None:
        call = served.call(name)
        for _ in range(answers):
            assert await call.read() == b"x"
        error = await failure_of(call)
        assert error.code() is (Code.DATA_LOSS if answers else Code.FAILED_PRECONDITION)
        assert error.details() == DETAILS
        trailers = list(await call.trailing_metadata())
        assert ("why-bin", BINARY) in trailers
        if not answers:
            assert [pair for pair in trailers if pair[0] == "again"] == [
                ("again", "no"),
                ("again", "never"),
            ]

    run(transport, test)


def test_a_code_that_is_set_ends_the_call_with_it(transport: str) -> None:
    async def test(served: Served) -> None:
        call = served.call("sets_a_code")
        with contextlib.suppress(grpc.aio.AioRpcError):
            await call
        assert (await call.code(), await call.details()) == (Code.ABORTED, DETAILS)
        assert (await served.seen.end()).code is Code.ABORTED

    run(transport, test)


@pytest.mark.parametrize("name", ["fails", "streams_and_fails", "sets_odd_details"])
def test_an_exception_is_internal_with_an_incident(transport: str, name: str) -> None:
    async def test(served: Served) -> None:
        call = served.call(name)
        if name == "streams_and_fails":
            assert await call.read() == b"x"
        refusal = refusal_of(await failure_of(call))
        assert refusal.code == "INTERNAL"
        assert refusal.metadata["incident"] in refusal.message
        assert "secret" not in repr(refusal)
        assert (await served.seen.end()).code is Code.INTERNAL

    run(transport, test)


@pytest.mark.parametrize("pair", ["Upper=x", "sp ace=x", "=x", "k=é", "k=a\nb", "k=\x7f"])
def test_metadata_that_is_none_fails_the_call_at_once(transport: str, pair: str) -> None:
    async def test(served: Served) -> None:
        call = served.call("sends_bad_metadata", pair.encode(), timeout=20)
        assert await status_of(call) is Code.INTERNAL

    run(transport, test)


@pytest.mark.parametrize("name", ["grpc-status", "grpc-message", "content-type", "te"])
def test_the_words_of_the_protocol_are_not_a_methods_to_say(transport: str, name: str) -> None:
    async def test(served: Served) -> None:
        assert await served.call("sends_bad_metadata", f"{name}=3".encode()) == b"ok"

    run(transport, test)


def test_what_a_caller_shall_wait_is_told_to_its_retries(transport: str) -> None:
    async def test(served: Served) -> None:
        call = served.call("pushes_back")
        assert await status_of(call) is Code.UNAVAILABLE
        assert ("grpc-retry-pushback-ms", "7") in list(await call.trailing_metadata())

    run(transport, test)


def test_a_deadline_is_seen_and_none_is_none(transport: str) -> None:
    async def test(served: Served) -> None:
        assert 20 < float(await served.call("remaining", timeout=25)) < 26  # sent rounded up
        assert await served.call("remaining", timeout=None) == b"None"

    run(transport, test)


@pytest.mark.parametrize("name", ["waits", "streams_and_waits"])
def test_a_deadline_that_passes_cancels_the_method(transport: str, name: str) -> None:
    async def test(served: Served) -> None:
        call = served.call(name, timeout=0.5)
        with contextlib.suppress(grpc.aio.AioRpcError):
            await status_of(call)
        assert await call.code() is Code.DEADLINE_EXCEEDED
        while await served.seen.value() != "cancelled":
            pass
        assert (await served.seen.end()).code is Code.DEADLINE_EXCEEDED

    run(transport, test)


@pytest.mark.parametrize("name", ["waits", "streams_and_waits"])
def test_a_client_that_cancels_cancels_the_method(transport: str, name: str) -> None:
    async def test(served: Served) -> None:
        call = served.call(name)
        if name == "waits":
            assert await served.seen.value() == "entered"
        else:
            assert await call.read() == b"x"
        call.cancel()
        assert await served.seen.value() == "cancelled"
        assert (await served.seen.end()).code is Code.CANCELLED

    run(transport, test)


def test_who_does_not_read_is_not_written_to_without_end(transport: str) -> None:
    async def test(served: Served) -> None:
        call = served.call("streams_without_end")
        assert len(await call.read()) == 50_000
        before = -1
        while before != served.seen.yielded:  # until it waits
            before = served.seen.yielded
            await asyncio.sleep(0.5)
        assert before < 1000  # 50 MB
        call.cancel()
        assert (await served.seen.end()).code is Code.CANCELLED

    run(transport, test)


def test_a_request_is_as_large_as_it_may_be(transport: str) -> None:
    async def test(served: Served) -> None:
        most = b"x" * MESSAGE_BYTES
        assert await served.call("length", most) == str(MESSAGE_BYTES).encode()
        for method in ("length", "many"):
            assert await _code(served.call(method, most + b"x")) is Code.RESOURCE_EXHAUSTED
        assert await _code(served.call("joins", requests(most + b"x"))) is Code.RESOURCE_EXHAUSTED
        assert len(await served.call("bytes_of", b"3000000")) == 3_000_000

    run(transport, test)


async def _code(call: Any) -> grpc.StatusCode:
    with contextlib.suppress(grpc.aio.AioRpcError):
        await status_of(call)
    code: grpc.StatusCode = await call.code()
    return code


@pytest.mark.parametrize("method", [f"/{SERVICE}/none", "/conformance.None/one", "/", "/x"])
def test_what_is_not_there_is_unimplemented(transport: str, method: str) -> None:
    async def test(served: Served) -> None:
        for kind in ("unary_unary", "unary_stream"):
            call = getattr(served.channel, kind)(method)(b"x", timeout=20)
            assert await _code(call) is Code.UNIMPLEMENTED

    run(transport, test)


def test_requests_may_be_compressed(transport: str) -> None:
    async def test(served: Served) -> None:
        given, gzip = b"x" * 10_000, grpc.Compression.Gzip
        assert await served.call("length", given, compression=gzip) == b"10000"
        assert await served.call("joins", requests(given), compression=gzip) == given

    run(transport, test)


def test_requests_may_be_compressed_as_few_do(transport: str) -> None:
    async def test(served: Served) -> None:
        call = served.call("length", b"x" * 10_000, compression=grpc.Compression.Deflate)
        assert await call == b"10000"

    run(transport, test)


def test_a_hundred_calls_at_once_each_get_their_answer(transport: str) -> None:
    async def test(served: Served) -> None:
        answers = await asyncio.gather(*(served.call("one", b"%d" % n) for n in range(100)))
        assert answers == [b"%d" % n for n in range(100)]
        waiting = [asyncio.ensure_future(_answer(served.call("waits"))) for _ in range(100)]
        entered = [await served.seen.value() for _ in range(200)]  # after those of the first
        assert entered.count("entered") == 100
        served.seen.go.set()
        assert await asyncio.gather(*waiting) == [b"x"] * 100

    run(transport, test)


async def _answer(call: Any) -> Any:
    return await call


def test_the_caller_is_known(transport: str) -> None:
    async def test(served: Served) -> None:
        for name, request in (("one", b"x"), ("many", b"1")):
            assert await status_of(served.call(name, request)) is Code.OK
            assert served.seen.peers.pop().startswith(_HERE)

    run(transport, test)


def test_the_caller_of_a_method_whose_requests_stream_is_known(transport: str) -> None:
    async def test(served: Served) -> None:
        assert await status_of(served.call("joins", requests(b"x"))) is Code.OK
        assert served.seen.peers.pop().startswith(_HERE)

    run(transport, test)


@pytest.mark.parametrize("kind", _REQUESTS)
def test_much_metadata_arrives(transport: str, kind: str) -> None:
    async def test(served: Served) -> None:
        much = "v" * 14_000
        call = served.call(kind, request_of(kind), metadata=(("much", much),))
        assert await status_of(call) is Code.OK
        assert ("much", much) in await served.seen.value()

    run(transport, test)


@pytest.mark.parametrize("kind", _REQUESTS)
def test_too_much_metadata_is_kept_from_methods(transport: str, kind: str) -> None:
    async def test(served: Served) -> None:
        call = served.call(kind, request_of(kind), metadata=(("much", "v" * 17_000),))
        assert await _code(call) is not Code.OK
        assert await status_of(served.call(kind, request_of(kind))) is Code.OK
        while not served.seen.values.empty():
            assert "much" not in dict(await served.seen.value())

    run(transport, test)


def test_too_much_metadata_is_refused_as_what_it_is(transport: str) -> None:
    async def test(served: Served) -> None:
        call = served.call("one", metadata=(("much", "v" * 17_000),))
        assert await _code(call) is Code.RESOURCE_EXHAUSTED

    run(transport, test)
