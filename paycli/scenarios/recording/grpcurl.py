"""Command lines of grpcurl, read as the calls that they make."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.descriptor import MethodDescriptor

from paycli.client.forms import documents_of, message_of
from paycli.documents import nearest
from paycli.errors import DocumentError, InputError
from paycli.scenarios.contracts import Contracts
from paycli.scenarios.recording.seen import Data, LeftOut, Seen, Unfit, data_of, method_of

# What says how the server is reached and how answers are shown, and nothing of the call.
_SWITCHES: Final = (
    *("plaintext", "insecure", "v", "vv", "emit-defaults", "format-error", "use-reflection"),
    *("allow-unknown-fields", "unix", "alts", "expand-headers", "msg-template"),
)
_PASSED_OVER: Final = (
    *("proto", "import-path", "protoset", "reflect-header", "cacert", "cert", "key", "authority"),
    *("servername", "connect-timeout", "keepalive-time", "max-msg-sz", "user-agent"),
)
_DATA, _MAX_TIME, _FORMAT = "d", "max-time", "format"
_HEADERS: Final = ("H", "rpc-header")
_FLAGS: Final = (*_SWITCHES, *_PASSED_OVER, _DATA, _MAX_TIME, _FORMAT, *_HEADERS)
_VERBS: Final = ("list", "describe")
_SECONDS: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")
_FLAG_MAX: Final = 30
_ASSIGNED: Final = re.compile(r"\w+=.*", re.DOTALL)  # before a command, for it alone
_COMMAND_MAX: Final = 100_000  # characters


@dataclass(slots=True)
class _Line:
    """One command; `line` is where it begins, from 1."""

    name: str
    line: int
    words: list[str]
    stdin: str | None = None
    data: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    within_ms: float | None = None
    arguments: list[str] = field(default_factory=list)

    def error(self, why: str) -> DocumentError:
        return DocumentError(self.name, why, self.line)


def read_grpcurl(
    text: str, name: str, contracts: Contracts
) -> tuple[list[Seen | LeftOut], list[str]]:
    """The calls, and the addresses that they go to. Raises DocumentError, which calls the text `name`."""
    entries: list[Seen | LeftOut] = []
    addresses: dict[str, bool] = {}
    for each in _commands(text, name):
        _read_flags(each)
        if (each.arguments[-1:] and each.arguments[-1] in _VERBS) or _VERBS[1] in each.arguments:
            entries.append(LeftOut(f"grpcurl {' '.join(each.arguments)}", "it calls nothing"))
            continue
        if len(each.arguments) != 2:
            count = len(each.arguments)  # what they are may be secret
            raise each.error(
                f"a call has an address and a method, and here are {count} words besides flags."
            )
        addresses[each.arguments[0]] = True
        entries.append(_call(each, each.arguments[1], contracts))
    if not entries:
        raise DocumentError(name, "there is no grpcurl command in it.")
    return entries, list(addresses)


def _commands(text: str, name: str) -> Iterator[_Line]:
    lines = iter(enumerate(text.split("\n"), 1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = _words(line.lstrip().removeprefix("$ ").removesuffix("\r"), lines, name, number)
        while words and _ASSIGNED.fullmatch(words[0]):
            del words[0]
        found = _Line(name, number, words)
        if not words:
            continue
        if found.words[0].rpartition("/")[2] != "grpcurl":
            raise found.error(f"'{found.words[0]}' is not grpcurl; a line is one command of it.")
        found.words = list(_with_stdin(found, lines))
        yield found


def _words(line: str, lines: Iterator[tuple[int, str]], name: str, number: int) -> list[str]:
    """The words of a command, with the lines on which it goes on: after a backslash, or within quotes."""
    command = line
    while True:
        try:
            return shlex.split(command)
        except ValueError as problem:
            _, more = next(lines, (0, None))
            if more is None or len(command) > _COMMAND_MAX:
                raise DocumentError(name, f"the command has no end: {problem}.", number) from None
            more = more.removesuffix("\r")
            goes_on = "escaped" in str(problem)
            command = f"{command[:-1]}{more}" if goes_on else f"{command}\n{more}"


def _with_stdin(found: _Line, lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    """The words without a here-document, which is taken from the lines that follow."""
    words = iter(found.words[1:])
    for word in words:
        if word.startswith("<<<"):
            found.stdin = word[3:] or next(words, "")
        elif word.startswith("<<"):
            end = word[2:] or next(words, "")
            taken = []
            for _, line in lines:
                if line.strip() == end:
                    break
                taken.append(line)
            else:
                raise found.error(f"there is no line '{end}' that ends what is after '<<'.")
            found.stdin = "\n".join(taken)
        else:
            yield word


def _read_flags(found: _Line) -> None:
    words = iter(found.words)
    for word in words:
        if not word.startswith("-") or word == "-":
            found.arguments.append(word)
            continue
        flag, equals, value = word.lstrip("-").partition("=")
        if flag not in _FLAGS:
            flag = flag[:_FLAG_MAX].partition(":")[0]
            raise found.error(f"the flag -{flag} is not known here; {nearest(flag, _FLAGS)}")
        if flag in _SWITCHES:
            continue
        if not equals:
            given = next(words, None)
            if given is None:
                raise found.error(f"-{flag} has no value.")
            value = given
        _take(found, flag, value)


def _take(found: _Line, flag: str, value: str) -> None:
    if flag == _DATA:
        if value == "@" and found.stdin is None:
            raise found.error("-d @ reads what is not here; write it with -d, or after << EOF.")
        found.data = found.stdin if value == "@" else value
    elif flag in _HEADERS:
        name, colon, text = value.partition(":")
        if not colon:
            raise found.error(f"-{flag} takes 'name: value'.")
        found.headers.append((name.strip().lower(), text.strip()))
    elif flag == _MAX_TIME:
        if not _SECONDS.fullmatch(value) or not float(value):
            raise found.error(f"-{flag} takes seconds, such as 2.5; '{value}' is none.")
        found.within_ms = round(float(value) * 1000, 3)
    elif flag == _FORMAT and value != "json":
        raise found.error(f"-{flag} {value}: only data in JSON is read.")


def _call(found: _Line, symbol: str, contracts: Contracts) -> Seen | LeftOut:
    service, slash, method = symbol.rpartition("/")
    if not slash:
        service, _, method = symbol.rpartition(".")
    if not service or not method:
        raise found.error(f"'{symbol}' is no method; write package.Service/Method.")
    path = f"{service}/{method}"
    try:
        known = method_of(path, contracts)
        return Seen(known, found.headers, _requests(found, known), within_ms=found.within_ms)
    except Unfit as unfit:
        return LeftOut(path, str(unfit))


def _requests(found: _Line, method: MethodDescriptor) -> list[Data]:
    name = f"{found.name}:{found.line}: -d"
    if method.client_streaming and not found.data:
        return []
    try:
        documents = documents_of(found.data or "{}", name)
        if len(documents) != 1 and not method.client_streaming:
            raise found.error(f"-d has {len(documents)} documents; a request is one.")
        kind = method.input_type
        messages = [message_of(kind, each, kind.file.pool, name) for each in documents]
    except DocumentError:
        raise
    except InputError as problem:
        raise found.error(str(problem)) from problem
    return [data_of(kind, each.SerializeToString(), "request") for each in messages]
