"""Command lines of grpcurl, read as a shell reads them, become a suite that holds."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paycli.cli.schemas import local_schema
from paycli.errors import DocumentError
from paycli.scenarios.contracts import Contracts
from paycli.scenarios.recording.grpcurl import read_grpcurl
from paycli.scenarios.recording.seen import LeftOut, Seen
from paycli.scenarios.recording.suite import make_suite
from paycli.scenarios.recording.text import suite_text
from paycli.scenarios.suite import read_suite
from tests.conftest import Server, run_paycli

PAY = "localhost:1 payment.PaymentService/ProcessPayment"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def read_one(text: str) -> Seen:
    (one,), _ = read_grpcurl(text, "lines", Contracts())
    assert isinstance(one, Seen)
    return one


@given(TEXTS, TEXTS, st.sampled_from([" ", "  ", " \\\n  ", " \\\r\n "]))
def test_whatever_is_quoted_is_read_as_it_was(order: str, user: str, blank: str) -> None:
    data = {name: value for name, value in (("order_id", order), ("user_id", user)) if value}
    words = ["grpcurl", "-plaintext", "-d", json.dumps(data, ensure_ascii=False), *PAY.split()]
    assert read_one(blank.join(map(shlex.quote, words))).requests == [data]


@given(TEXTS, TEXTS, st.floats(allow_nan=False, allow_infinity=False))
def test_a_suite_says_what_the_line_said(
    tmp_path_factory: pytest.TempPathFactory, order: str, user: str, amount: float
) -> None:
    data = json.dumps({"order_id": order, "user_id": user, "amount": amount})
    entries, _ = read_grpcurl(f"grpcurl -d {shlex.quote(data)} {PAY}", "lines", Contracts())
    made = make_suite(entries, 0)
    if made.left_out:
        assert "${" in order + user
        return
    path = tmp_path_factory.getbasetemp() / "suite.yaml"
    path.write_text(suite_text(made, "here"), encoding="utf-8")
    (step,) = read_suite(path).steps
    sent: Any = step
    assert sent.requests[0].get("amount", 0) == amount
    assert sent.requests[0].get("user_id", "") in (user, sent.requests[0].get("order_id"))
    assert sent.requests[0].get("order_id", "") != order or not order


def test_all_that_is_read_of_a_line() -> None:
    lines = f"""
    # the shop
    $ TOKEN=a /usr/bin/grpcurl -plaintext -proto a.proto --import-path=protos -rpc-header 'X-Shop: berlin' \\
        -H "authorization: Bearer ab" -max-time 2.5 -d @ {PAY.replace("/", ".")} <<'EOM'
{{"orderId": "A-1",
  "amount": 5}}
EOM
    """
    one = read_one(lines)
    assert one.method.name == "ProcessPayment"
    assert one.requests == [{"order_id": "A-1", "amount": 5.0}]
    assert list(one.metadata) == [("x-shop", "berlin"), ("authorization", "Bearer ab")]
    assert one.within_ms == 2500
    assert read_one(f"grpcurl -d @ {PAY} <<<'{{\"amount\": 5}}'").requests == [{"amount": 5.0}]


def test_documents_are_the_requests_of_a_stream(tmp_path: Path) -> None:
    (tmp_path / "a.proto").write_text(
        'syntax = "proto3"; package a; message M { string x = 1; }\n'
        "service B { rpc C(stream M) returns (stream M); }"
    )
    contracts = Contracts(local_schema([tmp_path], None))
    lines = """grpcurl -d '{"x": "1"} {"x": "2"}' localhost:1 a.B/C\ngrpcurl localhost:1 a.B/C"""
    entries, _ = read_grpcurl(lines, "lines", contracts)
    text = suite_text(make_suite(entries, 0), "here")
    assert 'requests: [{x: "1"}, {x: "2"}]\n' in text
    assert text.endswith("requests: []\n")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"grpcurl -plaintex {PAY}", "2: the flag -plaintex is not known here; did you mean"),
        (f'grpcurl -d \'{{"amount": 5 {PAY}', "2: the command has no end: No closing quotation"),
        (
            f"grpcurl -d '{{\"amont\": 5}}' {PAY}",
            "2: -d: this is no payment.PaymentRequest: no field",
        ),
        (f"grpcurl -d '{{}}{{}}' {PAY}", "2: -d has 2 documents"),
        (f"grpcurl -d @ {PAY}", "2: -d @ reads what is not here"),
        (f"grpcurl -d @ {PAY} <<EOM\n{{}}", "2: there is no line 'EOM'"),
        (f"grpcurl -max-time soon {PAY}", "2: -max-time takes seconds"),
        (f"grpcurl -format text {PAY}", "2: -format text: only data in JSON"),
        (f"grpcurl -H nothing {PAY}", "2: -H takes 'name: value'"),
        (f"grpcurl {PAY} x", "2: a call has an address and a method, and here are 3 words"),
        ("grpcurl -d", "2: -d has no value"),
        ("grpcurl localhost:1 Nope", "2: 'Nope' is no method"),
        ("curl localhost", " there is no grpcurl command in it"),
        ("# nothing", " there is no grpcurl command in it"),
    ],
)
def test_a_mistake_is_named_with_its_line(line: str, said: str) -> None:
    with pytest.raises(DocumentError) as mistake:
        read_grpcurl(f"\n{line}\n", "lines", Contracts())
    assert str(mistake.value).startswith(f"lines:{said}")


def test_what_no_suite_can_call_stays_a_comment() -> None:
    lines = ("localhost:1 list", "localhost:1 acme.Foo/Bar", "localhost:1 describe a.B")
    entries, _ = read_grpcurl("".join(f"grpcurl {each}\n" for each in lines), "lines", Contracts())
    assert [type(each) for each in entries] == [LeftOut] * 3


def test_protos_tell_of_other_services(tmp_path: Path) -> None:
    (tmp_path / "a.proto").write_text(
        'syntax = "proto3"; package a; message M { string t = 1; } service B { rpc C(M) returns (M); }'
    )
    (tmp_path / "lines").write_text('grpcurl -d \'{"t": "x"}\' localhost:1 a.B/C')
    run = run_paycli("smoke", "import", "lines", "-I", ".", cwd=tmp_path)
    assert "call: a.B/C\n    request: {t: x}\n" in run.stdout, run.stderr


def test_lines_run_as_a_suite(server: Server, tmp_path: Path) -> None:
    line = (
        f'grpcurl -plaintext -d \'{{"order_id": "A-1", "amount": 5, "currency": "EUR"}}\' {PAY}\n'
    )
    run = subprocess.run(
        [sys.executable, "-m", "paycli", "smoke", "import", "-"],
        input=2 * line,
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr) == (0, "2 steps.\n")
    assert run.stdout.count('"${order_id}"') == 2
    (tmp_path / "lines.txt").write_text(line)
    written = run_paycli("smoke", "import", "lines.txt", "--out", "suite.yaml", cwd=tmp_path)
    assert written.returncode == 0, written.stderr
    assert (
        run_paycli("smoke", "import", "lines.txt", "--out", "suite.yaml", cwd=tmp_path).returncode
        == 2
    )
    smoke = run_paycli("smoke", tmp_path / "suite.yaml", "--target", server.target)
    assert smoke.returncode == 0, smoke.stdout


@pytest.mark.parametrize(("seconds", "limit_ms"), [("1.001", 1001), ("0.001", 1)])
def test_a_time_limit_is_one_that_suites_can_say(seconds: str, limit_ms: float) -> None:
    assert read_one(f"grpcurl -max-time {seconds} {PAY}").within_ms == limit_ms


def test_a_suite_for_which_nothing_is_open_is_not_lost_in_silence() -> None:
    run = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m paycli smoke import - >&-"],
        input=f"grpcurl {PAY}",
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr) == (
        1,
        "Error: Cannot write the result: stdout is closed. Name a file with --out.\n",
    )
