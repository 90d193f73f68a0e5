"""TLS of a server: certificate and key from files, read again when they are renewed.

A new pair is used for connections that begin after it was put there; those that are open go on. A pair
that does not fit is said once, and the one before it stays in use.
"""

from __future__ import annotations

import base64
import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import grpc

from paycli.errors import InputError

_log = logging.getLogger(__name__)

# By the beginning of a PKCS#8 key, as object identifiers.
_UNFIT_KEYS: Final = {
    "Ed25519": bytes.fromhex("06032b6570"),
    "Ed448": bytes.fromhex("06032b6571"),
    "RSA-PSS": bytes.fromhex("06092a864886f70d01010a"),
    "P-521": bytes.fromhex("06052b81040023"),
}
_STEPS: Final = 4  # a handshake needs fewer turns


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the server's certificates (its own first), its key, and who signs its clients."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """For one address of a server; clients have to show a certificate if there is a `client_ca`.

    Raises InputError for files that cannot be read, do not match, or are not valid now.
    """
    certificates = _Certificates(files)
    fetch: Any = certificates.renewed  # None means no change; the stubs do not know
    return grpc.dynamic_ssl_server_credentials(
        certificates.read(), fetch, require_client_authentication=files.client_ca is not None
    )


class _Certificates:
    """What new connections are served with."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._marks = self._look()
        self._complained = False

    def renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """What is new since the last connection; None for nothing. grpc asks from its own threads."""
        marks = self._look()
        if marks == self._marks:
            return None
        try:
            renewed = self.read()
        except InputError as problem:  # most likely only one of the files is there yet
            if not self._complained:
                _log.warning("the renewed certificate is not used: %s", problem)
            self._complained = True
            return None
        self._marks, self._complained = marks, False
        _log.info("new connections get the certificate of %s", self._files.certificate)
        return renewed

    def _look(self) -> list[tuple[int, int, int] | None]:
        files = (self._files.certificate, self._files.key, self._files.client_ca)
        return [_mark(path) for path in files if path is not None]

    def read(self) -> grpc.ServerCertificateConfiguration:
        files = self._files
        certificate, key = _content(files.certificate), _content(files.key)
        client_ca = _content(files.client_ca) if files.client_ca is not None else None
        _refuse_unfit_key(files.key, key)
        _refuse_unfit_pair(files)
        if files.client_ca is not None:
            _refuse_unfit_authority(files.client_ca)
        return grpc.ssl_server_certificate_configuration([(key, certificate)], client_ca)


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror}.") from problem


def _refuse_unfit_pair(files: TlsFiles) -> None:
    """By a handshake with ourselves: it says what a client would meet, and with grpc in between
    nobody would ever hear of it.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(files.certificate, files.key, lambda: _refuse_encrypted(files.key))
    except ssl.SSLError as problem:
        raise InputError(_why_not(files, problem)) from problem
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # our own word for it is enough
    client.load_verify_locations(files.certificate)
    try:
        _shake_hands(server, client)
    except ssl.SSLCertVerificationError as problem:
        raise InputError(f"{files.certificate}: {problem.verify_message}.") from problem
    except ssl.SSLError as problem:
        raise InputError(f"{files.certificate} serves nobody: {problem.reason}.") from problem


def _refuse_unfit_key(key: Path, content: bytes) -> None:
    """gRPC's own TLS knows fewer kinds than Python's."""
    body = b"".join(content.partition(b"PRIVATE KEY-----")[2].partition(b"-----END")[0].split())
    try:
        kind = base64.b64decode(body, validate=True)
    except ValueError:
        return  # which is said by whoever loads it
    for name, oid in _UNFIT_KEYS.items():
        if oid in kind[:64] or (name == "P-521" and oid in kind):
            raise InputError(
                f"{key}: gRPC serves no {name} keys; take RSA, or EC on P-256 or P-384."
            )


def _refuse_encrypted(key: Path) -> NoReturn:
    raise InputError(
        f"{key} is encrypted; a server needs its key in the clear, readable by it alone."
    )


def _why_not(files: TlsFiles, problem: ssl.SSLError) -> str:
    if problem.reason == "KEY_VALUES_MISMATCH":
        return f"{files.key} is not the key of {files.certificate}."
    for path, what in ((files.certificate, "CERTIFICATE"), (files.key, "PRIVATE KEY")):
        if f"{what}-----" not in path.read_text(encoding="latin-1"):
            return f"{path} holds no '-----BEGIN {what}-----', as PEM files do."
    return f"{files.certificate} and {files.key} cannot be used: {problem.reason or problem}."


def _refuse_unfit_authority(path: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except ssl.SSLError as problem:
        raise InputError(f"{path} holds no certificate of an authority.") from problem


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(_STEPS):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
