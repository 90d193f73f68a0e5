"""What suites call: any method of any service, of all four kinds, and what they skip."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_smoke_steps import PAY, smoke, verdicts
from tests.conftest import Server, run_paycli
from tests.host.test_servicers import project, serving

__all__ = ["project"]  # the fixture

WATCH = "call: paycli.payments.v1.Payments/WatchEvents"
EVERY = """
requires: every.Every
steps:
  - {name: one, call: every.Every/One, request: {text: a}, expect: {text: a}}
  - {name: other, call: every.Every/One, request: {text: a}, expect: {text: b}}
  - {name: sum, call: every.Every/Sum, requests: [{text: a}, {text: b}], expect: {text: a+b}, save: {all: text}}
  - {name: none, call: every.Every/Sum, requests: [], expect: {text: ""}}
  - {name: saved, call: every.Every/One, request: {text: "${all}"}, expect: {text: a+b}}
  - {name: many, call: every.Every/Many, request: {text: m},
     expect_stream: {messages: [{text: m0}, {text: m1}, {text: m2}]}}
  - {name: last, call: every.Every/One, request: {text: "${steps.many.text}"}, expect: {text: m2}}
  - {name: fewer, call: every.Every/Many, request: {text: m}, expect_stream: {count: 2}}
  - {name: more, call: every.Every/Many, request: {text: m}, expect_stream: {then: cancel, count: 4}}
  - {name: these, call: every.Every/Many, request: {text: m}, expect_stream: {messages: [{text: m0}]}}
  - {name: like, call: every.Every/Many, request: {text: m},
     expect_stream: {count: {gte: 2}, each: {text: {matches: "^m[0-9]$"}}}}
  - {name: unlike, call: every.Every/Many, request: {text: m}, expect_stream: {each: {text: {not: m1}}}}
  - {name: cancelled, call: every.Every/Many, request: {text: slow}, within_ms: 9000,
     expect_stream: {messages: [{text: slow0}], then: cancel}}
  - {name: aborts, call: every.Every/Many, request: {text: abort}, expect_stream: {each: {}}}
  - {name: as said, call: every.Every/Many, request: {text: abort},
     expect_stream: {each: {text: {contains: abort}}}, expect_error: {code: ABORTED, message: middle}}
  - {name: does not, call: every.Every/Many, request: {text: m}, expect_error: {code: ABORTED}}
  - {name: talk, call: every.Every/Talk, requests: [{text: a}, {text: b}],
     expect_stream: {messages: [{text: A}, {text: B}]}}
"""
FAILS = {"other", "fewer", "more", "these", "unlike", "aborts", "does not"}


def test_all_four_kinds_by_reflection_and_by_protos(project: Path, tmp_path: Path) -> None:
    suite = tmp_path / "s.yaml"
    with serving(project, "servicer:Sync") as (_, target):
        for words in ((), ("-I", str(project))):
            code, steps = smoke(target, suite, EVERY, *words)
            assert code == 1
            failed = {name for name, verdict in verdicts(steps).items() if verdict == "failed"}
            assert failed == FAILS, steps
            assert set(verdicts(steps).values()) == {"passed", "failed"}
            reason = {name: steps[name]["reason"] for name in failed}
            assert reason["fewer"] == "number of messages: expected 2, got 3"
            assert reason["more"] == "number of messages: expected at least 4, got 3"
            assert reason["unlike"] == "message 2.text: expected not m1, got 'm1'"
            assert "ended with ABORTED: in the middle after " in reason["aborts"]
            assert reason["does not"] == "expected ABORTED, but the stream ended without an error"
        talk = run_paycli("smoke", suite, "-k", "talk", "--target", target)
        assert talk.returncode == 0, talk.stdout
        wrong = suite.with_name("w.yaml")
        wrong.write_text(EVERY.replace("{text: a+b}", "{txt: a+b}", 1))
        run = run_paycli("smoke", wrong, "--target", target)
        assert (run.returncode, run.stdout) == (2, "")
        assert "w.yaml:6:" in run.stderr
        assert "did you mean 'text'" in run.stderr


def test_a_service_that_nobody_knows(server: Server, tmp_path: Path) -> None:
    suite = tmp_path / "s.yaml"
    code, steps = smoke(server.target, suite, EVERY)
    assert (code, set(verdicts(steps).values())) == (1, {"skipped"})
    assert "There is no service 'every.Every'".lower() in steps["one"]["reason"].lower()
    suite.write_text(EVERY.replace("requires: every.Every", ""))
    run = run_paycli("smoke", suite, "--target", server.target)
    assert (run.returncode, run.stdout) == (2, "")
    assert "s.yaml:4:" in run.stderr
    run = run_paycli("smoke", suite)
    assert run.returncode == 2
    assert "name its protos with -I" in run.stderr


SKIPS = f"""
steps:
  - {{name: set, skip_unless: {{env: THERE}}, {PAY}, request: {{order_id: o, amount: 5, currency: EUR, user_id: a}}}}
  - {{name: unset, skip_unless: {{env: NOT_THERE}}, {PAY}, request: {{order_id: o, amount: 5}}}}
  - {{name: offered, skip_unless: {{service: paycli.payments.v1.Payments}}, {WATCH},
     request: {{after_sequence: 0}}, expect_stream: {{count: 1, then: cancel}}}}
  - {{name: not offered, skip_unless: {{service: some.Other}}, {PAY}, request: {{order_id: p, amount: 5}}}}
  - {{name: after it, {PAY}, request: {{order_id: "${{steps.unset.payment_id}}", amount: 5}}}}
  - {{name: fails, {PAY}, request: {{order_id: o, amount: -5, currency: EUR, user_id: a}},
     expect_error: {{code: INVALID_ARGUMENT, reason: AMOUNT_NOT_POSITIVE, metadata: {{field: amounts}}}}}}
  - {{name: after that, skip_unless: {{step: fails}}, {PAY}, request: {{order_id: q, amount: 5}}}}
  - {{name: as said, {PAY}, request: {{order_id: o, amount: -5, currency: EUR, user_id: a}},
     expect_error: {{code: INVALID_ARGUMENT, metadata: {{field: {{matches: amo}}}}}}}}
"""


def test_steps_are_skipped_with_the_reason(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THERE", "1")
    code, steps = smoke(server.target, tmp_path / "s.yaml", SKIPS)
    assert code == 1
    skipped = ("unset", "not offered", "after it", "after that")
    assert {name: each for name, each in verdicts(steps).items() if each != "passed"} == {
        **dict.fromkeys(skipped, "skipped"),
        "fails": "failed",
    }, steps
    assert steps["unset"]["reason"] == "the environment variable NOT_THERE is not set"
    assert steps["not offered"]["reason"].endswith("does not know some.Other")
    assert steps["after it"]["reason"] == "'unset' was skipped"
    assert steps["after that"]["reason"] == "'fails' did not pass"
    assert steps["fails"]["reason"] == "metadata.field: expected 'amounts', got 'amount'"
    code, steps = smoke(server.target, tmp_path / "s.yaml", SKIPS, "--strict")
    assert {verdicts(steps)[name] for name in skipped} == {"error"}
    everything = f"skip_unless: {{env: NOT_THERE}}\n{SKIPS}"
    code, steps = smoke(server.target, tmp_path / "s.yaml", everything)
    assert (code, set(verdicts(steps).values())) == (1, {"skipped"})


def test_suites_have_names(server: Server, tmp_path: Path) -> None:
    def listed(*words: str) -> set[str]:
        run = run_paycli("smoke", *words, "--list", cwd=tmp_path)
        assert run.returncode == 0, run.stderr
        return {line.partition(":")[0] for line in run.stdout.splitlines()}

    assert listed("resilience", "money") == {"04-resilience", "02-money"}
    own = tmp_path / "configs/smoke"
    own.mkdir(parents=True)
    (own / "money.yaml").write_text(f"steps: [{{name: mine, {PAY}}}]\n")
    assert listed("money", "contract") == {"money", "01-contract"}
    assert listed() == {"money"}
    wrong = run_paycli("smoke", "mony", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "did you mean 'money'?" in wrong.stderr
    (tmp_path / "contract").write_text("steps: [{name: a, fixture: none}]\n")
    assert "none" in run_paycli("smoke", "contract", cwd=tmp_path).stderr


def test_every_currency_is_in_the_suite_of_money() -> None:
    from paycli.payments.currencies import EXPONENTS
    from paycli.scenarios.locate import suite_paths

    text = suite_paths([Path("money")])[0].read_text()
    for code in EXPONENTS:
        assert text.count(f"currency_code: {code}, ") >= 3, code
