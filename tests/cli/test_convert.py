"""`paycli convert`: messages from one form to another."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from paycli.generated import payment_pb2
from tests.conftest import Server, run_paycli

PAID = payment_pb2.PaymentRequest(order_id="é\n\u202e\x85", amount=99.99, currency="EUR")
BATCH = "paycli.payments.v1.BatchCreatePaymentsRequest"
PROTO = """syntax = "proto2";
package odd;
message Odd {
  required string name = 1;
  map<string, Inner> inner = 2;
  message Inner { optional bytes raw = 1; optional Kind kind = 2; repeated int64 numbers = 3; }
  enum Kind { NONE = 0; }
  extensions 100 to 200;
}
extend Odd { optional double share = 100; }
"""


def converted(
    content: bytes, *words: str | Path, cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "paycli", "convert", *map(str, words)],
        input=content,
        capture_output=True,
        cwd=cwd,
        check=False,
    )


def bounded(limit: str, kib: int, command: list[str]) -> list[str]:
    """The command under a limit of the shell; gRPC does not live through a fork of our own."""
    return ["bash", "-c", f'ulimit {limit} {kib}; exec "$@"', "bash", *command]


def through(content: bytes, *words: str | Path, cwd: Path | None = None) -> bytes:
    run = converted(content, *words, cwd=cwd)
    assert (run.returncode, run.stderr) == (0, b"")
    return run.stdout


@pytest.mark.parametrize("form", ["json", "text", "binary"])
def test_there_and_back_is_byte_for_byte(form: str) -> None:
    """Our own contracts need neither a server nor a proto."""
    binary = PAID.SerializeToString()
    name = "payment.PaymentRequest"
    there = through(binary, name, "--to", form)
    assert through(there, name, "--from", form, "--to", "binary") == binary
    if form != "binary":
        assert "\u202e" not in there.decode()
    if form == "json":
        assert json.loads(there) == {"order_id": PAID.order_id, "amount": 99.99, "currency": "EUR"}


def test_a_files_name_says_its_form(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text("# of mine\norder_id: a\namount: 1.5\n")
    (tmp_path / "three.txtpb").write_text('order_id: "a" amount: 1.5')
    wanted = payment_pb2.PaymentRequest(order_id="a", amount=1.5).SerializeToString()
    assert through(b"", "payment.PaymentRequest", tmp_path / "two.yaml") == wanted
    shown = through(b"", "payment.PaymentRequest", tmp_path / "three.txtpb", "--json")
    assert shown == b'{"order_id": "a", "amount": 1.5}\n'
    assert through(shown, "payment.PaymentRequest", "--from", "json") == wanted


def test_by_somebody_elses_protos(tmp_path: Path) -> None:
    """Maps, bytes, 64 bits, enums of unknown numbers, extensions, fields that nobody knows."""
    (tmp_path / "proto").mkdir()
    (tmp_path / "proto/odd.proto").write_text(PROTO)
    run = run_paycli("gen", "-I", "proto", "--descriptor-set", "all.binpb", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    written = """name: x
inner:
  a: &one {raw: AP8=, numbers: [9223372036854775807, "-9223372036854775808"]}
  b: *one
"[odd.share]": Infinity
"""
    for where in (("-I", "proto"), ("--descriptor-set", "all.binpb")):
        binary = through(written.encode(), "odd.Odd", "--from", "json", *where, cwd=tmp_path)
        shown = json.loads(through(binary, "odd.Odd", *where, cwd=tmp_path))
        assert shown["inner"]["b"] == shown["inner"]["a"]
        assert shown["inner"]["a"]["numbers"] == ["9223372036854775807", "-9223372036854775808"]
        assert shown["[odd.share]"] == "Infinity"
        text = through(binary, "odd.Odd", "--to", "text", *where, cwd=tmp_path)
        assert through(text, "odd.Odd", "--from", "text", "--to", "binary", *where, cwd=tmp_path)
        unknown = binary + b"\x98\x06\x05"  # field 99
        told = converted(unknown, "odd.Odd", *where, cwd=tmp_path)
        assert json.loads(told.stdout) == shown
        assert told.stderr.decode() == (
            "Warning: the schema does not know these fields, left out: 99.\n"
        )
        assert (
            through(unknown, "odd.Odd", "--to", "binary", *where, cwd=tmp_path)[-3:]
            == (unknown[-3:])
        )


def test_by_the_reflection_of_a_server(server: Server) -> None:
    content = b"status: SERVING"
    words = ("grpc.health.v1.HealthCheckResponse", "--target", server.target)
    assert through(content, *words, "--from", "json") == b"\x08\x01"
    blind = converted(content, words[0], "--from", "json")
    assert blind.returncode == 2
    assert b"There is no message 'grpc.health.v1.HealthCheckResponse'" in blind.stderr


@pytest.mark.parametrize(
    ("form", "content", "said"),
    [
        ("json", b'{"amonut": 5}', "no field is called 'amonut'; did you mean 'amount'? "),
        (
            "json",
            b'{"amount": NaN}',
            "amount: must be a number (double), not NaN; what is not finite is written in quotes",
        ),
        ("json", b'{"amount": "many"}', 'amount: must be a number (double), not "many". '),
        ("json", b"order_id: [", "not YAML: did not find expected node"),
        ("json", b'{"amount": 1, "amount": 2}', "stdin:1:15: duplicate key 'amount'"),
        ("json", b'order_id: "a', "stdin:1:13: not YAML"),
        ("json", b'{"amount": 1,\n "order_id": a}', "stdin:2:14: not JSON: expecting value."),
        ("json", b'{"amount": 1_0}', "stdin:1:13: not JSON: expecting ',' delimiter."),
        ("json", b'{"a": {"b": 1},\n "\\u0061": 2}', "stdin:2:2: duplicate key 'a'"),
        ("json", b'{"amount": 1' + b"0" * 5000 + b"}", "too many digits to be meant"),
        ("json", b"[1]", "a message is written as {field: value}"),
        ("json", b"", "0 documents; a message is one"),
        ("json", b"{} {}", "2 documents; a message is one"),
        ("json", b"a: \n b\xff", "stdin:2:3: not UTF-8 text; is it binary?"),
        ("json", b"{a: " * 100_000, "nested too deeply"),
        (
            "text",
            b'order_id: "a"\namount: 5.5.5',
            "stdin:2:9: this is no payment.PaymentRequest: C",
        ),
        (
            "text",
            b"\namonut: 5",
            "stdin:2:1: this is no payment.PaymentRequest: no field is called 'amonut'; did",
        ),
        ("text", b"order_id: " + b"x" * 1_000_000, "stdin:1:11: "),
        ("text", b"order_id: \n", "stdin:2:1: "),
        ("text", "#\u2028\namount: x".encode(), "stdin:2:9: this is no payment.PaymentRequest: C"),
        ("binary", b"\xff\xff", "stdin: no payment.PaymentRequest in binary"),
        ("binary", b'{"order_id": "a"}', "say --from json"),
    ],
)
def test_a_mistake_is_one_sentence_that_says_where(form: str, content: bytes, said: str) -> None:
    run = converted(content, "payment.PaymentRequest", "--from", form, "--to", "text")
    assert (run.returncode, run.stdout) == (2, b"")
    assert said in run.stderr.decode()
    assert run.stderr.count(b"\n") == 1
    assert len(run.stderr) < 1000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("payment.PaymentReqest",), "did you mean 'payment.PaymentRequest'?"),
        (("payment.PaymentService",), "There is no message 'payment.PaymentService'"),
        (("payment.PaymentRequest", "no.json"), "no.json: cannot be read: No such file"),
        (("payment.PaymentRequest", "/dev/zero"), "/dev/zero: more than the 256 MiB that are read"),
        (("payment.PaymentRequest", "--descriptor-set", "/dev/zero"), "more than the 256 MiB"),
        (("payment.PaymentRequest", "--to", "yaml"), "'yaml' is no form"),
        (("payment.PaymentRequest", "--json", "--to", "text"), "leave out --to"),
    ],
)
def test_wrong_words(words: tuple[str, ...], said: str) -> None:
    run = converted(b"", *words)
    assert (run.returncode, run.stdout) == (2, b"")
    assert said in run.stderr.decode()


def test_the_name_of_a_file_says_whether_it_is_json(tmp_path: Path) -> None:
    for name, content in (("a.json", "{amount: 1}"), ("a.yaml", '{"amount": 1,}')):
        (tmp_path / name).write_text(content)
    refused = converted(b"", "payment.PaymentRequest", tmp_path / "a.json", "--json")
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert b"a.json:1:2: not JSON: expecting property name" in refused.stderr
    shown = through(b"", "payment.PaymentRequest", tmp_path / "a.yaml", "--json")
    assert shown == b'{"amount": 1.0}\n'


def test_broken_json_is_refused_without_much_memory() -> None:
    content = b'{"requests": [' + b'{"order_id": "a", "amount": 1},' * 100_000
    command = [sys.executable, "-m", "paycli", "convert", BATCH, "--from", "json", "--to", "text"]
    run = subprocess.run(
        bounded("-v", 700 * 1024, command), input=content, capture_output=True, check=False
    )
    assert (run.returncode, run.stdout) == (2, b"")
    assert b"stdin:1:3100015: not JSON: expecting value." in run.stderr


def test_the_field_that_is_wrong_is_named_however_deep() -> None:
    content = b'{"requests": [{}, {"amonut": {}}]}'
    run = converted(content, BATCH, "--from", "json", "--to", "text")
    assert "requests[1]: no field is called 'amonut'; did you mean 'amount'?" in run.stderr.decode()


def test_binary_is_not_for_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "paycli", "convert", "payment.PaymentRequest"]
    run = subprocess.run(
        [*command, str(tmp_path / "a.json")],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(theirs)
    os.close(ours)
    assert run.returncode == 2
    assert b"write it to a file with > FILE, or --to json" in run.stderr


def test_a_result_that_is_not_written_whole_is_told(tmp_path: Path) -> None:
    """An unbuffered stdout takes what there is room for, and only says how much that was."""
    content = payment_pb2.PaymentRequest(order_id="a" * 2_000_000).SerializeToString()
    command = [
        sys.executable,
        "-m",
        "paycli",
        "convert",
        "payment.PaymentRequest",
        "--to",
        "binary",
    ]
    with (tmp_path / "out").open("wb") as out:
        run = subprocess.run(
            bounded("-f", 1000, command),
            input=content,
            stdout=out,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            check=False,
        )
    assert (run.returncode, run.stderr) == (1, b"Error: Cannot write the result: File too large.\n")


def test_a_descriptor_set_without_what_it_imports_is_told(tmp_path: Path) -> None:
    file = FileDescriptorProto(name="a.proto", package="a", dependency=["gone.proto"])
    file.message_type.add(name="A")
    (tmp_path / "set").write_bytes(FileDescriptorSet(file=[file]).SerializeToString())
    run = converted(b"", "a.A", "--descriptor-set", str(tmp_path / "set"))
    assert (run.returncode, run.stdout) == (2, b"")
    assert b"gone.proto" in run.stderr
