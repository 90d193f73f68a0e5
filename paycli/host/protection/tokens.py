"""Bearer tokens: who may call, and what, from a file of hashes.

    # name  scopes       sha256 of the token
    till-7  write        3b5d5c3712955042212316173ccf37be...
    office  read,write   81b637d8fcd2c6da6359e6963113a117...

A token is 32 random bytes, so a plain hash of it tells nothing. The file is read again when it changes;
a mistake is said once, lets in nobody new, and keeps out whose line is gone.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from paycli.errors import DocumentError, InputError
from paycli.host.protection.scopes import Scope

_log = logging.getLogger(__name__)

PREFIX: Final = "paycli_"  # so that whoever searches for leaked secrets knows one
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_OTHERS: Final = 0o077
_LOOK_EACH_S: Final = 1.0


class Token(NamedTuple):
    """Who has it, and what they may."""

    name: str
    scopes: frozenset[Scope]


def make_token(name: str, scopes: frozenset[Scope]) -> tuple[str, str]:
    """A new token, and its line for the file. Raises InputError for a name that is none."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"'{name}' is no name for a token; take letters, digits, '.', '_' and '-'."
        )
    token = PREFIX + secrets.token_urlsafe(32)
    listed = ",".join(scope for scope in Scope if scope in scopes)
    return token, f"{name} {listed} {_hash(token)}"


class Tokens:
    """The tokens of a file."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for a file that cannot be read, or by others too; DocumentError."""
        self._path = path
        self._mark = _mark(path)
        self._tokens = _read(path)
        self._looked = time.monotonic()

    def find(self, token: str) -> Token | None:
        """Whose token it is; None for nobody's."""
        self._look_again()
        wanted = _hash(token)
        found = None
        for hashed, each in self._tokens.items():  # all of them: time says nothing of any
            if hmac.compare_digest(hashed, wanted):
                found = each
        return found

    def _look_again(self) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_EACH_S:
            return
        self._looked = now
        mark = _mark(self._path)
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._tokens = _read(self._path, nobody=True)
        except InputError as problem:
            self._tokens = _still_there(self._tokens, self._path)
            _log.warning("no token is added: %s", problem)
        else:
            _log.info("%d tokens are taken from %s", len(self._tokens), self._path)


def _mark(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _still_there(tokens: Mapping[str, Token], path: Path) -> Mapping[str, Token]:
    """Those whose line is in a file that has a mistake elsewhere: who was taken out stays out."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return tokens
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # it is gone, perhaps for a moment
        return tokens
    said = {word for line in lines if not line.lstrip().startswith("#") for word in line.split()}
    return {hashed: token for hashed, token in tokens.items() if hashed in said}


def _read(path: Path, *, nobody: bool = False) -> Mapping[str, Token]:
    """The tokens of a file, of which there may be none if `nobody`."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # reading a pipe may never end
            raise InputError(f"{path} is no file.")
        if mode & _OTHERS:
            raise InputError(f"{path} may be read by others; run 'chmod 600 {path}'.")
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror}.") from problem
    except UnicodeDecodeError as problem:
        raise InputError(f"{path} is no UTF-8.") from problem
    tokens: dict[str, Token] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            hashed, token = _parse(words, path, number)
            if hashed in tokens:
                raise DocumentError(path, f"{tokens[hashed].name} has the same token.", number)
            tokens[hashed] = token
    if not tokens and not nobody:
        raise InputError(f"{path} has no token; make one with 'paycli serve token NAME'.")
    return tokens


def _parse(words: list[str], path: Path, line: int) -> tuple[str, Token]:
    if len(words) != 3 or not _NAME.fullmatch(words[0]):
        raise DocumentError(path, "a line is a name, scopes and a hash.", line)
    name, listed, hashed = words
    if hashed.startswith(PREFIX):
        raise DocumentError(path, "that is a token; the file holds their hashes.", line)
    if not _HASH.fullmatch(hashed):
        raise DocumentError(path, "a hash is 64 hexadecimal digits.", line)
    known = {scope.value for scope in Scope}
    wrong = [scope for scope in listed.split(",") if scope not in known]
    if wrong:
        raise DocumentError(
            path, f"'{wrong[0]}' is no scope; they are {', '.join(sorted(known))}.", line
        )
    return hashed, Token(name, frozenset(map(Scope, listed.split(","))))
