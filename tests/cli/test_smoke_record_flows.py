"""`paycli smoke record`: what calls have of earlier answers, at servers that make ids and tokens of all kinds."""

from __future__ import annotations

import secrets
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

Data = dict[str, Any]
Method = Callable[[Data, Mapping[str, Any]], Data]  # of a request and its metadata
Call = Callable[..., Data]


class Refused(Exception):
    """The status that a call ends with."""


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
        plain = json_format.MessageToDict(request, preserving_proto_field_name=True)
        try:
            told = method(plain, dict(context.invocation_metadata()))
        except Refused as refused:
            context.abort(grpc.StatusCode[str(refused)], "")
        response = json_format.ParseDict(told, message_factory.GetMessageClass(known.output_type)())
        return response.SerializeToString()

    return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def recording(folder: Path, schema: Schema, target: str) -> Iterator[Call]:
    """What calls a method through the recorder, which writes suite.yaml at the end."""
    with recorded(folder, target, "-I", str(folder), "--force") as (channel, end):

        def make(name: str, /, *metadata: tuple[str, str], **fields: Any) -> Data:
            method = schema.method(f"a.B/{name}")
            return call(channel, method, [build_request(method, fields)], 30, metadata)

        yield make
    assert end["code"] == 0, end


def passes(folder: Path, target: str, **env: str) -> bool:
    """Whether the suite passes there; shown, if it does not."""
    code, said = replayed(folder, target, "-I", str(folder), **env)
    print(said, (folder / "suite.yaml").read_text())  # noqa: T201 - for whoever sees it fail
    return code == 0


ACCOUNTS = """
message User { string name = 1; string password = 2; }
message Token { string access_token = 1; int32 expires_in = 2; }
message Session { Token token = 1; string refresh_token = 2; string ticket = 3; }
message Ask { string refresh_token = 1; string text = 2; }
message Told { string text = 1; }
service B { rpc Login(User) returns (Session); rpc Say(Ask) returns (Told); rpc Renew(Ask) returns (Session); }
"""


def accounts() -> Mapping[str, Method]:
    """A server that tells nobody anything who has no token of its own."""
    known: set[str] = set()

    def login(request: Data, _: Mapping[str, Any]) -> Data:
        if request != {"name": "ada", "password": "hunter2-hunter2"}:
            raise Refused("UNAUTHENTICATED")
        made = [secrets.token_hex(16) for _ in range(3)]
        known.update(made)
        token = {"access_token": made[0], "expires_in": 3600}
        return {"token": token, "refresh_token": made[1], "ticket": made[2]}

    def say(request: Data, metadata: Mapping[str, Any]) -> Data:
        sent = (metadata.get("authorization", ""), metadata.get("cookie", ""))
        if not {sent[0].removeprefix("Bearer "), sent[1].removeprefix("session=")} & known:
            raise Refused("UNAUTHENTICATED")
        return {"text": f"{request['text']}!"}

    def renew(request: Data, _: Mapping[str, Any]) -> Data:
        if request.get("refresh_token") not in known:
            raise Refused("UNAUTHENTICATED")
        return login({"name": "ada", "password": "hunter2-hunter2"}, {})

    return {"Login": login, "Say": say, "Renew": renew}


def test_a_token_of_a_log_in_is_that_of_each_run(tmp_path: Path) -> None:
    schema = schema_of(tmp_path, ACCOUNTS)
    with serving(schema, accounts()) as target, recording(tmp_path, schema, target) as made:
        session = made("Login", name="ada", password="hunter2-hunter2")
        bearer = ("authorization", f"Bearer {session['token']['access_token']}")
        made("Say", bearer, text="hello")
        made("Say", ("cookie", f"session={session['ticket']}"), text="hi")
        again = made("Renew", refresh_token=session["refresh_token"])
        made("Say", ("authorization", again["token"]["access_token"]), text="bye")
    written = (tmp_path / "suite.yaml").read_text()
    told = (*session["token"].values(), *session.values(), again["token"]["access_token"])
    assert not [each for each in ("hunter2", *told) if str(each) in written]
    assert "save: {access_token: token.access_token, ticket: ticket, refresh_token:" in written
    assert 'metadata: {authorization: "Bearer ${access_token}"}' in written
    with serving(schema, accounts()) as fresh:
        assert passes(tmp_path, fresh, PASSWORD="hunter2-hunter2")
        assert not passes(tmp_path, fresh, PASSWORD="another")
