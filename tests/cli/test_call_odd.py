"""`paycli call` and `describe` with servers and requests of every odd kind."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2 as pb

from tests.client.odd_reflection import Method, Tell, echo, of_files, telling
from tests.conftest import run_paycli

TYPES = ["any", "duration", "field_mask", "struct", "timestamp", "wrappers"]
PROTO = """syntax = "proto3"; package odd;
IMPORTS
message Ask {
  string text = 1; double d = 2; bytes b = 3; int64 i = 4; uint64 u = 5; Kind k = 6;
  map<int32, Ask> m = 7; oneof choice { string a = 8; int32 c = 9; }
  google.protobuf.Any any = 10; google.protobuf.Struct s = 11; google.protobuf.Timestamp t = 12;
  google.protobuf.Value v = 13; Ask self = 14; repeated float f = 15;
  google.protobuf.Duration du = 16; google.protobuf.Int64Value w = 17; optional bool opt = 18;
  google.protobuf.FieldMask fm = 19; map<bool, string> mb = 20; repeated bytes bs = 21;
}
enum Kind { ZERO = 0; ONE = 1; }
message Why { string why = 1; }
service Odd {
  rpc Say(Ask) returns (Ask); rpc Other(Ask) returns (Ask); rpc Talk(stream Ask) returns (stream Ask);
}
"""


@pytest.fixture(scope="module")
def tell(tmp_path_factory: pytest.TempPathFactory) -> Tell:
    """What a server tells of that proto, and nothing of other symbols."""
    folder = tmp_path_factory.mktemp("odd")
    imports = " ".join(f'import "google/protobuf/{each}.proto";' for each in TYPES)
    (folder / "odd.proto").write_text(PROTO.replace("IMPORTS", imports))
    made = run_paycli("gen", "-I", ".", "--descriptor-set", "set", cwd=folder)
    assert made.returncode == 0, made.stderr
    files = list(FileDescriptorSet.FromString((folder / "set").read_bytes()).file)
    told = of_files(*sorted(files, key=lambda each: each.name != "odd.proto"))

    def tell(request: pb.ServerReflectionRequest) -> Iterator[pb.ServerReflectionResponse]:
        symbol = request.file_containing_symbol
        if symbol and not symbol.startswith("odd."):
            return iter([pb.ServerReflectionResponse()])
        return iter(list(told(request)))

    return tell


def said(tell: Tell, *words: str, method: Method = echo, data: bytes = b"") -> Any:
    """Exit code, stdout and stderr of `call`."""
    with telling(tell, {"Say": echo, "Other": method, "Talk": echo}) as target:
        run = subprocess.run(
            [sys.executable, "-m", "paycli", *words, "--target", target],
            input=data,
            capture_output=True,
            check=False,
        )
    return run.returncode, run.stdout.decode(), run.stderr.decode()


def answering(*answers: bytes) -> Method:
    def answer(requests: Iterator[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
        list(requests)
        yield from answers

    return answer


REQUEST = {
    "d": "NaN",
    "b": "AP8=",
    "i": "9223372036854775807",
    "u": "18446744073709551615",
    "k": 77,
    "m": {"-5": {"text": "é\u202e"}},
    "c": 0,
    "any": {"@type": "type.googleapis.com/odd.Why", "why": "so"},
    "s": {"a": 1.5, "b": [None, True, "x"], "fields": "no base64!"},
    "t": "2026-01-31T12:00:00Z",
    "v": 2.5,
    "f": ["Infinity", 0.5],
    "du": "1.500s",
    "w": "5",
    "opt": False,
    "fm": "a,bC",
    "mb": {"true": "x"},
}


def test_every_kind_of_value_comes_back_as_json(tell: Tell) -> None:
    code, out, err = said(tell, "call", "Say", json.dumps(REQUEST))
    assert (code, err) == (0, "")
    assert "\u202e" not in out
    told = json.loads(out)
    assert told["m"]["-5"]["text"] == "é\u202e"
    assert {name: told[name] for name in REQUEST if name != "m"} == {
        name: value for name, value in REQUEST.items() if name != "m"
    }


def test_yaml_with_anchors_says_the_same(tell: Tell) -> None:
    data = b"""
s: {a: 1.5, b: [~, yes, x]}   # numbers of a Struct are numbers
v: 2.5
self: &one {text: z, i: 0x1F}
m: {1: *one}
t: 2026-01-31T12:00:00Z
"""
    code, out, err = said(tell, "call", "Say", "-", data=data)
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["s"] == {"a": 1.5, "b": [None, True, "x"]}
    assert (told["v"], told["t"]) == (2.5, "2026-01-31T12:00:00Z")
    assert told["m"]["1"] == told["self"]
    assert told["self"]["i"] == "31"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "stdin is empty; a request without any field is written {}"),
        (b"\xff\xfe\x00", "stdin:1:1: not UTF-8 text"),
        (b'{"k": "NOPE"}', 'k: must be a value of odd.Kind, not "NOPE"; known are ONE, ZERO'),
        (b'{"a": "x", "c": 1}', "a and c are both given; choice takes one of them"),
        (
            b'{"i": 9223372036854775808}',
            "i: must be a whole number (int64), not 9223372036854775808",
        ),
        (b'{"f": [1e300]}', "f[0]: must be a number (float), not 1e+300"),
        (b'{"d": 1e400}', "d: must be a number (double), not Infinity"),
        (b'{"b": "not base64!"}', "b: must be bytes in base64"),
        (b'{"b": "AP!8="}', "b: must be bytes in base64"),
        (
            b'{"m": {"1": {"bs": ["AP8=", "A"]}}}',
            "stdin:1:29: this is no odd.Ask: m[1].bs[1]: must be bytes in base64",
        ),
        (b'{"text": "\\ud800"}', "text: must be text, not"),
        (b'{"any": {"@type": "x/odd.Gone"}}', "any: nobody tells what the message 'odd.Gone' is"),
        (b'{"text": "a"', "stdin:1:13: not JSON: expecting ',' delimiter"),
        (
            b'{"self":' * 150 + b"{}" + b"}" * 150,
            "nested too deeply: no message is inside more than 100 others",
        ),
        (b"[" * 100_000, "nested too deeply"),
        (b"text: " + b"x" * 1_000_000 + b"\nnope: 1", "no field is called 'nope'"),
    ],
)
def test_a_request_that_does_not_fit_is_not_sent(tell: Tell, data: bytes, why: str) -> None:
    sent: list[bytes] = []

    def other(requests: Iterator[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
        sent.extend(requests)
        yield b""

    code, out, err = said(tell, "call", "Other", "-", method=other, data=data)
    assert (code, out, sent) == (2, "", [])
    assert why in err
    assert err.count("\n") == 1
    assert len(err) < 1000


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


@pytest.mark.parametrize(
    ("answers", "code", "why"),
    [
        ((b"\xff\xff",), 5, "What the service answered is no odd.Ask"),
        ((field(1, b"\xff"),), 5, "What the service answered is no odd.Ask"),
        ((), 5, "gave 0 answers where there is one"),
        ((b"", b""), 5, "gave 2 answers where there is one"),
        ((b"x" * 70_000_000,), 5, "Received message larger than max"),
        # What JSON does not have is told as text: it was answered.
        ((field(10, field(1, b"x/no.Such") + field(2, b"v")),), 1, 'type_url: "x/no.Such"'),
        (
            (field(12, b"\x08\xff\xff\xff\xff\xff\xff\xff\x7f"),),
            1,
            "It is above in protobuf's text",
        ),
    ],
)
def test_an_odd_answer_is_told(tell: Tell, answers: tuple[bytes], code: int, why: str) -> None:
    found, _, err = said(tell, "call", "Other", method=answering(*answers))
    assert found == code
    assert why in err
    assert "Traceback" not in err


def test_nan_and_fields_that_nobody_knows_are_answers(tell: Tell) -> None:
    answer = b"\x11" + struct.pack("<d", math.nan) + b"\x98\x06\x05"
    code, out, err = said(tell, "call", "Other", method=answering(answer))
    assert (code, err) == (0, "")
    assert json.loads(out)["d"] == "NaN"


def test_details_of_errors_are_told_by_who_knows_them(tell: Tell) -> None:
    """google.rpc's, those of the server's own protos, and what is neither."""

    def fail(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        known = any_pb2.Any()
        known.Pack(error_details_pb2.ErrorInfo(reason="X", domain="d"))
        own = any_pb2.Any(type_url="type.googleapis.com/odd.Why", value=field(1, b"so"))
        odd = any_pb2.Any(type_url="type.googleapis.com/no.Such", value=b"v")
        broken = any_pb2.Any(type_url=known.type_url, value=b"\xff")
        never = any_pb2.Any()  # a span that JSON does not have
        never.Pack(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=10**15)))
        status = status_pb2.Status(code=9, message="no", details=[known, own, odd, broken, never])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no\nError: \x1b[31m")
        yield b""

    code, out, err = said(tell, "call", "Other", method=fail)
    assert (code, out) == (1, "")
    first, *details = err.splitlines()
    assert first == "Error: The service answered FAILED_PRECONDITION: no Error: \\x1b[31m"
    assert [json.loads(each) for each in details[:2]] == [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "X", "domain": "d"},
        {"@type": "type.googleapis.com/odd.Why", "why": "so"},
    ]
    assert details[2:4] == ["  no.Such dg==", "  google.rpc.ErrorInfo /w=="]
    assert details[4].startswith("  google.rpc.RetryInfo ")


def test_what_describe_says_to_fill_in_can_be_sent(tell: Tell) -> None:
    code, out, err = said(tell, "describe", "odd.Ask", "--json")
    assert (code, err) == (0, "")
    template = json.loads(out)["template"]
    assert list(template)[:3] == ["text", "d", "b"]
    assert "c" not in template  # the other of the oneof
    assert (template["w"], template["m"], template["mb"]) == (0, {"0": {}}, {"true": ""})
    code, out, err = said(tell, "call", "Say", json.dumps(template))
    assert (code, err) == (0, "")


def test_messages_that_have_each_other_have_an_end(tmp_path: Path) -> None:
    fields = " ".join(f"M{number} m{number} = {number + 1};" for number in range(40))
    messages = "\n".join(f"message M{number} {{ {fields} }}" for number in range(40))
    (tmp_path / "many.proto").write_text(f'syntax = "proto3"; package many;\n{messages}')
    shown = run_paycli("describe", "many.M0", "-I", ".", cwd=tmp_path)
    assert shown.returncode == 0
    assert len(shown.stdout) < 2_000_000


def test_a_mistake_in_a_proto_is_told_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.proto").write_text('syntax = "proto3";\nmessage A {\n  strin x = 1\n}\n')
    for words in (("describe",), ("call", "A/B"), ("convert", "A")):
        run = run_paycli(*words, "-I", ".", cwd=tmp_path)
        assert (run.returncode, run.stdout) == (2, "")
        assert "bad.proto:4:1" in run.stderr or "bad.proto:3" in run.stderr


def until_cancelled(called: threading.Event) -> Method:
    def hang(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        list(requests)
        gone = threading.Event()
        context.add_callback(gone.set)
        yield from ()
        called.set()
        gone.wait(30)

    return hang


@pytest.mark.parametrize(("method", "code"), [("Other", 5), ("Talk", 130)])
def test_ctrl_c_ends_a_call_without_a_mess(tell: Tell, method: str, code: int) -> None:
    called = threading.Event()
    hang = until_cancelled(called)
    with (
        telling(tell, {"Other": hang, "Talk": hang}) as target,
        subprocess.Popen(
            [sys.executable, "-m", "paycli", "call", method, "--target", target],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as calling,
    ):
        assert called.wait(20)
        calling.send_signal(2)
        out, err = calling.communicate(timeout=20)
    assert (calling.returncode, out) == (code, "")
    assert err == (
        "Error: Interrupted before an answer came; it may have been carried out.\n"
        if code == 5
        else ""
    )


@pytest.mark.parametrize("method", ["Other", "Talk"])
def test_max_time_ends_every_kind_of_call(tell: Tell, method: str) -> None:
    hang = until_cancelled(threading.Event())
    with telling(tell, {"Other": hang, "Talk": hang}) as target:
        run = run_paycli("call", method, "--max-time", "0.5", "--target", target)
    assert (run.returncode, run.stdout) == (5, "")
    assert "The call ended without proof (DEADLINE_EXCEEDED" in run.stderr


@pytest.mark.parametrize(("command", "code"), [("call Say", 5), ("call Talk {}", 1)])
def test_who_stops_reading_is_told_of_what_may_be_done(tell: Tell, command: str, code: int) -> None:
    """A stream is cut off without a word, as every tool's."""
    with telling(tell, {"Say": echo, "Talk": echo}) as target:
        program = f"{sys.executable} -m paycli {command} --target {target} | true; echo ${{PIPESTATUS[0]}}"
        run = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)
    assert run.stdout == f"{code}\n"
    assert ("may have been carried out" in run.stderr) == (code == 5)
