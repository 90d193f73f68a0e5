"""What a proto says of a message, an enum and a service is what `describe` shows."""

from __future__ import annotations

from contextlib import suppress

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from paycli.client.outlines import outline, overview, template
from paycli.client.schema import Schema, schema_of_files
from paycli.errors import InputError
from tests.conftest import run_paycli

MESSAGE = r"""// What was
//  before.
message old.Old {  // until it went
  option deprecated = true;
  reserved 2, 5 to 9, 1000 to max;
  reserved "gone", "away";
  extensions 100 to 200, 300;
  // Above.
  required string name = 1 [default = "a\"é\n"];  // beside
  optional int32 number = 3 [default = 5, deprecated = true];  // below it, on two lines
  repeated bytes many = 4;
  optional bytes raw = 10 [default = "\000\377", json_name = "r"];
  optional old.Kind kind = 11 [default = ONE];
  optional double real_part = 12 [default = inf];
  string this = 13;  // one of choice  // or
  bool that = 14 [default = true];  // one of choice
  map<string, old.Old> by_name = 15;
  optional old.Old.Inner inner = 16;
}"""
ENUM = """enum old.Kind {
  option deprecated = true;
  reserved 3, 5 to max, -5 to -2;
  reserved "TWO";
  NONE = 0;
  ONE = 1 [deprecated = true];  // first
}"""
SERVICE = """service old.Service {
  option deprecated = true;
  // Calls.
  rpc Call(old.Old) returns (stream old.Old) { option deprecated = true; }
}"""
PROTOS = {
    "old.proto": r"""syntax = "proto2"; package old;
// What was
//  before.
message Old { // until it went
  option deprecated = true;
  reserved 2, 5 to 9, 1000 to max;
  reserved "gone", "away";
  extensions 100 to 200, 300;
  // Above.
  required string name = 1 [default = "a\"é\n"]; // beside
  optional int32 number = 3 [default = 5, deprecated = true];
  // below it,
  // on two lines

  repeated bytes many = 4;
  optional bytes raw = 10 [default = "\000\377", json_name = "r"];
  optional Kind kind = 11 [default = ONE];
  optional double real_part = 12 [default = inf];
  oneof choice {
    string this = 13; // or
    bool that = 14 [default = true];
  }
  map<string, Old> by_name = 15;
  optional Inner inner = 16;
  message Inner { enum Deep { DEEP = 0; } }
}
enum Kind {
  option deprecated = true;
  NONE = 0;
  ONE = 1 [deprecated = true]; // first
  reserved 3, 5 to max, -5 to -2;
  reserved "TWO";
}
service Service {
  option deprecated = true;
  // Calls.
  rpc Call(Old) returns (stream Old) { option deprecated = true; }
}""",
    "three.proto": """syntax = "proto3"; package three;
message Three { optional int32 said = 1; int32 plain = 2; repeated int32 many = 3; }""",
    "edition.proto": """edition = "2023"; package edition;
message Edition {
  int32 plain = 1;
  int32 needed = 2 [features.field_presence = LEGACY_REQUIRED];
}""",
}
PROTO3 = """message three.Three {
  optional int32 said = 1;
  int32 plain = 2;
  repeated int32 many = 3;
}"""
EDITION = """message edition.Edition {
  int32 plain = 1;
  required int32 needed = 2;
}"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    folder = tmp_path_factory.mktemp("outlines")
    for name, text in PROTOS.items():
        (folder / name).write_text(text)
    made = run_paycli("gen", "-I", ".", "--descriptor-set", "set", cwd=folder)
    assert made.returncode == 0, made.stderr
    return schema_of_files(FileDescriptorSet.FromString((folder / "set").read_bytes()))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("old.Old", MESSAGE),
        ("old.Kind", ENUM),
        ("old.Service", SERVICE),
        ("three.Three", PROTO3),
        ("edition.Edition", EDITION),
    ],
)
def test_an_outline_is_what_the_proto_says(schema: Schema, name: str, text: str) -> None:
    assert "\n".join(outline(schema, schema.symbol(name))) == text


@given(st.lists(st.tuples(st.integers(0, 5_000), st.binary(max_size=3)), max_size=4))
def test_changed_descriptors_are_shown_or_a_mistake(
    schema: Schema, changes: list[tuple[int, bytes]]
) -> None:
    content = bytearray(FileDescriptorSet(file=schema.files.values()).SerializeToString())
    for at, new in changes:
        begin = at % len(content)
        content[begin : begin + len(new)] = new
    with suppress(DecodeError, InputError):
        changed = schema_of_files(FileDescriptorSet.FromString(bytes(content)))
        assert list(overview(changed)) or not changed.services
        for name in changed.messages():
            assert list(outline(changed, changed.symbol(name)))
            assert isinstance(template(changed.message(name)), dict)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("old.Olt", "old.Old"),
        ("Old", "old.Old"),
        ("Inner", "old.Old.Inner"),
        ("old.Knid", "old.Kind"),
        ("Deep", "old.Old.Inner.Deep"),
        ("old.Servise", "old.Service"),
    ],
)
def test_a_misspelt_name_gets_a_hint(schema: Schema, name: str, meant: str) -> None:
    with pytest.raises(InputError, match=rf"Nothing is called '{name}'; did you mean '{meant}'\?"):
        schema.symbol(name)
