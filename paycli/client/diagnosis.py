"""Why a target gave no answer, asked of the network itself once gRPC has given up.

gRPC's own words change with its version and leave much open ("Socket closed"). Nothing that is sent
here can move money: a TLS greeting, or HTTP/2's.
"""

from __future__ import annotations

import socket
import ssl
from enum import Enum, auto
from typing import Final

_LOOK_S: Final = 2.0
_HTTP2_GREETING: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_FRAME_TYPE_AT: Final = 3
_SETTINGS: Final = 4
_HTTP2: Final = "h2"
_ELSEWHERE: Final = "or name another service with --target HOST:PORT."


class _Speaks(Enum):
    HTTP2 = auto()
    HTTP1 = auto()
    TLS = auto()
    TLS_ONLY = auto()  # without HTTP/2 inside
    NOTHING = auto()
    OTHER = auto()


def why_no_answer(
    target: str, host: str, port: int, *, plaintext: bool, timeout_s: float, said: str
) -> str:
    """One sentence: what is wrong and what to do. `said` is gRPC's own account."""
    said = " ".join(said.rpartition("last error: ")[2].removeprefix("UNKNOWN: ").split())
    if "proxy" in said.lower():
        return f"The proxy on the way to {target} refused ({said}). Name the host in no_proxy, {_ELSEWHERE}"
    try:
        speaks = _look(host, port, tls=not plaintext)
    except socket.gaierror:
        return f"No service answers at {target}: the name '{host}' is not known. Mend --target."
    except ConnectionRefusedError:
        return (
            f"No service answers at {target}: nothing listens there. "
            f"Start one with 'paycli serve', {_ELSEWHERE}"
        )
    except TimeoutError:
        return f"{target} cannot be reached: no connection within {_LOOK_S:g} s. Look at the network, {_ELSEWHERE}"
    except OSError as problem:
        return f"{target} cannot be reached: {problem.strerror or problem}. Look at the network, {_ELSEWHERE}"
    return _sentence(target, speaks, plaintext=plaintext, timeout_s=timeout_s, said=said)


def _sentence(target: str, speaks: _Speaks, *, plaintext: bool, timeout_s: float, said: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in said:
        why = said.partition("CERTIFICATE_VERIFY_FAILED: ")[2].removesuffix(": OK")
        return (
            f"The certificate of {target} is not trusted ({why}). Set GRPC_DEFAULT_SSL_ROOTS_FILE_PATH "
            "to a PEM file with the authority that signed it."
        )
    if "Hostname Verification" in said:
        return f"The certificate of {target} is for another host. Name the host as its certificate does."
    match speaks:
        case _Speaks.TLS if plaintext:
            return f"{target} speaks TLS, and plaintext was sent. Add --tls."
        case _Speaks.HTTP1 | _Speaks.TLS_ONLY:
            return (
                f"{target} speaks HTTP/1, not gRPC. Name the port of its gRPC service, {_ELSEWHERE}"
            )
        case _Speaks.HTTP2 if not plaintext:
            return f"{target} speaks plaintext, and TLS was asked for. Add --plaintext if you trust the network."
        case _Speaks.HTTP2 | _Speaks.TLS:
            return f"{target} did not answer within {timeout_s:g} s ({said}). Wait longer with --timeout, {_ELSEWHERE}"
        case _Speaks.NOTHING:
            return f"{target} takes connections but says nothing within {timeout_s:g} s: is it hung, or no gRPC service? Look at it, {_ELSEWHERE}"
        case _:
            return f"{target} speaks another protocol than gRPC. Name the port of its gRPC service, {_ELSEWHERE}"


def _look(host: str, port: int, *, tls: bool) -> _Speaks:
    """What is spoken there, tried in the wanted way first. Raises OSError when nobody is there."""
    first, second = (_greet_tls, _greet_plain) if tls else (_greet_plain, _greet_tls)
    heard = first(host, port)
    if heard in (_Speaks.HTTP2, _Speaks.TLS):
        return heard
    other = second(host, port)
    return heard if other in (_Speaks.NOTHING, _Speaks.OTHER) else other


def _greet_plain(host: str, port: int) -> _Speaks:
    with socket.create_connection((host, port), _LOOK_S) as stream:
        try:
            stream.sendall(_HTTP2_GREETING)
            heard = stream.recv(64)
        except OSError:
            return _Speaks.NOTHING
    if heard.startswith(b"HTTP/"):
        return _Speaks.HTTP1
    if len(heard) > _FRAME_TYPE_AT and heard[_FRAME_TYPE_AT] == _SETTINGS:
        return _Speaks.HTTP2
    return _Speaks.OTHER if heard else _Speaks.NOTHING


def _greet_tls(host: str, port: int) -> _Speaks:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only whether it speaks TLS; nothing is told to it
    context.set_alpn_protocols([_HTTP2])
    with socket.create_connection((host, port), _LOOK_S) as stream:
        try:
            with context.wrap_socket(stream, server_hostname=host) as secured:
                chosen = secured.selected_alpn_protocol()
        except ssl.SSLError:
            return _Speaks.OTHER
        except OSError:
            return _Speaks.NOTHING
    return _Speaks.TLS if chosen == _HTTP2 else _Speaks.TLS_ONLY
