"""`paycli pay FIXTURE.yaml...`: every payment of fixtures, and what is done with each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

from paycli.cli import options, output
from paycli.cli.pay_mistakes import Mistakes
from paycli.cli.pay_one import CUT_OFF, name_ways, why_cut_off
from paycli.cli.service import Service
from paycli.client.charges import Paid
from paycli.client.fixture_choices import Choices
from paycli.client.fixture_payments import FixturePayment, Mistaken
from paycli.client.fixtures import Fixture
from paycli.client.follow_ups import Done, Ending
from paycli.client.runs import Outcome, Result, Run
from paycli.errors import CheckFailed, OutcomeUnknown, Retry

_Kind = TypeVar("_Kind")
_CHECKED_EACH: Final = 1000  # entries, after which the bar moves


def pay_fixtures(
    paths: list[Path],
    choices: Choices,
    service: Service,
    retry_s: float,
    *,
    keep_going: bool,
    as_json: bool,
) -> int:
    """Check all, then send all in order; the exit code is the worst that is true."""
    fixtures = [Fixture(path, choices) for path in paths]
    wrong = sum(map(_mistakes_in, fixtures))
    if not wrong:  # what is wrong may be what was chosen
        choices.refuse_unused()
    report = _Report(service, choices, as_json=as_json)
    run = Run(chain.from_iterable(each.to_send() for each in fixtures), report)
    broken = [str(each.path) for each in fixtures if each.is_broken]
    if broken:
        # What its unread part says of the payments before it nobody knows.
        why = f"{', '.join(broken)} cannot be read to its end"
        code = _carry_out(run, report, lambda: run.leave(why))
    elif wrong and not keep_going:
        code = _carry_out(run, report, lambda: run.leave("--keep-going sends those that are right"))
    else:
        with service.connect() as channel:
            code = _carry_out(run, report, lambda: run.send(channel, service.timeout_s, retry_s))
    report.close()
    output.progress(_summary(run))
    return code


def _mistakes_in(fixture: Fixture) -> int:
    """How many entries are wrong. A large file takes a while."""
    size = fixture.path.stat().st_size if fixture.path.is_file() else 0
    wrong = 0
    with output.progress_bar("bytes checked") as show:
        for number, each in enumerate(fixture, 1):
            wrong += isinstance(each, Mistaken)
            if number % _CHECKED_EACH == 0:
                show(fixture.bytes_read, size)
    return wrong


def _carry_out(run: Run, report: _Report, work: Callable[[], None]) -> int:
    """Do it to its end, or account for what it leaves when it is cut off."""
    try:
        work()
    except KeyboardInterrupt as ended:
        why = why_cut_off(ended)
        code = _carry_out(run, report, lambda: run.break_off(why))
        return code if code == OutcomeUnknown.exit_code else options.EXIT_INTERRUPTED
    except CUT_OFF as ended:
        report.stdout_is_lost = True
        why = why_cut_off(ended)
        return _carry_out(run, report, lambda: run.break_off(why)) or CheckFailed.exit_code
    return run.exit_code


class _Report:
    """Shows results as they come: what was answered on stdout, what is wrong on stderr.

    As JSON, all of it is on stdout.
    """

    def __init__(self, service: Service, choices: Choices, *, as_json: bool) -> None:
        self._service = service
        self._choices = choices
        self._as_json = as_json
        self._mistakes = Mistakes()
        self.stdout_is_lost = False

    def __call__(self, result: Result) -> None:
        self._name_commands(result)
        if self._as_json:
            self._document(result)
            return
        if result.paid is not None and not self.stdout_is_lost:
            _print_paid(result.paid, alarms=result.problem is not None)
            for each in result.done:
                _print_done(each)
        self._mistakes.tell(result.problems)

    def close(self) -> None:
        """Say what was too much to show."""
        self._mistakes.close()

    def _document(self, result: Result) -> None:
        if self.stdout_is_lost:
            for problem in result.problems:
                output.error(problem, as_json=True)
            return
        bodies = [each.as_dict() for each in result.problems]
        output.document(
            {**result.as_dict(), "error": bodies[0] if bodies else None, "errors": bodies}
        )

    def _name_commands(self, result: Result) -> None:
        """What to type after each failure."""
        entry = result.entry
        if isinstance(entry, Mistaken):
            return
        if result.problem is not None:
            name_ways(result.problem, entry.charge, self._service, self._again(entry))
        for each in result.done:
            if each.problem is None or each.problem.retry is Retry.NO or result.paid is None:
                continue
            payment_id = result.paid.payment_id
            each.problem.command = self._service.command("payments", "get", payment_id)
            each.problem.again = self._service.command(*each.follow_up.words(payment_id))

    def _again(self, payment: FixturePayment) -> str | None:
        """The command that sends it again as it is meant; None where `pay --amount` does."""
        if not (payment.charge.is_manual or payment.then):
            return None
        if payment.unknown_by:
            return ""
        only = ["--only", payment.name or payment.charge.order_id]
        words = ["pay", str(payment.path), *self._choices.words]
        return self._service.command(*words, *(only if only[1] else []))


def _print_paid(paid: Paid, *, alarms: bool) -> None:
    charge = paid.charge
    note = " (paid before)" if paid.replayed and paid.succeeded else ""
    reason = f" ({output.one_line(paid.decline_reason)})" if paid.decline_reason else ""
    output.result(
        f"{paid.status:10} {charge.decimal_amount:>12} {charge.currency} "
        f"{output.one_line(paid.payment_id)} {charge.order_id or charge.name}{note}{reason}",
        alarms=alarms,
    )


def _print_done(done: Done) -> None:
    said = f"expected {done.follow_up.expect_error}" if done.is_refused else str(done.ending)
    output.result(output.one_line(f"  then {done.follow_up}: {said}"))


def _summary(run: Run) -> str:
    said = f"{output.counted(run.totals.total(), 'payment')}: {_counts(Outcome, run.totals)}"
    if run.totals[Outcome.NOT_SENT] and run.ended_because:
        said += f" ({run.ended_because})"
    if run.follow_ups.total():
        count = output.counted(run.follow_ups.total(), "follow-up")
        said += f". {count}: {_counts(Ending, run.follow_ups)}"
    return f"{said}."


def _counts(kinds: Iterable[_Kind], totals: Mapping[_Kind, int]) -> str:
    return ", ".join(f"{totals[each]:,} {each}" for each in kinds if totals[each])
