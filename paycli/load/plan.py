"""What a generator process is told, as JSON on its stdin: once a plan, then one turn after another."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from paycli.client.access import Access
from paycli.client.schema import path_of, schema_of_files
from paycli.load.templates import Template, files_of

STOP: Final = b'"stop"\n'


@dataclass(frozen=True, slots=True)
class Plan:
    """What to call, and how. `first` and `step` number the calls of one generator among several."""

    access: tuple[Any, ...]
    path: str
    is_client_streaming: bool
    is_server_streaming: bool
    loader: str
    timeout_s: float
    files: str
    input_type: str
    documents: list[object]
    first: int = 1
    step: int = 1

    def template(self) -> Template:
        """What makes the requests. Raises InputError."""
        from itertools import count

        files = FileDescriptorSet.FromString(base64.b64decode(self.files))
        schema = schema_of_files(files)
        kind = schema.message(self.input_type)
        return Template(kind, schema.pool, self.documents, count(self.first, self.step))

    def to_access(self) -> Access:
        """How to get in."""
        plaintext, ca, cert, key, name, headers = self.access
        ca, cert, key = (None if each is None else Path(each) for each in (ca, cert, key))
        return Access(plaintext, ca, cert, key, name, tuple((n, v) for n, v in headers))


@dataclass(frozen=True, slots=True)
class Turn:
    """So many seconds of load by one generator: so many callers, or calls by the clock.

    `phase` is where in its own first interval a generator begins, so that several do not beat together.
    """

    target: str
    seconds: float
    warm_up_s: float
    bin_s: float
    concurrency: int | None
    rate: float | None
    phase: float = 0.0


def plan_of(
    access: Access,
    method: MethodDescriptor,
    documents: list[object],
    loader: str,
    timeout_s: float,
) -> Plan:
    """Of a method that a schema has told of."""
    files = files_of(method.input_type).SerializeToString()
    given = tuple(str(each) if isinstance(each, Path) else each for each in access)
    return Plan(
        given,
        f"/{path_of(method)}",
        method.client_streaming,
        method.server_streaming,
        loader,
        timeout_s,
        base64.b64encode(files).decode(),
        method.input_type.full_name,
        documents,
    )


def line_of(value: Plan | Turn) -> bytes:
    """As a line of JSON."""
    return json.dumps(asdict(value)).encode() + b"\n"
