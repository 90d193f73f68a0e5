"""Small servers of any protos, recorded by `paycli smoke record`, and suites that are run against others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format, message_factory

from paycli.cli.schemas import local_schema
from paycli.client.calls import build_request, call
from paycli.client.schema import Schema
from tests.chaos.test_proxy import target_of
from tests.cli.test_smoke_record import recorded, replayed
from tests.client.odd_service import end

Data = dict[str, Any]
Method = Callable[[Data, Mapping[str, Any]], Data]  # of a request and its metadata
Call = Callable[..., Data]


class Refused(Exception):
    """The status that a call ends with, and perhaps the reason of an ErrorInfo."""


def schema_of(folder: Path, proto: str) -> Schema:
    """What `-I` of the folder has: package a, with a service B."""
    imports = (f'import "google/protobuf/{each}.proto";' for each in ("any", "duration", "struct"))
    (folder / "a.proto").write_text(f'syntax = "proto3"; package a; {" ".join(imports)}\n{proto}')
    schema = local_schema([folder], None)
    assert schema is not None
    return schema


@contextmanager
def serving(schema: Schema, methods: Mapping[str, Method]) -> Iterator[str]:
    """A server of the methods."""
    handlers = {name: _handler(schema, name, method) for name, method in methods.items()}
    with target_of(**handlers) as target:
        yield target


def _handler(schema: Schema, name: str, method: Method) -> Any:
    known = schema.method(f"a.B/{name}")

    def answer(content: bytes, context: grpc.ServicerContext) -> bytes:
        request = message_factory.GetMessageClass(known.input_type).FromString(content)
        pool: Any = known.input_type.file.pool
        plain = json_format.MessageToDict(
            request, preserving_proto_field_name=True, descriptor_pool=pool
        )
        try:
            told = method(plain, dict(context.invocation_metadata()))
        except Refused as refused:
            code, *reason = refused.args
            domain = "a.example" if reason else None
            end(context, grpc.StatusCode[code], "", domain=domain, reason="".join(reason))
        response = message_factory.GetMessageClass(known.output_type)()
        json_format.ParseDict(told, response, descriptor_pool=pool)
        return response.SerializeToString()

    return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def recording(folder: Path, schema: Schema, target: str) -> Iterator[Call]:
    """What calls a method through the recorder, which writes suite.yaml at the end."""
    with recorded(folder, target, "-I", str(folder), "--force") as (channel, ended):

        def make(name: str, /, *metadata: tuple[str, str], **fields: Any) -> Data:
            method = schema.method(f"a.B/{name}")
            return call(channel, method, [build_request(method, fields)], 30, metadata)

        yield make
    assert ended["code"] == 0, ended


def passes(folder: Path, target: str, **env: str) -> bool:
    """Whether the suite passes there; shown, if it does not."""
    code, said = replayed(folder, target, "-I", str(folder), **env)
    print(said, (folder / "suite.yaml").read_text())  # noqa: T201 - for whoever sees it fail
    return code == 0
