"""Command lines of grpcurl, in a script or other text, read as the calls that they make."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.descriptor import MethodDescriptor

from paycli.client.forms import documents_of, message_of
from paycli.documents import nearest
from paycli.errors import DocumentError, InputError
from paycli.scenarios.contracts import Contracts
from paycli.scenarios.recording.commands import Command, Marks, NotKnown, Unknown
from paycli.scenarios.recording.interpolated import interpolated, open_request
from paycli.scenarios.recording.listings import scripts_in
from paycli.scenarios.recording.seen import (
    Data,
    Interpolated,
    LeftOut,
    Seen,
    Unfit,
    data_of,
    method_of,
)
from paycli.scenarios.recording.shell import Shell
from paycli.scenarios.steps import is_metadata_key, is_metadata_text

# What says how the server is reached and how answers are shown, and nothing of the call.
_SWITCHES: Final = (
    *("plaintext", "insecure", "v", "vv", "emit-defaults", "format-error", "use-reflection"),
    *("allow-unknown-fields", "unix", "alts", "msg-template"),
)
_PASSED_OVER: Final = (
    *("proto", "import-path", "protoset", "reflect-header", "cacert", "cert", "key", "authority"),
    *("servername", "connect-timeout", "keepalive-time", "max-msg-sz", "user-agent"),
    *("protoset-out", "proto-out-dir", "alts-handshaker-service", "alts-target-service-account"),
)
_DATA, _MAX_TIME, _FORMAT, _EXPAND = "d", "max-time", "format", "expand-headers"
_HEADERS: Final = ("H", "rpc-header")
_ASK: Final = ("help", "h", "version")
_NO: Final = ("0", "f", "F", "false", "False", "FALSE")
_REFERENCE: Final = re.compile(r"\$\{(\w+)\}", re.ASCII)
_FLAGS: Final = (
    *(*_SWITCHES, *_PASSED_OVER, *_HEADERS, *_ASK),
    *(_DATA, _MAX_TIME, _FORMAT, _EXPAND),
)
_VERBS: Final = ("list", "describe")
_SECONDS: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")
_FLAG_MAX: Final = 30

# By its name, or that of its image, or of a variable that has it.
_PROGRAM: Final = re.compile(r"(.*/)?(grpcurl(\.exe)?([:@].*)?|\$GRPCURL)", re.DOTALL)
_IN_TEXT: Final = re.compile(r"^[ \t]*(\$ )?grpcurl\s+\S+\s", re.MULTILINE)
# Run what stands behind them as it is.
_BEFORE: Final = (
    *("sudo", "time", "env", "command", "exec", "nohup", "timeout", "nice", "run"),
    *("docker", "podman", "nerdctl", "kubectl"),
)
_SAY: Final = ("echo", "printf")


class _Mistake(Unfit):
    """What is wrong with a line, and would be for grpcurl, too."""


@dataclass(slots=True)
class _Line:
    """What is read of a command; the words are those behind `grpcurl`."""

    command: Command
    words: Sequence[str]
    path: str = "grpcurl"  # what it calls, as far as that is known
    data: str = ""
    headers: list[str] = field(default_factory=list)
    within_ms: float | None = None
    arguments: list[str] = field(default_factory=list)
    expands: bool = False  # `${NAME}` in headers
    only_asks: bool = False  # for help, or the version


def read_grpcurl(
    text: str, name: str, contracts: Contracts
) -> tuple[list[Seen | LeftOut], list[str]]:
    """The calls, those that are left out with the reason, and the addresses that they go to.

    Raises DocumentError, which calls the text `name`, if there are none, or nothing but mistakes.
    """
    reader = _Reader(name, contracts)
    variables: dict[str, list[str]] = {}
    for first, script in scripts_in(text.replace("\r\n", "\n"), name):
        for command in Shell(script, first, reader.marks, variables).commands():
            reader.hear(command)
    if not reader.entries:
        raise DocumentError(name, "there is no grpcurl command in it.")
    if reader.mistakes and not any(isinstance(each, Seen) for each in reader.entries):
        raise reader.mistakes[0]
    return reader.entries, list(reader.addresses)


class _Reader:
    """Hears commands, one after the other."""

    def __init__(self, name: str, contracts: Contracts) -> None:
        self.marks = Marks()
        self.entries: list[Seen | LeftOut] = []
        self.mistakes: list[DocumentError] = []
        self.addresses: dict[str, bool] = {}
        self._name = name
        self._contracts = contracts

    def hear(self, command: Command) -> None:
        """Note the call that it makes, or why it makes none; nothing of a command that is not grpcurl."""
        where = f"{self._name}:{command.line}"
        words = _behind_program(command.words, self.marks)
        if words is None or not (words or command.why):
            if _mentions(command.words):
                self.entries.append(LeftOut("grpcurl", "another command would run it", where))
            return
        line = _Line(command, words)
        try:
            self.entries.append(self._read(line, where))
        except Unfit as unfit:
            why = self.marks.shown(str(unfit)).rstrip(".")
            self.entries.append(LeftOut(self.marks.shown(line.path), why, where))
            if isinstance(unfit, _Mistake):
                said = why if why.endswith("?") else f"{why}."
                self.mistakes.append(DocumentError(self._name, said, command.line))

    def _read(self, line: _Line, where: str) -> Seen | LeftOut:
        if line.command.why:
            raise _Mistake(line.command.why)
        self._read_flags(line)
        if line.only_asks or set(line.arguments[:2]) & set(_VERBS):
            shown = self.marks.shown(" ".join(("grpcurl", *line.arguments)))
            return LeftOut(shown, "it calls nothing", where)
        if len(line.arguments) != 2:
            for each in line.arguments[:-2]:
                if self.marks.is_one(each):
                    raise Unfit(f"{each} may be flags, and is not known here")
            count = len(line.arguments)  # what they are may be secret
            raise _Mistake(
                f"a call has an address and a method, and here are {count} words besides flags"
            )
        address, line.path = line.arguments
        self.addresses[self.marks.shown(address)] = True
        service, _, name = line.path.rpartition("/" if "/" in line.path else ".")
        if not service or not name:
            raise _Mistake(f"'{line.path}' is no method; write package.Service/Method")
        if self.marks.within(line.path):
            raise Unfit("its method is not known here")
        line.path = f"{service}/{name}"
        method = method_of(line.path, self._contracts)
        headers = [self._header(each, expands=line.expands) for each in line.headers]
        requests = self._requests(line, method)
        return Seen(method, headers, requests, within_ms=line.within_ms, where=where)

    def _read_flags(self, line: _Line) -> None:
        words = iter(line.words)
        for word in words:
            if not word.startswith("-") or word == "-":
                line.arguments.append(word)
                continue
            flag, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
            if not flag:  # what is behind -- are no flags
                line.arguments += words
            elif flag not in _FLAGS:
                flag = flag[:_FLAG_MAX].partition(":")[0]
                raise _Mistake(f"the flag -{flag} is not known here; {nearest(flag, _FLAGS)}")
            elif flag == _EXPAND:
                line.expands = value not in _NO
            elif flag in _ASK:
                line.only_asks = True
            elif flag not in _SWITCHES:
                if not equals and (value := next(words, "\0")) == "\0":
                    raise _Mistake(f"-{flag} has no value")
                self._take(line, flag, value)

    def _take(self, line: _Line, flag: str, value: str) -> None:
        if flag == _DATA:
            line.data = self._stdin(line.command) if value == "@" else value
        elif flag in _HEADERS:
            line.headers.append(value)
        elif flag in (_MAX_TIME, _FORMAT) and self.marks.within(value):
            raise Unfit(f"its -{flag} is {value}, which is not known here")
        elif flag == _MAX_TIME:
            if not _SECONDS.fullmatch(value):
                raise _Mistake(f"-{flag} takes seconds, such as 2.5; '{value}' is none")
            line.within_ms = round(float(value) * 1000, 3) or None  # 0 is no limit
        elif flag == _FORMAT and value != "json":
            raise _Mistake(f"-{flag} {value}: only data in JSON is read")

    def _stdin(self, command: Command) -> str:
        try:
            given = command.stdin()
        except NotKnown as problem:
            raise Unfit(f"-d @: {problem}") from problem
        if given is None:
            raise _Mistake("-d @ reads what is not here; write it with -d, or after << EOF")
        return given

    def _header(self, written: str, *, expands: bool) -> tuple[str, str | Interpolated]:
        if expands:
            written = _REFERENCE.sub(lambda found: self.marks.put(Unknown(found[1])), written)
        name, colon, text = written.partition(":")
        if not colon:
            raise _Mistake("-H takes 'name: value'")
        key, value = name.strip().lower(), text.strip()
        is_said = bool(value) and is_metadata_text(value) and not self.marks.within(key)
        if not key.startswith("grpc-") and not (is_metadata_key(key) and is_said):
            raise Unfit(f"its metadata has {key}, which suites do not send so")
        return key, interpolated(value, key, self.marks)

    def _requests(self, line: _Line, method: MethodDescriptor) -> list[Data]:
        if method.client_streaming and not line.data:
            return []
        kind = method.input_type
        try:
            marked = bool(self.marks.within(line.data))
            # A variable stands bare where JSON has a number.
            documents = documents_of(line.data or "{}", "-d", lenient=marked)
            if len(documents) != 1 and not method.client_streaming:
                raise _Mistake(f"-d has {len(documents)} documents; a request is one")
            if marked:
                return [open_request(method, each, self.marks) for each in documents]
            messages = [message_of(kind, each, kind.file.pool, "-d") for each in documents]
        except InputError as problem:
            raise _Mistake(str(problem)) from problem
        return [data_of(kind, each.SerializeToString(), "request") for each in messages]


def _behind_program(words: Sequence[str], marks: Marks) -> Sequence[str] | None:
    """What grpcurl is given by a command that runs it."""
    shown = (marks.shown(each) for each in words)
    at = next((n for n, each in enumerate(shown) if _PROGRAM.fullmatch(each)), None)
    if at is None or "install" in words[:at]:
        return None
    if at and words[0].rpartition("/")[2] not in _BEFORE:
        return None
    while words[at + 1 :] and _PROGRAM.fullmatch(words[at + 1]):  # of a container that is called so
        at += 1
    return words[at + 1 :]


def _mentions(words: Sequence[str]) -> bool:
    """Whether a command that runs something else has a call of grpcurl in its words."""
    if words and words[0] in _SAY:
        return False
    programs = (n for n, each in enumerate(words) if n and _PROGRAM.fullmatch(each))
    behind = (each for n in programs for each in words[n + 1 :] if each.startswith("-"))
    flags = (each.lstrip("-").partition("=")[0] for each in behind)
    return any(each in _FLAGS for each in flags) or any(map(_IN_TEXT.search, words))
