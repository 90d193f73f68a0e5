"""The run of a check-up, with checks of the test's own."""

from __future__ import annotations

from paycli.doctor.check_up import check_up
from paycli.doctor.checks import Check, Finding, Verdict, ok
from paycli.storage.records import Repair

BAD = Finding(Verdict.FAIL, "It is broken.")


def test_what_needs_something_that_failed_is_left_out() -> None:
    checks = [
        Check("legs", lambda: BAD),
        Check("walk", lambda: ok("It walks."), needs="legs"),
        Check("wings", lambda: None),
        Check("fly", lambda: ok("It flies."), needs="wings"),
    ]
    assert list(check_up(checks)) == [("legs", BAD), ("fly", ok("It flies."))]


def test_a_repair_is_done_when_wanted_and_looked_at_again() -> None:
    mended: list[str] = []

    def look() -> Finding:
        if mended:
            return ok("It is whole.")
        return Finding(Verdict.FAIL, "It is broken.", repair=Repair("Glue.", lambda: None))

    checks = [Check("pot", look)]
    assert [finding.verdict for _, finding in check_up(checks)] == [Verdict.FAIL]
    found = list(check_up(checks, lambda name, _: mended.append(name)))
    assert found == [("pot", ok("It is whole."))]
    assert mended == ["pot"]


def test_a_repair_that_did_not_help_is_tried_once() -> None:
    tried: list[str] = []
    broken = Finding(Verdict.FAIL, "It is broken.", repair=Repair("Glue.", lambda: None))
    found = list(check_up([Check("pot", lambda: broken)], lambda name, _: tried.append(name)))
    assert (found, tried) == ([("pot", broken)], ["pot"])
