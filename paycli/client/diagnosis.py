"""Why a target gave no answer, asked of the network itself once gRPC has given up.

gRPC's own words change with its version and leave much open ("Socket closed"). Nothing that is sent
here can move money: a TLS greeting, or HTTP/2's.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from enum import Enum, auto
from ipaddress import ip_address, ip_network
from typing import Final, NamedTuple

_LOOK_S: Final = (0.25, 1.0)  # at least and at most, of what its caller wanted to wait
_HTTP2_GREETING: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_FRAME_TYPE_AT: Final = 3
_SETTINGS: Final = 4
_HTTP2: Final = "h2"
_HTTP1_QUESTION: Final = b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_HTTP_STATUS: Final = re.compile(r"http2 header with status: (\d+)")
_PROXIES: Final = ("grpc_proxy", "https_proxy", "http_proxy")  # in gRPC's order
_NO_PROXIES: Final = ("no_grpc_proxy", "no_proxy")
_ELSEWHERE: Final = "or name another service with --target HOST:PORT."


class _Speaks(Enum):
    HTTP2 = auto()
    HTTP1 = auto()
    TLS = auto()
    TLS_ONLY = auto()  # without HTTP/2 inside
    NOTHING = auto()
    OTHER = auto()


class _Place(NamedTuple):
    """Where to look, and how long to wait for what is said there."""

    host: str
    port: int
    look_s: float


def why_no_answer(
    target: str,
    host: str,
    port: int,
    *,
    plaintext: bool,
    is_here: bool,
    timeout_s: float,
    said: str,
) -> str:
    """One sentence: what is wrong and what to do. `said` is gRPC's own account."""
    said = " ".join(said.rpartition("last error: ")[2].removeprefix("UNKNOWN: ").split())
    if not is_here and (proxy := _proxy_to(host)):
        return (
            f"No service answers at {target} through the proxy of {proxy} ({said}). "
            f"Name the host in {_list_of_exceptions()} if it can be reached without, {_ELSEWHERE}"
        )
    look_s = min(max(timeout_s / 4, _LOOK_S[0]), _LOOK_S[1])
    try:
        speaks = _look(_Place(host, port, look_s), tls=not plaintext)
    except (socket.gaierror, UnicodeError):  # UnicodeError: no name of DNS can be so
        return f"No service answers at {target}: the name '{host}' is not known. Mend --target."
    except ConnectionRefusedError:
        return (
            f"No service answers at {target}: nothing listens there. "
            f"Start one with 'paycli serve', {_ELSEWHERE}"
        )
    except TimeoutError:
        return f"{target} cannot be reached: no connection within {look_s:g} s. Look at the network, {_ELSEWHERE}"
    except OSError as problem:
        return f"{target} cannot be reached: {problem.strerror or problem}. Look at the network, {_ELSEWHERE}"
    return _sentence(target, speaks, plaintext=plaintext, timeout_s=timeout_s, said=said)


def _proxy_to(host: str) -> str:
    """The variable that makes gRPC go through a proxy; its value may hold a password.

    gRPC's rules are its own: the first variable that is there holds, be it empty, names in capitals are
    none, and a proxy is one of http.
    """
    name = next((each for each in _PROXIES if each in os.environ), "")
    listed = os.environ.get(_list_of_exceptions(), "").split(",")
    if any(_is_meant(host.lower(), each.strip().lower()) for each in listed):
        return ""
    return name if os.environ.get(name, "").startswith("http://") else ""


def _list_of_exceptions() -> str:
    """The variable that lists hosts which are reached without a proxy."""
    return _NO_PROXIES[0] if _NO_PROXIES[0] in os.environ else _NO_PROXIES[1]


def _is_meant(host: str, entry: str) -> bool:
    """Whether an entry of that list is the host, a domain that it is in, or a network."""
    if entry and f".{host}".endswith(f".{entry.removeprefix('.')}"):
        return True
    try:
        return "/" in entry and ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        return False


def _sentence(target: str, speaks: _Speaks, *, plaintext: bool, timeout_s: float, said: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in said:
        why = said.partition("CERTIFICATE_VERIFY_FAILED: ")[2].removesuffix(": OK")
        return (
            f"The certificate of {target} is not trusted ({why}). Name the authority that signed it "
            "with --ca FILE."
        )
    if found := _HTTP_STATUS.search(said):
        return (
            f"{target} is no gRPC service: it answers as a web server does (HTTP status {found[1]}). "
            f"Name the port of its gRPC service, {_ELSEWHERE}"
        )
    if "Hostname Verification" in said:
        return f"The certificate of {target} is for another host. Name the host as its certificate does, with --server-name if it has another address."
    if "CERTIFICATE_REQUIRED" in said or "HANDSHAKE_FAILURE" in said:
        return f"{target} asks its clients for a certificate. Give yours with --cert FILE and --key FILE."
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
            return _of_grpc(target, timeout_s, said)
        case _Speaks.NOTHING:
            return f"{target} takes connections but says nothing. Look whether it hangs or is no gRPC service, {_ELSEWHERE}"
        case _:
            return f"{target} speaks another protocol than gRPC. Name the port of its gRPC service, {_ELSEWHERE}"


def _of_grpc(target: str, timeout_s: float, said: str) -> str:
    """What is wrong with a place that speaks as it should."""
    if "resolv" in said:
        return f"gRPC does not understand the address {target}, though this system does. Write it in full, such as 127.0.0.1:50051."
    if "eadline" in said:
        return f"{target} did not answer within {timeout_s:g} s ({said}). Wait longer with --timeout, {_ELSEWHERE}"
    return f"{target} is there, and takes no calls ({said}). Look whether it is starting or overloaded, {_ELSEWHERE}"


def _look(place: _Place, *, tls: bool) -> _Speaks:
    """What is spoken there, tried in the wanted way first. Raises OSError when nobody is there."""
    first, second = (_greet_tls, _greet_plain) if tls else (_greet_plain, _greet_tls)
    heard = first(place)
    if heard in (_Speaks.HTTP2, _Speaks.TLS):
        return heard
    other = second(place)
    return heard if other in (_Speaks.NOTHING, _Speaks.OTHER) else other


def _greet_plain(place: _Place) -> _Speaks:
    heard = _hear(place, _HTTP2_GREETING)
    if heard is None:
        return _Speaks.NOTHING
    if len(heard) > _FRAME_TYPE_AT and heard[_FRAME_TYPE_AT] == _SETTINGS:
        return _Speaks.HTTP2
    # To the other greeting, old servers say something without a status line, or nothing.
    if (heard + (_hear(place, _HTTP1_QUESTION) or b"")).find(b"HTTP/1.") >= 0:
        return _Speaks.HTTP1
    return _Speaks.OTHER if heard else _Speaks.NOTHING


def _hear(place: _Place, question: bytes) -> bytes | None:
    """What is answered; None for silence. Raises OSError when nobody is there."""
    with socket.create_connection((place.host, place.port), place.look_s) as stream:
        try:
            stream.sendall(question)
            return stream.recv(64)
        except TimeoutError:
            return None
        except OSError:
            return b""


def _greet_tls(place: _Place) -> _Speaks:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only whether it speaks TLS; nothing is told to it
    context.set_alpn_protocols([_HTTP2])
    with socket.create_connection((place.host, place.port), place.look_s) as stream:
        try:
            with context.wrap_socket(stream, server_hostname=place.host) as secured:
                chosen = secured.selected_alpn_protocol()
        except ssl.SSLError:
            return _Speaks.OTHER
        except OSError:
            return _Speaks.NOTHING
    return _Speaks.TLS if chosen == _HTTP2 else _Speaks.TLS_ONLY
