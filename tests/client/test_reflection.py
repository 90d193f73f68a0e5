"""What servers tell of themselves, right and wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from google.protobuf import any_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2 as pb

from paycli.client.channel import connect
from paycli.client.forms import message_of
from paycli.client.outlines import overview
from paycli.client.schema import schema_of_server
from paycli.errors import InputError, NotTaken, PaycliError, RemoteError
from tests.client.odd_reflection import Tell, echo, odd_file, of_files, telling
from tests.conftest import run_paycli


def garbage(request: pb.ServerReflectionRequest) -> Iterator[pb.ServerReflectionResponse]:
    answer = pb.ServerReflectionResponse()
    if request.HasField("list_services"):
        answer.list_services_response.service.add(name="odd.Odd")
    else:
        answer.file_descriptor_response.file_descriptor_proto.append(b"\xff\xff garbage")
    yield answer


def late(_: pb.ServerReflectionRequest) -> Iterator[pb.ServerReflectionResponse]:
    time.sleep(2)
    yield pb.ServerReflectionResponse()


def denied(_: pb.ServerReflectionRequest) -> Iterator[pb.ServerReflectionResponse]:
    answer = pb.ServerReflectionResponse()
    answer.error_response.error_code = 7
    answer.error_response.error_message = "not\nyours"
    yield answer


def silent(_: pb.ServerReflectionRequest) -> Iterator[pb.ServerReflectionResponse]:
    yield from ()


def chain(length: int) -> list[FileDescriptorProto]:
    """A file that imports one that imports one, and so on."""
    imported = [
        FileDescriptorProto(name=f"{n}.proto", syntax="proto3", dependency=[f"{n + 1}.proto"])
        for n in range(length)
    ]
    last = FileDescriptorProto(name=f"{length}.proto", syntax="proto3")
    return [odd_file(dependency=["0.proto"]), *imported, last]


def wide() -> FileDescriptorProto:
    """More than gRPC takes by itself."""
    file = odd_file()
    for number in range(60_000):
        file.message_type.add(name=f"A{number:080}")
    assert file.ByteSize() > 5_000_000
    return file


def of_type(kind: str) -> FileDescriptorProto:
    file = odd_file()
    file.service[0].method[0].input_type = kind
    return file


@pytest.mark.parametrize(
    "tell",
    [
        of_files(odd_file()),
        of_files(odd_file(syntax="editions", edition=1000)),
        of_files(odd_file(syntax="editions", edition=1001)),
        of_files(odd_file(), services=["gone.Gone", "odd.Odd"]),
        of_files(odd_file(), services=["odd.Odd", "odd.Odd"]),
        of_files(*chain(400)),
        of_files(wide()),
    ],
    ids=["plain", "edition 2023", "edition 2024", "one is gone", "listed twice", "deep", "wide"],
)
def test_is_understood(tell: Tell) -> None:
    with telling(tell) as target, connect(target, 20) as channel:
        schema = schema_of_server(channel, 20)
        assert schema.method("Say").full_name == "odd.Odd.Say"
        assert "  rpc Say(odd.Ask) returns (odd.Ask);" in list(overview(schema))


CYCLE = FileDescriptorProto(name="b.proto", syntax="proto3", dependency=["odd.proto"])
FAKE = FileDescriptorProto(name="google/protobuf/any.proto", package="google.protobuf")
FAKE.message_type.add(name="Any")
FAKED = "any.proto declares a google.protobuf.Any that is not protobuf's own"
UNTOLD = "odd.proto imports gone.proto, of which it does not tell"


@pytest.mark.parametrize(
    ("tell", "kind", "said"),
    [
        (of_files(odd_file(dependency=["gone.proto"])), RemoteError, UNTOLD),
        (of_files(odd_file(dependency=["odd.proto"])), RemoteError, "odd.proto imports itself"),
        (of_files(odd_file(dependency=["b.proto"]), CYCLE), RemoteError, "by way of b.proto"),
        (of_files(*chain(600)), RemoteError, "times over"),
        (of_files(odd_file(dependency=["google/protobuf/any.proto"]), FAKE), RemoteError, FAKED),
        (of_files(odd_file(syntax="proto9")), RemoteError, "Invalid syntax 'proto9'"),
        (of_files(of_type(".odd.Nope")), RemoteError, "couldn't resolve name '.odd.Nope'"),
        (of_files(odd_file(), services=["gone.Gone"]), RemoteError, "does not tell what it is"),
        (of_files(odd_file(), services=["\x1b[2J\nodd"]), RemoteError, r"'\x1b[2J\nodd'"),
        (of_files(odd_file(), services=[]), InputError, "no method is told of"),
        (garbage, RemoteError, "what it tells is no descriptor"),
        (denied, RemoteError, "cannot be used: it answers PERMISSION_DENIED: not yours. Name"),
        (silent, RemoteError, "(no reflection)"),
        (late, NotTaken, "did not answer within 1 s"),
    ],
)
def test_a_mistake_of_the_server_is_one_sentence(
    tell: Tell, kind: type[PaycliError], said: str
) -> None:
    with (
        telling(tell) as target,
        connect(target, 20) as channel,
        pytest.raises(kind) as mistake,
    ):
        schema_of_server(channel, 1 if tell is late else 20).method("Say")
    assert said in str(mistake.value)
    assert "\n" not in str(mistake.value)


def test_ten_thousand_methods_are_not_listed_in_an_error() -> None:
    file = odd_file(package="")
    for number in range(10_000):
        file.service[0].method.add(name=f"M{number}", input_type=".Ask", output_type=".Ask")
    tell = of_files(file, services=["Odd"])
    with telling(tell, {"M9999": echo}, "Odd") as target:
        told = run_paycli("call", "Odd/M9999", "text: é", "--target", target)
        assert (told.stdout, told.stderr) == ('{"text": "é"}\n', "")
        nope = run_paycli("call", "Nope", "--target", target)
    assert nope.returncode == 2
    assert "and 9,961 more." in nope.stderr


def test_reflection_that_fails_at_an_any_is_no_mistake_of_the_request() -> None:
    """Its type is asked for when the request is read."""
    file = odd_file(dependency=["google/protobuf/any.proto"])
    given = file.message_type[0].field.add(name="any", number=9, label=1, type=11)
    given.type_name = ".google.protobuf.Any"
    imported = FileDescriptorProto()
    any_pb2.DESCRIPTOR.CopyToProto(imported)
    told = of_files(file, imported)

    def tell(request: pb.ServerReflectionRequest) -> Iterator[pb.ServerReflectionResponse]:
        gone = request.file_containing_symbol == "odd.Gone"
        return garbage(request) if gone else iter(list(told(request)))

    with telling(tell) as target, connect(target, 20) as channel:
        schema = schema_of_server(channel, 20)
        kind = schema.method("Say").input_type
        with pytest.raises(RemoteError, match="what it tells is no descriptor"):
            message_of(kind, {"any": {"@type": "x/odd.Gone"}}, schema.pool, "request")
