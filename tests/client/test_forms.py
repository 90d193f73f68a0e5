"""Messages from their forms and back, by descriptors of somebody else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from paycli.client.forms import Form, as_binary, as_json, as_text, message_of, parse, unknown_fields
from paycli.client.outlines import template
from paycli.client.schema import Schema, schema_of_files
from paycli.errors import DocumentError, InputError
from tests.conftest import run_paycli

PROTO = """syntax = "proto2";
package odd;
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message Odd {
  optional google.protobuf.Any any = 1;
  optional Kind kind = 2;
  optional bytes raw_bytes = 3 [json_name = "b"];
  repeated google.protobuf.BytesValue wrapped = 4;
  optional Odd inner = 5;
  optional string text = 6;
  map<string, google.protobuf.Struct> structs = 7;
  map<string, string> texts = 8;
  enum Kind { NONE = 0; }
  extensions 100 to 200;
}
message Strict {
  required string name = 1;
  optional Strict inner = 2;
  repeated Strict more = 3;
  map<string, Strict> by_name = 4;
}
extend Odd { optional bytes more = 100; }
"""


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    folder = tmp_path_factory.mktemp("odd")
    (folder / "odd.proto").write_text(PROTO)
    made = run_paycli("gen", "-I", ".", "--descriptor-set", "set", cwd=folder)
    assert made.returncode == 0, made.stderr
    return schema_of_files(FileDescriptorSet.FromString((folder / "set").read_bytes()))


def refused(odd: Schema, content: str) -> str:
    with pytest.raises(DocumentError) as refusal:
        parse(odd.message("odd.Odd"), content.encode(), Form.JSON, odd.pool, "file")
    return str(refusal.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"any": {"@type": "x/odd.Strict"}}', "missing required fields: name"),
        ('{"any": {"@type": "x/google.protobuf.Timestamp"}}', "has '@type' and 'value'"),
        (r'{"kind": "\ud800"}', r'not "\ud800"'),
        (r'{"\ud800": 1}', "surrogates not allowed"),
    ],
)
def test_whatever_protobuf_raises_is_a_sentence(odd: Schema, content: str, why: str) -> None:
    assert why in refused(odd, content)


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ('{"b": "!!!!"}', "b"),
        ('{"wrapped": ["", "!!!!"]}', "wrapped[1]"),
        ('{"any": {"@type": "x/odd.Odd", "inner": {"raw_bytes": "!!!!"}}}', "any.inner.raw_bytes"),
        ('{"any": {"@type": "x/google.protobuf.BytesValue", "value": "!!!!"}}', "any.value"),
        ('{"[odd.more]": "!!!!"}', "[odd.more]"),
    ],
)
def test_bytes_are_base64_wherever_they_are(odd: Schema, content: str, path: str) -> None:
    assert f"{path}: must be bytes in base64, not " in refused(odd, content)
    parse(
        odd.message("odd.Odd"),
        content.replace("!!!!", "AP8=").encode(),
        Form.JSON,
        odd.pool,
        "file",
    )


def test_one_field_under_two_names_is_a_duplicate(odd: Schema) -> None:
    twice = '{"inner": {"raw_bytes": "AP8=", "b": "AA=="}}'
    assert "inner.b: a duplicate of raw_bytes" in refused(odd, twice)


def test_what_is_required_is_missed_before_it_is_sent(odd: Schema) -> None:
    with pytest.raises(DocumentError, match="it requires name"):
        message_of(odd.message("odd.Strict"), {}, odd.pool, "request")


def test_an_any_whose_value_is_not_of_its_type_is_shown_as_bytes(odd: Schema) -> None:
    content = b'any { type_url: "x/odd.Odd" value: "\\377" }'
    message = parse(odd.message("odd.Odd"), content, Form.TEXT, odd.pool, "file")
    shown = as_text(message, odd.pool)
    assert parse(odd.message("odd.Odd"), shown.encode(), Form.TEXT, odd.pool, "file") == message


def test_an_any_is_shown_so_that_it_reads_back(odd: Schema) -> None:
    """Some leave out what stands before the name, for which the text format has no short form."""
    kind = odd.message("odd.Odd")
    for url in ("/odd.Odd", "x#/odd.Odd", "x/odd.Odd"):
        message = message_of(kind, {"any": {"@type": url, "text": "a"}}, odd.pool, "file")
        shown = as_text(message, odd.pool)
        assert parse(kind, shown.encode(), Form.TEXT, odd.pool, "file") == message
        assert ("[x/odd.Odd]" in shown) == (url == "x/odd.Odd")


def test_what_is_not_known_within_an_any_is_told(odd: Schema) -> None:
    packed = b"\x0a\x10\x0a\x09x/odd.Odd\x12\x03\x98\x06\x05"  # field 99
    message = parse(odd.message("odd.Odd"), packed, Form.BINARY, odd.pool, "file")
    assert list(unknown_fields(message, odd.pool)) == ["any.99"]


def test_what_is_nested_too_deeply_to_be_shown_is_told(odd: Schema) -> None:
    message: Any = message_of(odd.message("odd.Odd"), {}, odd.pool, "file")
    inmost = message
    for _ in range(1000):
        inmost = inmost.inner
    inmost.SetInParent()
    with pytest.raises(InputError, match="cannot be shown as text: maximum recursion depth"):
        as_text(message, odd.pool)


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (b"\x2a\x04\x32\x02\xff\xfe", "inner.text"),
        (b"\x0a\x11\x0a\x09x/odd.Odd\x12\x04\x32\x02\xff\xfe", "any.text"),
        (b"\x42\x06\x0a\x01k\x12\x01\xff", "texts"),
    ],
)
def test_a_string_that_is_no_text_is_not_shown_as_json(
    odd: Schema, content: bytes, path: str
) -> None:
    """In proto2 it may be any bytes."""
    message = parse(odd.message("odd.Odd"), content, Form.BINARY, odd.pool, "file")
    with pytest.raises(InputError, match=rf"cannot be shown as JSON: {path} is not UTF-8"):
        as_json(message, odd.pool)


def test_a_map_that_is_no_text_is_not_shown_as_text(odd: Schema) -> None:
    content = b"\x42\x06\x0a\x01k\x12\x01\xff"
    message = parse(odd.message("odd.Odd"), content, Form.BINARY, odd.pool, "file")
    with pytest.raises(InputError, match="cannot be shown as text: 'utf-8' codec"):
        as_text(message, odd.pool)


@pytest.mark.parametrize("kind", ["odd.Odd", "odd.Strict"])
def test_a_template_is_what_it_is_a_template_of(odd: Schema, kind: str) -> None:
    """Also with an Any, and with itself inside, which would require the same again."""
    message_of(odd.message(kind), template(odd.message(kind)), odd.pool, "template")


def test_maps_are_shown_in_the_order_of_their_keys(odd: Schema) -> None:
    """Fields are in the order of the proto, so that two outputs can be compared."""
    names = [f"k{number}" for number in range(10, 30)]
    structs = {name: {"z": [dict.fromkeys(names)]} for name in names}
    fields = {"text": "", "structs": structs}
    written = json.dumps({"any": {"@type": "x/odd.Odd", **fields}, **fields})
    message = parse(odd.message("odd.Odd"), written.encode(), Form.JSON, odd.pool, "file")
    assert as_json(message, odd.pool) == written


def test_an_any_has_the_same_bytes_in_each_run(odd: Schema) -> None:
    fields: dict[str, Any] = {"structs": {f"k{number}": {} for number in range(20)}}
    document = {"any": {"@type": "x/odd.Odd", **fields}}
    holder: Any = message_of(odd.message("odd.Odd"), document, odd.pool, "file")
    packed = message_of(odd.message("odd.Odd"), fields, odd.pool, "file")
    assert holder.any.value == as_binary(packed)
