"""Every kind of data as every kind of field: a message that reads back, or a sentence."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message
from hypothesis import example, given
from hypothesis import strategies as st

from paycli.client.calls import build_request
from paycli.client.forms import Form, as_binary, as_json, as_text, message_of, parse, unknown_fields
from paycli.client.schema import Schema, schema_of_files
from paycli.errors import DocumentError, InputError
from tests.conftest import run_paycli

KINDS = ("any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers")
PROTO = """syntax = "proto3"; package every;
message Every {
  string text = 1; bytes raw = 2; bool yes = 3; double real = 4; float half = 5; int32 small = 6;
  uint64 large = 7; Kind kind = 8; Every self = 9; oneof choice { string a = 10; int32 b = 11; }
  google.protobuf.Any any = 12; google.protobuf.Duration span = 13; google.protobuf.Empty none = 14;
  google.protobuf.FieldMask mask = 15; google.protobuf.Struct struct = 16;
  google.protobuf.Value value = 17; google.protobuf.ListValue list = 18;
  google.protobuf.Timestamp time = 19; google.protobuf.FloatValue wrapped = 20;
  optional google.protobuf.NullValue null = 21; repeated google.protobuf.NullValue nulls = 22;
  repeated google.protobuf.Value values = 23; repeated Every many = 24; repeated float halves = 25;
  map<int32, Every> by_number = 26; map<bool, string> by_truth = 27; map<string, Kind> kinds = 28;
  map<string, google.protobuf.NullValue> null_by = 29; map<string, google.protobuf.Value> value_by = 30;
  repeated Kind list_of_kinds = 31;
}
enum Kind { ZERO = 0; ONE = 1; NO = 2; }
service Service { rpc Method(Every) returns (Every); }
"""


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    folder = tmp_path_factory.mktemp("every")
    imports = "\n".join(f'import "google/protobuf/{each}.proto";' for each in KINDS)
    (folder / "every.proto").write_text(f"{PROTO}\n{imports}")
    made = run_paycli("gen", "-I", ".", "--descriptor-set", "set", cwd=folder)
    assert made.returncode == 0, made.stderr
    return schema_of_files(FileDescriptorSet.FromString((folder / "set").read_bytes()))


def read(every: Schema, content: str | bytes, form: Form = Form.JSON) -> Message:
    given = content.encode() if isinstance(content, str) else content
    return parse(every.message("every.Every"), given, form, every.pool, "stdin")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"text": 5}', ":1:2: this is no every.Every: text: must be text, not 5; write it in quotes."),
        ("self:\n  text: no", ":2:3: this is no every.Every: self.text: must be text, not false; write it"),
        ('[{"a": 1}]', "a message is written as {field: value}, not [{\"a\": 1}]"),
        ('{"many": [{},\n {"tetx": 1}]}', ":2:3: this is no every.Every: many[1]: no field is called 'tetx'; d"),
        ('{"many": {}}', "many: must be a list, not {}"),
        ('{"many": [null]}', "many[0]: must be an every.Every, not null"),
        ('{"self": "x"}', 'self: a message is written as {field: value}, not "x"'),
        ('{"self": []}', "self: a message is written as {field: value}, not []"),
        ('{"none": []}', "none: a message is written as {field: value}, not []"),
        ('{"yes": "true"}', 'yes: must be true or false, not "true"'),
        ('{"yes": 1}', "yes: must be true or false, not 1"),
        ('{"raw": 5}', "raw: must be bytes in base64, not 5"),
        ('{"small": 1.5}', "small: must be a whole number (int32), not 1.5"),
        ('{"small": 2147483648}', "small: must be a whole number (int32), not 2147483648"),
        ('{"large": "1_0"}', 'large: must be a whole number (uint64), not "1_0"'),
        ('{"large": "\u0661"}', "large: must be a whole number (uint64)"),  # a digit
        ('{"large": "1e999999999"}', "large: must be a whole number (uint64)"),
        ('{"large": -1}', "large: must be a whole number (uint64), not -1"),
        ('{"real": "1_0"}', 'real: must be a number (double), not "1_0"'),
        ('{"real": "1e999"}', 'real: must be a number (double), not "1e999"'),
        ('{"real": "inf"}', 'real: must be a number (double), not "inf"'),
        ('{"real": true}', "real: must be a number (double), not true"),
        ('{"real": 1' + "0" * 400 + "}", "real: must be a number (double), not 1000"),
        ('{"half": 3.5e38}', "half: must be a number (float), not 3.5e+38"),
        ('{"kind": "OEN"}', "kind: must be a value of every.Kind, not \"OEN\"; did you mean 'ONE'?"),
        ('{"kind": 1.5}', "kind: must be a value of every.Kind, not 1.5"),
        ('{"kind": 4294967296}', "kind: must be a value of every.Kind, not 4294967296"),
        ("kind: NO", "kind: must be a value of every.Kind, not false; write it in quotes"),
        ('{"kind": "1_0"}', 'kind: must be a value of every.Kind, not "1_0"'),
        ('{"a": "x", "b": 1}', ":1:12: this is no every.Every: a and b are both given; choice takes one"),
        ('{"span": "1.5"}', 'span: must be a google.protobuf.Duration, such as 1.5s, to the nanosecond, not'),
        ('{"span": "0.0000000001s"}', "to the nanosecond, not \"0.0000000001s\""),
        ('{"time": "2026-01-31"}', "time: must be a google.protobuf.Timestamp, such as 2026-01-31T12:00:00Z, "),
        ('{"time": "2026-02-30T00:00:00Z"}', 'not "2026-02-30T00:00:00Z"'),
        ('{"time": "2026-01-31T12:00:00+25:00"}', 'not "2026-01-31T12:00:00+25:00"'),
        ('{"mask": "order_id"}', "mask: must be a google.protobuf.FieldMask, such as orderId,card.number, n"),
        ('{"struct": []}', "struct: a google.protobuf.Struct is written as {key: value}, not []"),
        ('{"struct": {"k": [NaN]}}', "struct.k[0]: must be a number that JSON has, not NaN"),
        ('{"list": {}}', "list: must be a list, not {}"),
        ('{"any": {"text": ""}}', 'any: an Any is written as {"@type": "…/package.Message", field: value}'),
        ('{"any": {"@type": 5}}', "any: an Any is written as"),
        ('{"any": {"@type": "x/every.Every", "small": ""}}', ':1:36: this is no every.Every: any.small: must'),
        ('{"any": {"@type": "x/google.protobuf.Duration", "value": 5}}', "any.value: must be a google."),
        ('{"by_number": {"1": {}, "01": {}}}', ":1:25: this is no every.Every: by_number[01]: the same key"),
        ('{"by_number": {"1_0": {}}}', "by_number[1_0]: the key must be a whole number (int32)"),
        ('{"by_number": {"1": null}}', "by_number[1]: must be an every.Every, not null"),
        ('{"by_number": []}', "by_number: must be a map, {key: value}, not []"),
        ('{"by_truth": {"1": ""}}', "by_truth[1]: the key must be true or false"),
        ('{"kinds": {"k": "TWO"}}', ':1:12: this is no every.Every: kinds[k]: must be a value of every.Kind'),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence_that_says_where(every: Schema, content: str, said: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        read(every, content)
    assert said in str(refusal.value)
    if not content.startswith("["):
        method: Any = every.method("Method")
        with pytest.raises(ValueError, match=r"\w"):  # of a suite, too
            build_request(method, json.loads(content) if content[0] == "{" else {"kind": False})


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ('{"half": 3.4028235e+38, "halves": [-3.4028235e38]}', ""),
        ('{"nulls": [null, null], "null_by": {"k": null}}', ""),
        ('{"values": [null], "value_by": {"k": null}, "value": null}', ""),
        ('{"real": "1e2", "large": "9007199254740993.0"}', '{"real": 100.0, "large": "9007199254740993"}'),
        ('{"small": 1e2, "kind": 1.0}', '{"small": 100, "kind": "ONE"}'),
        ('{"kind": 77, "halves": ["NaN", "-Infinity"]}', ""),
        ('{"kind": "NO", "a": null, "b": 1}', '{"kind": "NO", "b": 1}'),
        ('{"span": "-1.5000000000s"}', '{"span": "-1.500s"}'),
        ('{"any": {"@type": "x/google.protobuf.FloatValue", "value": 3.4028235e+38}}', ""),
        ('{"self": null, "many": null, "by_number": null}', "{}"),
    ],
)  # fmt: skip
def test_what_the_mapping_allows_is_taken(every: Schema, content: str, shown: str) -> None:
    message = read(every, content)
    assert json.loads(as_json(message, every.pool)) == json.loads(shown or content)


@pytest.mark.parametrize("field", ["self", "by_number"])
def test_what_is_nested_too_deeply_for_binary_is_refused_in_every_form(
    every: Schema, field: str
) -> None:
    """So that what is written in one can be read in all."""
    step = {"self": ("self {", "}"), "by_number": ("by_number { key: 1 value {", "}}")}[field]
    levels = 100 if field == "self" else 50
    deepest = read(every, step[0] * levels + step[1] * levels, Form.TEXT)
    assert read(every, as_json(deepest, every.pool)) == deepest
    assert read(every, as_binary(deepest), Form.BINARY) == deepest
    with pytest.raises(DocumentError, match="no message is inside more than 100 others"):
        read(every, step[0] * (levels + 1) + step[1] * (levels + 1), Form.TEXT)
    document: Any = {}
    for _ in range(levels + 1):
        document = {field: document if field == "self" else {"1": document}}
    with pytest.raises(DocumentError, match="no message is inside more than 100 others"):
        message_of(every.message("every.Every"), document, every.pool, "stdin")


NAMES = st.sampled_from(
    [word.split(" = ")[0].rpartition(" ")[2] for word in PROTO.split(";")[2:34]]
)
TEXTS = st.sampled_from(
    (
        *("ONE", "1", "-0", "1e3", "1_0", "\u0661", "NaN", "Infinity", "true", "\ud800", "AP8="),
        *("a,bC", "1.5s", "-0.5s", "2026-01-31T12:00:00Z", "0001-01-01T00:00:00+23:59"),
    )
)
TYPES = st.sampled_from(
    ["every.Every", "google.protobuf.Any", "google.protobuf.Value", "google.protobuf.FloatValue"]
)
LEAVES = [
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.floats(width=32),
    st.text(),
    TEXTS,
]
DATA = st.recursive(
    st.one_of(LEAVES),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES | TEXTS | st.text(max_size=3), inner, max_size=4)
        | st.builds(
            lambda kind, fields: {"@type": f"x/{kind}", **fields},
            TYPES,
            st.dictionaries(NAMES, inner, max_size=2),
        )
    ),
    max_leaves=12,
)


def seed(every: Schema, form: Form) -> bytes:
    message = message_of(every.message("every.Every"), SEED, every.pool, "seed")
    if form is Form.BINARY:
        return as_binary(message)
    return (as_json if form is Form.JSON else as_text)(message, every.pool).encode()


def check_forms(every: Schema, message: Message) -> None:
    """What is written is read, as the same message; what cannot be written is said."""
    binary = as_binary(message)
    assert as_binary(read(every, binary, Form.BINARY)) == binary
    text, shown = as_text(message, every.pool), ""
    with suppress(InputError):  # a time of the year 200000
        shown = as_json(message, every.pool)
    if not list(unknown_fields(message, every.pool)):
        assert as_text(read(every, text, Form.TEXT), every.pool) == text
    if shown:
        assert as_json(read(every, shown), every.pool) == shown


@given(st.dictionaries(NAMES, DATA, max_size=4))
@example({"any": {"@type": "x/google.protobuf.Any", "value": {}}})
def test_any_data_is_a_message_that_reads_back_or_a_mistake(
    every: Schema, document: dict[str, Any]
) -> None:
    kind, text = every.message("every.Every"), json.dumps(document)
    message = None
    with suppress(DocumentError):
        message = message_of(kind, document, every.pool, "x", text=text)
    if message is not None:
        check_forms(every, message)


SEED = {
    "text": "a", "raw": "AP8=", "real": 1.5, "kind": "ONE", "self": {"self": {"b": 1}}, "time": "2026-01-31T12:00:00Z",
    "any": {"@type": "x/every.Every", "any": {"@type": "x/google.protobuf.Duration", "value": "1s"}},
    "struct": {"k": [1, None, {}]}, "span": "1.5s", "nulls": [None], "by_number": {"1": {"small": 1}},
    "by_truth": {"true": ""}, "kinds": {"k": 1}, "mask": "a,bC", "halves": [1, "NaN"], "wrapped": 1,
}  # fmt: skip
CHANGES = st.lists(st.tuples(st.integers(0, 999), st.binary(max_size=3)), max_size=4)


@given(st.sampled_from(Form), CHANGES | st.binary() | st.text().map(str.encode))
@example(Form.TEXT, b"kind: 99999999999")
def test_any_bytes_are_a_message_or_a_mistake(
    every: Schema, form: Form, given: bytes | list[tuple[int, bytes]]
) -> None:
    """Those of a message with some of them changed, or of nothing."""
    content = bytearray(given if isinstance(given, bytes) else seed(every, form))
    for at, new in given if isinstance(given, list) else ():
        begin = at % len(content)
        content[begin : begin + len(new)] = new
    message = None
    with suppress(DocumentError):
        message = read(every, bytes(content), form)
    if message is not None:
        check_forms(every, message)
