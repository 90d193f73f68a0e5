"""Requests of a template: `${uuid}`, `${n}` and `${env:NAME}` in it are filled in for each call."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence

from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from paycli.client.forms import message_of
from paycli.errors import InputError
from paycli.placeholders import UUID, expand

_NAME = "DATA"


class Template:
    """Calling it makes the bytes of the next call's requests: one, or those of a stream.

    Where only UUIDs differ they are put into bytes that are ready, which costs a tenth.
    """

    def __init__(
        self,
        kind: Descriptor,
        pool: DescriptorPool,
        documents: Sequence[object],
        numbers: Iterator[int],
    ) -> None:
        """Raises InputError for what does not fit the message, or nothing fills."""
        self._kind, self._pool, self._documents, self._numbers = kind, pool, documents, numbers
        self._ready = [_ready(self._bytes, each) for each in documents]

    def __call__(self) -> list[bytes]:
        """The requests of one more call."""
        number = str(next(self._numbers))
        return [
            self._bytes(each, number) if parts is None else _joined(parts)
            for each, parts in zip(self._documents, self._ready, strict=True)
        ]

    def _bytes(self, document: object, number: str) -> bytes:
        filled = _filled(document, lambda text: expand(text, {"n": lambda: number}))
        return message_of(self._kind, filled, self._pool, _NAME).SerializeToString()


def _ready(bytes_of: Callable[[object, str], bytes], document: object) -> list[bytes] | None:
    """The request in parts with a fresh UUID between any two; None where more than that differs."""
    stands_for: list[str] = []

    def mark(text: str) -> str:
        before, *more = text.split(UUID)
        for each in more:
            stands_for.append(str(uuid.uuid4()))
            before += stands_for[-1] + each
        return before

    try:
        marked = _filled(document, mark)
        one, other = bytes_of(marked, "1"), bytes_of(marked, "2")
    except ValueError as problem:
        raise InputError(f"{_NAME}: {problem}") from problem
    places = sorted((one.find(each.encode()), each) for each in stands_for)
    if one != other or any(at < 0 or one.count(each.encode()) > 1 for at, each in places):
        return None
    parts, begin = [], 0
    for at, each in places:
        parts.append(one[begin:at])
        begin = at + len(each)
    return [*parts, one[begin:]]


def _joined(parts: Sequence[bytes]) -> bytes:
    first, *more = parts
    return first + b"".join(str(uuid.uuid4()).encode() + each for each in more)


def _filled(value: object, fill: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return fill(value)
    if isinstance(value, Mapping):
        return {name: _filled(each, fill) for name, each in value.items()}
    if isinstance(value, Sequence):
        return [_filled(each, fill) for each in value]
    return value


def files_of(kind: Descriptor) -> FileDescriptorSet:
    """The file of a message and all that it imports, for another process."""
    found: dict[str, FileDescriptorProto] = {}

    def add(file: FileDescriptor) -> None:
        if file.name not in found:
            for each in file.dependencies:
                add(each)
            found[file.name] = FileDescriptorProto()
            file.CopyToProto(found[file.name])

    add(kind.file)
    return FileDescriptorSet(file=found.values())
