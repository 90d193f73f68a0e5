"""How a client gets in: TLS or not, whom it trusts, who it is, and what it says with each call."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from paycli.errors import InputError
from paycli.wire_names import IDEMPOTENCY_KEY

Header = tuple[str, str]

_NAME: Final = re.compile(r"[0-9a-z_.-]+")
_VALUE: Final = re.compile(r"[ -~]*")  # what HTTP/2 carries of gRPC's metadata: printable ASCII
_TOKEN_BYTES_MAX: Final = 65_536
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")  # RFC 6750
# What a connection says of itself, and not a caller.
_OF_HTTP: Final = ("te", "content-type", "user-agent", "host", "connection", "transfer-encoding")
_AUTHORIZATION: Final = "authorization"


class Access(NamedTuple):
    """`plaintext` None: by the target. `ca` are PEM certificates to trust instead of the system's,
    `certificate` and `key` the client's own, `server_name` what the server's certificate says.
    `headers` go with each call; they may be secret.
    """

    plaintext: bool | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""
    headers: tuple[Header, ...] = ()

    def words(self) -> list[str]:
        """The options that say the same on a command line, but for what may be secret."""
        words: list[str] = []
        if self.plaintext is not None:
            words.append("--plaintext" if self.plaintext else "--tls")
        files = {"--ca": self.ca, "--cert": self.certificate, "--key": self.key}
        for option, path in files.items():
            words += [option, str(path)] if path is not None else []
        return words + (["--server-name", self.server_name] if self.server_name else [])


ANYHOW: Final = Access()


def access_of(
    plaintext: bool | None,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    server_name: str | None,
    token: str | None,
    headers: Sequence[str],
) -> Access:
    """The access that options ask for. A token is itself, or @FILE. Raises InputError."""
    if (certificate is None) != (key is None):
        raise InputError("A certificate of one's own takes both: --cert FILE and --key FILE.")
    about_tls = ca or certificate or server_name
    if about_tls and plaintext:
        raise InputError(
            "--ca, --cert, --key and --server-name are for TLS; leave out --plaintext."
        )
    if ca is not None:
        _refuse_unfit_authority(ca)
    if certificate is not None and key is not None:
        _refuse_unfit_pair(certificate, key)
    given = [_header(each) for each in headers]
    if token is not None:
        if any(name == _AUTHORIZATION for name, _ in given):
            raise InputError("Give either --token or -H 'authorization: …'; a call has one.")
        given.append((_AUTHORIZATION, f"Bearer {_token(token)}"))
    encrypted = False if about_tls else plaintext
    return Access(encrypted, ca, certificate, key, server_name or "", tuple(given))


def _header(text: str) -> Header:
    name, colon, value = text.partition(":")
    name, value = name.strip().lower(), value.strip()
    if not colon or not _NAME.fullmatch(name):
        raise InputError("-H takes 'name: value', with a name of a-z, 0-9, '.', '_' and '-'.")
    if name == IDEMPOTENCY_KEY:
        raise InputError(f"-H {name}: a payment's key is given with --idempotency-key KEY.")
    if (
        name.startswith("grpc-")
        or name in _OF_HTTP
        or name.endswith("-bin")
        or not _VALUE.fullmatch(value)
    ):
        raise InputError(
            f"-H {name}: names of gRPC and HTTP/2 themselves, bytes (-bin) and other letters than ASCII "
            "cannot be sent so."
        )
    return name, value


def _token(given: str) -> str:
    """What is given may be secret: no error says it."""
    token = given
    if given.startswith("@"):
        path = Path(given[1:])
        try:
            with path.open("rb") as file:
                token = file.read(_TOKEN_BYTES_MAX).decode("utf-8").strip()
        except (OSError, UnicodeDecodeError) as problem:
            why = getattr(problem, "strerror", None) or "no UTF-8"
            raise InputError(f"The token's file {path} cannot be read: {why}.") from problem
    if not _TOKEN.fullmatch(token):
        raise InputError("The token is empty, or has characters that no token has.")
    return token


def _refuse_unfit_authority(path: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as problem:  # an SSLError is one
        raise InputError(f"--ca {path} holds no certificates: {_why(problem)}.") from problem


def _refuse_unfit_pair(certificate: Path, key: Path) -> None:
    def refuse() -> NoReturn:
        raise InputError(f"--key {key} is encrypted; give it in the clear, readable by you alone.")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, refuse)
    except OSError as problem:
        said = f"--cert {certificate} and --key {key} cannot be used together"
        raise InputError(f"{said}: {_why(problem)}.") from problem


def _why(problem: OSError) -> str:
    reason = getattr(problem, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else problem.strerror or "not PEM"
