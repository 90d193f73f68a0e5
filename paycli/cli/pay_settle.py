"""`paycli pay settle`: find out what became of payments whose answers nobody heard."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from paycli.cli import completion, options, output, pay_from
from paycli.cli.interrupts import Interrupts, termination_as_interrupt
from paycli.cli.service import Service, calls_service
from paycli.errors import CheckFailed, InputError, OutcomeUnknown, PaycliError

if TYPE_CHECKING:
    from paycli.cli.row_files import RowFile
    from paycli.client.orders import Reading
    from paycli.client.settling import Asked, Settled, Verdict

_PAYMENT_ID: Final = re.compile("pay_[0-9a-f]{32}")
_FILES: Final = (".csv", ".ndjson", ".jsonl", ".yaml", ".yml", ".gz")
_ALARMING: Final = ("declined", "different", "rejected", "unknown")  # verdicts


@calls_service
def pay_settle(
    service: Service,
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT...",
            help="A key, an order, a file of rows (- for stdin) or a fixture.",
            autocompletion=completion.to_settle,
        ),
    ],
    *,
    unknown: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Add the rows that stay unknown to this file."),
    ] = None,
    mapped: pay_from.Map = None,
    decimal: pay_from.DecimalPoint = ".",
    currency: Annotated[
        str,
        typer.Option(
            metavar="CODE",
            help="Of rows that name none; ISO 4217.",
            autocompletion=completion.currencies,
        ),
    ] = "",
    retry: Annotated[
        float, options.seconds("How long to ask again when no answer comes.", least=0)
    ] = 60.0,
    json: options.Json = False,
) -> None:
    """Find out what became of payments whose answers nobody heard; it asks, and sends nothing."""
    from paycli.cli.row_files import RowFile

    _refuse_overwriting(what, unknown)
    _refuse_missing(what)
    if unknown is not None and any(pay_from.is_fixture(Path(each)) for each in what):
        raise InputError("--unknown is for rows; a fixture has all that its payments need.")
    asked = _Asked(what, pay_from.names_of(mapped or []), pay_from.reading_of(currency, decimal))
    with termination_as_interrupt() as interrupts, ExitStack() as stack:
        kept = stack.enter_context(RowFile(unknown, append=True)) if unknown else None
        report = _Report(service, asked, kept, as_json=json)
        code = _settle(asked, service, retry, report, interrupts)
    if kept is not None and kept.problem:
        output.progress(f"Error: {kept.path} has not all of its rows: {kept.problem}.")
    raise typer.Exit(code)


def _settle(
    asked: _Asked, service: Service, retry_s: float, report: _Report, interrupts: Interrupts
) -> int:
    """Look all of it up, and account for it, however it ends; returns the exit code."""
    from paycli.client.settling import Records, Settling

    stop = Event()
    with service.connect() as channel:
        records = Records(channel, service.timeout_s, retry_s, stop)
        settling = Settling(records.look_up, report, interrupts.held)
        try:
            settling.run(asked.all(settling.idle), stop)
            code = settling.exit_code
        except KeyboardInterrupt:
            code = options.EXIT_INTERRUPTED
        except (BrokenPipeError, CheckFailed) as problem:
            # 1 would say that a payment failed.
            output.progress(f"Error: What was found cannot be written: {problem}")
            return OutcomeUnknown.exit_code
        except PaycliError as problem:
            output.error(problem, as_json=report.as_json)
            code = max(settling.exit_code, problem.exit_code)
        report.end(settling.totals)
    return code


def _is_file(word: str) -> bool:
    try:
        return word == "-" or (Path(word).exists() and not Path(word).is_dir())
    except OSError:  # too long for a name
        return False


def _refuse_missing(what: Sequence[str]) -> None:
    """A file that is not there is no order."""
    for each in what:
        if each.lower().endswith(_FILES) and not _is_file(each):
            raise InputError(f"{each}: no such file.")
        if _PAYMENT_ID.fullmatch(each):
            raise InputError(f"{each} is a payment's id; 'paycli payments get {each}' shows it.")


def _refuse_overwriting(what: Sequence[str], written: Path | None) -> None:
    if written is None or not written.exists():
        return
    if any(_is_file(each) and each != "-" and written.samefile(each) for each in what):
        raise InputError(f"{written} is what is read; name another file to write to.")


class _Asked(NamedTuple):
    """What was named on the command line, and how the rows of those that are files are read."""

    words: Sequence[str]
    names: Mapping[str, str]
    reading: Reading

    def reading_words(self) -> list[str]:
        """The options that say how rows are read."""
        words = [
            word for column, field in self.names.items() for word in ("--map", f"{field}={column}")
        ]
        words += ["--currency", self.reading.currency] if self.reading.currency else []
        return words + (["--decimal", ","] if self.reading.decimal == "," else [])

    def all(self, idle: Callable[[], None]) -> Iterator[Asked]:
        """The words, and the rows of those that are files; `idle` is called while a pipe brings none."""
        from paycli.client.fixtures import Fixture
        from paycli.client.orders import orders_of, orders_of_fixture, why_not_known
        from paycli.client.runs import Outcome
        from paycli.client.settling import Asked
        from paycli.rows import Rows

        for word in self.words:
            if not _is_file(word):
                yield Asked(word)
                continue
            if pay_from.is_fixture(Path(word)):
                orders = orders_of_fixture(Fixture(Path(word)), why_not_known, Outcome.UNKNOWN)
                yield from (Asked(each, Path(word)) for each in orders)
                continue
            with Rows(Path(word), self.names) as rows:
                pay_from.refuse_columns(rows)
                rows.when_idle(idle)
                yield from (Asked(row, rows.path) for row in orders_of(rows, self.reading))


class _Report:
    """Shows what was found as it comes, and keeps the rows of which nothing is known."""

    def __init__(
        self, service: Service, asked: _Asked, kept: RowFile | None, *, as_json: bool
    ) -> None:
        self.as_json = as_json
        self._service = service
        self._asked = asked
        self._kept = kept
        self._words: list[str] = []
        self._rows: Counter[Path] = Counter()
        self._new_each_run: set[Path] = set()

    def __call__(self, settled: Settled) -> None:
        from paycli.client.settling import Verdict

        if self.as_json:
            output.document(settled.as_dict())
        else:
            self._show(settled)
        if settled.verdict is Verdict.NOT_ON_RECORD:
            self._note(settled.asked)
        elif settled.verdict is Verdict.UNKNOWN and settled.asked.path is not None:
            self._new_each_run.add(settled.asked.path)
        if self._kept is not None and settled.verdict in (Verdict.NOT_ON_RECORD, Verdict.UNKNOWN):
            self._keep(self._kept, settled)

    def _show(self, settled: Settled) -> None:
        where = f"{settled.asked.path}:{settled.asked.line}: " if settled.asked.path else ""
        for name, verdict, payment in settled.found:
            money = f"{payment['amount']:>12} {payment['currency']}"
            reason = f" ({payment['decline_reason']})" if payment["decline_reason"] else ""
            said = (
                f"{verdict:13} {payment['payment_id']} {payment['state']:18} {money} {name}{reason}"
            )
            output.result(output.one_line(said), alarms=verdict in _ALARMING)
        if not settled.found:
            said = f"{settled.verdict:13} {where}{settled.why or settled.name}"
            output.result(output.one_line(said), alarms=settled.verdict in _ALARMING)
        elif settled.why:
            said = f"Error: {where}{settled.name} is another payment: {settled.why}."
            output.progress(output.one_line(said))

    def _note(self, asked: Asked) -> None:
        if isinstance(asked.what, str):
            self._words.append(asked.what)
        elif asked.path is not None:
            self._rows[asked.path] += 1

    def _keep(self, kept: RowFile, settled: Settled) -> None:
        from paycli.cli.row_files import unknown_row
        from paycli.client.orders import Order

        if isinstance(settled.asked.what, Order):
            kept.write(unknown_row(settled.asked.what.charge, str(settled.verdict)))

    def end(self, totals: Counter[Verdict]) -> None:
        """The account, and how to send again what is not on record."""
        from paycli.client.settling import Verdict

        if totals.total() != 1:
            parts = [f"{totals[each]:,} {each}" for each in Verdict if totals[each]] or ["none"]
            output.progress(f"{output.counted(totals.total(), 'payment')}: {', '.join(parts)}.")
        for word in self._words:
            self._advise(f"{word} is", "Sent again as it was, with the same key, it is paid once.")
        for path, count in self._rows.items():
            rows = f"{path}: {output.counted(count, 'row')}"
            # A fixture is sent with all that follows its payments.
            source = [str(path)] if pay_from.is_fixture(path) else ["--from", str(path)]
            again = self._line(*source, *self._asked.reading_words())
            is_sent_once = path not in self._new_each_run
            self._advise(
                rows,
                f"Sent again with the same key, each is paid once: {again}" if is_sent_once else "",
            )
        if self._kept is not None and self._kept.count:
            output.progress(f"{self._kept.path} has the rows that stay unknown.")

    def _advise(self, what: str, again: str) -> None:
        said = f"{what} not on record now; that does not prove that a call under way will not land."
        output.progress(output.one_line(f"{said} {again}".rstrip()))

    def _line(self, *words: str) -> str:
        return shlex.join(["paycli", "pay", *words, *self._service.words()])
