"""Descriptor sets, as they come from others' tools: in any order, joined, or wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import struct_pb2, timestamp_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from paycli.client.forms import message_of
from paycli.client.outlines import outline, overview
from paycli.client.schema import schema_of_files
from paycli.errors import InputError
from tests.client.odd_reflection import odd_file
from tests.conftest import run_paycli


def imported(name: str = "first.proto", package: str = "first") -> FileDescriptorProto:
    file = FileDescriptorProto(name=name, package=package, syntax="proto3")
    file.message_type.add(name="First")
    return file


def with_comments(file: FileDescriptorProto) -> FileDescriptorProto:
    told = FileDescriptorProto()
    told.CopyFrom(file)
    told.source_code_info.location.add(path=[6, 0], leading_comments=" Is told.\n")
    return told


FIRST, ODD = imported(), odd_file(dependency=["first.proto"])
CYCLE = [odd_file(dependency=["b.proto"]), imported("b.proto")]
CYCLE[1].dependency.append("odd.proto")
MAP = odd_file()
MAP.message_type[0].nested_type.add(name="Entry").options.map_entry = True
MAP.message_type[0].nested_type[0].field.add(name="key", number=80, type=9, label=1)
FAKE = imported("google/protobuf/struct.proto", "google.protobuf")
FAKE.message_type[0].name = "Struct"


@pytest.mark.parametrize(
    "files",
    [(ODD, FIRST), (FIRST, ODD, ODD, FIRST), (ODD, with_comments(ODD), FIRST, ODD)],
    ids=["not in order", "two sets joined", "one with comments"],
)
def test_a_set_is_taken_in_any_order_and_joined(files: tuple[FileDescriptorProto]) -> None:
    schema = schema_of_files(FileDescriptorSet(file=files))
    assert schema.services == ["odd.Odd"]
    told = any(each.HasField("source_code_info") for each in files)
    assert schema.files["odd.proto"].HasField("source_code_info") == told
    assert "  rpc Say(odd.Ask) returns (odd.Ask);" in list(overview(schema))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([ODD], "odd.proto imports first.proto, which is not in the descriptors; make them with all"),
        ([FIRST, imported(package="other")], "first.proto is twice in the descriptors, and not alike"),
        (CYCLE, "imports itself, by way of"),
        ([FAKE], "cannot be used: google/protobuf/struct.proto declares a google.protobuf.Struct that is not"),
        ([MAP], "odd.proto has a map, odd.Ask.Entry, that is not made of keys and values"),
        ([imported("a\nb")], "The descriptors cannot be used: a file is called 'a\\nb'"),
        ([FileDescriptorProto.FromString(b"\x0a\x01\xff")], r"a file is called b'\xff'"),
        ([odd_file(syntax="proto9")], "odd.proto does not fit the rest of the descriptors: Invalid"),
    ],
    ids=["not whole", "two alike", "cycle", "fake", "no map", "odd name", "no text", "odd syntax"],
)  # fmt: skip
def test_a_wrong_set_is_one_sentence(files: list[FileDescriptorProto], said: str) -> None:
    with pytest.raises(InputError) as mistake:
        schema_of_files(FileDescriptorSet(file=files))
    assert said in str(mistake.value)
    assert "\n" not in str(mistake.value)


def test_descriptors_that_are_no_text_are_shown() -> None:
    """They are of proto2, where a string may be any bytes."""
    file = odd_file(syntax="proto2")
    file.message_type[0].field[0].default_value = "&"
    file.source_code_info.location.add(path=[4, 0], leading_comments="&", trailing_comments="&")
    content = FileDescriptorSet(file=[file]).SerializeToString().replace(b"&", b"\xff")
    schema = schema_of_files(FileDescriptorSet.FromString(content))
    assert list(outline(schema, schema.symbol("odd.Ask")))[:3] == [
        "//\ufffd",
        "message odd.Ask {  // \ufffd",
        '  optional string text = 1 [default = "\ufffd"];',
    ]


def test_a_name_that_is_no_text_is_a_name_of_nothing() -> None:
    schema = schema_of_files(FileDescriptorSet(file=[FIRST]))
    with pytest.raises(InputError, match=r"There is no message .*; did you mean"):
        schema.message("first.Firs\udcff")


def test_protobufs_own_files_are_taken() -> None:
    files = FileDescriptorSet()
    for own in (struct_pb2, timestamp_pb2):
        own.DESCRIPTOR.CopyToProto(files.file.add())
    assert "google.protobuf.Struct" in schema_of_files(files).messages()


def test_messages_inside_each_other_without_an_end_are_told() -> None:
    file = FileDescriptorProto(name="chain.proto", package="chain", syntax="proto3")
    for number in range(1000):
        inside = file.message_type.add(name=f"M{number}").field.add(name="inside", number=1)
        inside.type_name = f".chain.M{(number + 1) % 1000}"
    schema = schema_of_files(FileDescriptorSet(file=[file]))
    with pytest.raises(InputError, match=r"chain\.M0 has messages inside that have others"):
        message_of(schema.message("chain.M0"), {}, schema.pool, "request")


def test_a_set_without_anything_to_list_is_told(tmp_path: Path) -> None:
    empty = run_paycli("describe", "--descriptor-set", "/dev/null")
    assert (empty.returncode, empty.stdout) == (2, "")
    assert "/dev/null: no descriptor is in it; 'paycli gen --descriptor-set'" in empty.stderr
    (tmp_path / "set").write_bytes(FileDescriptorSet(file=[FIRST]).SerializeToString())
    no_service = run_paycli("describe", "--descriptor-set", tmp_path / "set")
    piped = subprocess.run(
        [sys.executable, "-m", "paycli", "describe", "first.First", "--descriptor-set", "-"],
        input=(tmp_path / "set").read_bytes(),
        capture_output=True,
        check=False,
    )
    assert piped.stdout.startswith(b"message first.First {")
    assert (no_service.returncode, no_service.stdout) == (0, "")
    assert no_service.stderr == "No service is told of. Messages: first.First.\n"
