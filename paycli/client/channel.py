"""Channels: how a target is reached. The one place that makes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import grpc

from paycli.addresses import is_here, is_loopback
from paycli.client.access import ANYHOW, Access
from paycli.errors import InputError, Unreachable

_HEALTH_CHECK: Final = "/grpc.health.v1.Health/Check"
_TARGET: Final = re.compile(r"(?P<host>[\w.-]+|\[[0-9A-Fa-f:.%]+\]):(?P<port>[0-9]{1,5})")
_PORT_MAX: Final = 65535
_WEB_SERVER: Final = "http2 header with status"  # gRPC's words for an answer that is not gRPC
_SILENT: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
# Whoever sits behind a proxy's localhost is not whom we mean. gRPC has two kinds of proxies: one
# for all targets, and one for addresses in a list.
_NO_PROXY: Final = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.address_http_proxy_enabled_addresses", ""),
)
# Of gRPC's own 4 MiB, the descriptors of a large API take more.
_ANSWER: Final = (("grpc.max_receive_message_length", 64 * 1024 * 1024),)
# A server that starts again is there within seconds; gRPC would wait for up to two minutes.
_RECONNECT: Final = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class _Target(NamedTuple):
    host: str
    port: int


@contextmanager
def connect(target: str, timeout_s: float, access: Access = ANYHOW) -> Iterator[grpc.Channel]:
    """An open channel to HOST:PORT. Raises Unreachable when no gRPC server answers there.

    Plaintext by default on loopback, TLS elsewhere; `access` says otherwise. Loopback is never
    reached through a proxy, and secrets never without TLS to anywhere else.
    """
    host, port = _parse(target)
    plaintext = _is_plaintext(host, access)
    with _channel(target, access, plaintext=plaintext, is_here=is_here(host)) as channel:
        silence = _knock(channel, timeout_s)
        if silence is not None:
            # start-up time: only failures need it
            from paycli.client.diagnosis import why_no_answer

            why = why_no_answer(
                target,
                host,
                port,
                plaintext=plaintext,
                is_here=is_here(host),
                timeout_s=timeout_s,
                said=silence.details() or "",
            )
            raise Unreachable(why, metadata={"target": target}) from silence
        yield channel


def aio_channel(
    target: str, access: Access = ANYHOW, options: Sequence[tuple[str, int]] = ()
) -> grpc.aio.Channel:
    """A channel of grpc.aio to the same places, which nobody has called yet. The headers are left out."""
    host, _ = _parse(target)
    given = (*_options(access, is_here=is_here(host)), *options)
    if _is_plaintext(host, access):
        return grpc.aio.insecure_channel(target, given)
    return grpc.aio.secure_channel(target, _credentials(access), given)


def _is_plaintext(host: str, access: Access) -> bool:
    plaintext = access.plaintext if access.plaintext is not None else is_loopback(host)
    if plaintext and access.headers and not is_here(host):
        raise InputError(
            f"A token or header would be readable on the way to {host}. Use --tls, or leave it out."
        )
    return plaintext


def _options(access: Access, *, is_here: bool) -> list[tuple[str, int | str]]:
    options: list[tuple[str, int | str]] = [*_RECONNECT, *_ANSWER, *(_NO_PROXY if is_here else ())]
    if access.server_name:
        options.append(("grpc.ssl_target_name_override", access.server_name))
    return options


@contextmanager
def _channel(
    target: str, access: Access, *, plaintext: bool, is_here: bool
) -> Iterator[grpc.Channel]:
    options = _options(access, is_here=is_here)
    if plaintext:
        made = grpc.insecure_channel(target, options)
    else:
        made = grpc.secure_channel(target, _credentials(access), options)
    with made as channel:
        if access.headers:
            from paycli.client.headers import with_headers  # start-up time: most calls have none

            channel = with_headers(channel, access.headers)
        yield channel


def _credentials(access: Access) -> grpc.ChannelCredentials:
    files = (access.ca, access.key, access.certificate)
    try:
        contents = [path.read_bytes() if path is not None else None for path in files]
    except OSError as problem:
        raise InputError(f"{problem.filename} cannot be read: {problem.strerror}.") from problem
    return grpc.ssl_channel_credentials(*contents)


def answers(channel: grpc.Channel, timeout_s: float) -> bool:
    """Whether the service gives any answer at all, asked without moving money."""
    return _knock(channel, timeout_s) is None


def _knock(channel: grpc.Channel, timeout_s: float) -> grpc.RpcError | None:
    """A call that moves no money, first: what fails later was sent and may have been paid.

    Any answer will do, also that there is no health service; None says that one came.
    """
    knock = channel.unary_unary(_HEALTH_CHECK, bytes, bytes)  # an empty message asks for the server
    try:
        knock(b"", timeout=timeout_s)
    except grpc.RpcError as problem:
        no_grpc = _WEB_SERVER in (problem.details() or "")
        return problem if no_grpc or problem.code() in _SILENT else None
    return None


def _parse(target: str) -> _Target:
    found = _TARGET.fullmatch(target)
    if found is None or not 0 < int(found["port"]) <= _PORT_MAX:
        raise InputError(
            f"'{target}' is not a target; write HOST:PORT, such as localhost:50051 or [::1]:50051."
        )
    return _Target(found["host"].strip("[]"), int(found["port"]))
