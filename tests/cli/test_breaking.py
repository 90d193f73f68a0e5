"""`paycli breaking`: exit codes, output, and the seed contract, which never changes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.conftest import run_paycli
from tests.toolchain.test_breaking_rules import breaking

ROOT = Path(__file__).parents[2]
HEADER = 'syntax = "proto3";\npackage pay;\n'
OLD = HEADER + "message Pay {\n  string id = 1;\n  string currency = 3;\n}\n"
NEW = HEADER + "message Pay {\n  string order_id = 1;\n}\n"


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """The new protos in `proto`, the old ones in `old`."""
    for folder, body in (("old", OLD), ("proto", NEW)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pay.proto").write_text(body, encoding="utf-8")
        (tmp_path / folder / "other.proto").write_text(HEADER, encoding="utf-8")
    return tmp_path


def test_findings_are_shown_with_their_line_and_exit_1(changed: Path) -> None:
    run = run_paycli("breaking", "--against", "old", cwd=changed)
    assert run.returncode == 1
    lines = run.stdout.splitlines()
    assert lines[0] == (
        'proto/pay.proto:3:1: FIELD_NO_DELETE Field 3 "currency" of "Pay" was deleted: '
        "what a client still sends as field 3 is dropped unread."
    )
    assert lines[1:3] == ["    message Pay {", "    ^"]
    assert lines[6].startswith("proto/pay.proto:4:10: FIELD_SAME_NAME")
    assert lines[7:] == ["      string order_id = 1;", "             ^"]
    assert run.stderr == "3 findings against old.\n"


def test_nothing_broken_prints_nothing_and_exits_0(changed: Path) -> None:
    run = run_paycli("breaking", "--against", "proto", cwd=changed)
    assert (run.returncode, run.stdout) == (0, "")
    assert run.stderr == "Nothing breaks against proto.\n"


def test_findings_for_machines(changed: Path) -> None:
    shown = {
        form: run_paycli("breaking", "--against", "old", "--format", form, cwd=changed).stdout
        for form in ("json", "junit", "github")
    }
    documents = [json.loads(line) for line in shown["json"].splitlines()]
    rules = ["FIELD_NO_DELETE", "FIELD_SAME_JSON_NAME", "FIELD_SAME_NAME"]
    assert sorted(each["type"] for each in documents) == rules
    cases = ET.fromstring(shown["junit"]).iter("testcase")
    assert sum(case.find("failure") is not None for case in cases) == 3
    assert shown["github"].count("::error file=proto/pay.proto,line=") == 3
    as_json = run_paycli("breaking", "--against", "old", "--json", cwd=changed)
    assert as_json.stdout == shown["json"]


def test_only_the_named_protos_are_reported_on(changed: Path) -> None:
    quiet = run_paycli("breaking", "proto/other.proto", "--against", "old", cwd=changed)
    assert (quiet.returncode, quiet.stdout) == (0, "")
    assert run_paycli("breaking", "proto/pay.proto", "--against", "old", cwd=changed).returncode


def test_a_git_revision_from_the_folder_of_the_protos(changed: Path) -> None:
    git = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.com")
    (changed / "proto/pay.proto").write_text(OLD, encoding="utf-8")
    for arguments in (["init", "-q"], ["add", "proto"], ["commit", "-q", "-m", "old"]):
        subprocess.run([*git, *arguments], cwd=changed, check=True)
    (changed / "proto/pay.proto").write_text(NEW, encoding="utf-8")
    run = run_paycli("breaking", "-I", ".", "--against", "HEAD", cwd=changed / "proto")
    assert run.returncode == 1
    assert run.stdout.startswith("pay.proto:3:1: FIELD_NO_DELETE")
    unknown = run_paycli("breaking", "--against", "nope", cwd=changed)
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("Error: --against nope is no path that exists, and git knows")


def test_the_wrong_root_is_guessed(changed: Path) -> None:
    (changed / "project").mkdir()
    (changed / "old").rename(changed / "project/proto")
    run = run_paycli("breaking", "--against", "project", cwd=changed)
    assert run.returncode == 1
    assert "No file is in both: is project the root of the old protos?" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing option '--against'"),
        (["--against", "pay.txt"], "pay.txt is no descriptor set;"),
        (["--against", "old", "nope.proto"], "nope.proto is not a file"),
        (["--against", "old", "-I", "nope"], "nope is not a folder"),
        (["--against", "old", "--config", "buf.yaml"], "buf.yaml:3:9: 'FIELDS' is no rule"),
        (["--against", "broken"], "The old side, broken, does not compile:\nbroken/a.proto:1:10:"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_2(
    arguments: list[str], said: str, changed: Path
) -> None:
    (changed / "pay.txt").write_text("no set", encoding="utf-8")
    config = "version: v2\nbreaking:\n  use: [FIELDS]\n"
    (changed / "buf.yaml").write_text(config, encoding="utf-8")
    (changed / "broken").mkdir()
    (changed / "broken/a.proto").write_text("syntax = ", encoding="utf-8")
    if "--config" not in arguments:
        (changed / "buf.yaml").unlink()
    run = run_paycli("breaking", *arguments, cwd=changed)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"Error: {said}")


# Written down once more, so that a change of proto/payment.proto shows here and nowhere heals.
SEED = """syntax = "proto3";
package payment;
service PaymentService { rpc ProcessPayment(PaymentRequest) returns (PaymentResponse); }
message PaymentRequest { string order_id = 1; double amount = 2; string currency = 3;
  string user_id = 4; }
message PaymentResponse { string payment_id = 1; string status = 2; }
"""


def test_the_seed_contract_is_what_it_always_was(tmp_path: Path) -> None:
    """Nothing breaks in either direction: nothing was taken away and nothing was added."""
    for side in ("frozen", "today"):
        (tmp_path / side).mkdir()
    frozen, today = tmp_path / "frozen", tmp_path / "today"
    (frozen / "payment.proto").write_text(SEED, encoding="utf-8")
    current = (ROOT / "proto/payment.proto").read_bytes()
    (today / "payment.proto").write_bytes(current)
    everything = "{use: [FILE, PACKAGE, WIRE_JSON, WIRE]}"
    for before, after in ((frozen, today), (today, frozen)):
        assert breaking(before, after, everything, tmp_path / "buf.yaml") == []
