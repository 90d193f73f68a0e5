"""`paycli pay --from`: a file of payments, however many, each paid once."""

from __future__ import annotations

import shlex
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, Self

import typer

from paycli.cli import options, output
from paycli.errors import InputError, OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc

    from paycli.cli.interrupts import Interrupts
    from paycli.cli.row_files import RowFile
    from paycli.cli.service import Service
    from paycli.client.bulk import Bulk
    from paycli.client.doors import Door, Sent
    from paycli.client.fixtures import Fixture
    from paycli.client.orders import Order, Reading, Rejected
    from paycli.rows import Rows

_SHOWN_MAX: Final = 10  # rejects on the terminal, where no file takes them
_DRAWN_S: Final = 0.1

From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="Rows to pay: CSV with a header, a JSON object a line, or a fixture (.yaml); gzipped "
        "too; - for stdin.",
    ),
]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="Where the file calls a field otherwise."),
]
DecimalPoint = Annotated[
    str, typer.Option("--decimal", metavar="SIGN", help="What stands before the decimals: . or ,")
]
Rejects = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Rows that were not taken, with reasons: .csv or .ndjson."),
]
Unknown = Annotated[
    Path | None,
    typer.Option(
        "--unknown", metavar="FILE", help="Rows that may be paid. Default: FILE.unknown.ndjson."
    ),
]
Rate = Annotated[
    float | None, typer.Option(min=0.1, metavar="N", help="At most so many rows a second.")
]
Concurrency = Annotated[
    int,
    typer.Option(
        min=1, max=1000, metavar="N", help="Calls at a time, where the service knows no batches."
    ),
]
FailuresMax = Annotated[
    int | None,
    typer.Option("--max-failures", min=1, metavar="N", help="End after so many rows went wrong."),
]
Retry = Annotated[
    float | None,
    options.seconds(
        "How long to send again what was not answered or taken. Default: 60 with --from, else 0.",
        least=0,
    ),
]
RETRY_S: Final = 60.0


class Given(NamedTuple):
    """What was said of a file of rows."""

    path: Path
    mapped: list[str]
    decimal: str
    currency: str
    rejects: Path | None
    unknown: Path | None
    rate: float | None
    concurrency: int
    failures_max: int | None
    retry_s: float


def pay_from(given: Given, service: Service, interrupts: Interrupts, *, as_json: bool) -> int:
    """Send all rows and account for each; returns the exit code."""
    from paycli.cli.row_files import RowFile

    _refuse_overwriting(given)
    reading = reading_of(given.currency, given.decimal)
    with ExitStack() as stack:
        source, orders = _source(given, reading, stack)
        rejects = (
            stack.enter_context(RowFile(given.rejects, append=False)) if given.rejects else None
        )
        unknown = stack.enter_context(
            RowFile(given.unknown or _unknown_of(given.path), append=True)
        )
        channel = stack.enter_context(service.connect())
        report = stack.enter_context(_Report(given.path, service, source, rejects, unknown))
        return _send(orders, given, service, channel, report, interrupts, as_json=as_json)


def is_fixture(path: Path) -> bool:
    """Whether the file is one by its name."""
    return path.name.lower().removesuffix(".gz").endswith((".yaml", ".yml"))


def _source(
    given: Given, reading: Reading, stack: ExitStack
) -> tuple[Rows | Fixture, Iterator[Order | Rejected]]:
    """The file, and the payments in it."""
    from paycli.client.orders import orders_of, orders_of_fixture, why_not_among_many
    from paycli.client.runs import Outcome

    if is_fixture(given.path):
        from paycli.client.fixtures import Fixture

        ignored = {
            "--map": given.mapped,
            "--decimal": given.decimal != ".",
            "--currency": given.currency,
        }
        if said := [option for option, value in ignored.items() if value]:
            raise InputError(f"{', '.join(said)}: not for a fixture; write it into {given.path}.")
        fixture = Fixture(given.path)
        return fixture, orders_of_fixture(fixture, why_not_among_many, Outcome.REJECTED)
    from paycli.rows import Rows

    rows = stack.enter_context(Rows(given.path, names_of(given.mapped)))
    refuse_columns(rows)
    return rows, orders_of(rows, reading)


def _send(
    orders: Iterator[Order | Rejected],
    given: Given,
    service: Service,
    channel: grpc.Channel,
    report: _Report,
    interrupts: Interrupts,
    *,
    as_json: bool,
) -> int:
    from functools import partial

    from paycli.client.bulk import Bulk, Limits
    from paycli.client.runs import why_to_end
    from paycli.rows import Rows

    door = _door(given, service, channel)
    ends = partial(why_to_end, channel=channel, timeout_s=service.timeout_s)
    limits = Limits(given.rate, given.failures_max)
    bulk = Bulk(door, limits, ends, report, interrupts.held)
    report.of = bulk
    if isinstance(report.source, Rows):
        report.source.when_idle(bulk.idle)
    try:
        bulk.send(orders, channel.close)
        code = bulk.exit_code
    except KeyboardInterrupt:
        bulk.ended_because = "interrupted"
        is_unknown = bulk.exit_code == OutcomeUnknown.exit_code
        code = bulk.exit_code if is_unknown else options.EXIT_INTERRUPTED
    finally:
        report.end(as_json=as_json)
    return code or report.exit_code


def _door(given: Given, service: Service, channel: grpc.Channel) -> Door:
    from paycli.client.doors import BatchDoor, SeedDoor
    from paycli.client.offers import takes_batches

    batches = BatchDoor(channel, service.timeout_s, given.retry_s)
    if takes_batches(channel, service.timeout_s, given.retry_s, batches.stop):
        return batches
    output.progress(
        "The service takes no batches: one call a row. Whether it knows a payment that comes a second "
        "time is up to it; ask its makers before you run this again."
    )
    return SeedDoor(channel, service.timeout_s, given.retry_s, given.concurrency)


def to_settle(what: str, service: Service) -> str:
    """The command line that finds out what became of a payment, or of those of a file."""
    words = ["paycli", "pay", "settle", *service.words()]
    return shlex.join([*words, *(["--"] if what.startswith("-") else []), what])


class _Report:
    """Keeps the rows that went wrong, and shows how far it is."""

    def __init__(
        self,
        path: Path,
        service: Service,
        source: Rows | Fixture,
        rejects: RowFile | None,
        unknown: RowFile,
    ) -> None:
        self.source = source
        self._service = service
        self.of: Bulk | None = None
        self._rejects = rejects
        self._unknown = unknown
        self._shown = 0
        self._began = time.monotonic()
        self._drawn = 0.0
        self._live = ExitStack()
        self._draw = self._live.enter_context(output.live_line())
        self._size = path.stat().st_size if path.is_file() else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._live.close()

    def __call__(self, row: Sent | Rejected) -> None:
        if row.problem is not None or row.outcome == "declined":
            self._keep(row)
        if time.monotonic() - self._drawn > _DRAWN_S:
            self._progress()

    def _keep(self, row: Sent | Rejected) -> None:
        from paycli.cli.row_files import unknown_row
        from paycli.client.orders import Rejected
        from paycli.client.runs import Outcome

        if isinstance(row, Rejected):
            self._reject(row.line, row.fields, row.outcome, str(row.problem))
        elif row.outcome is Outcome.UNKNOWN:
            self._unknown.write(unknown_row(row.order.charge, str(row.problem)))
        else:
            why = row.decline_reason if row.problem is None else str(row.problem)
            self._reject(row.order.line, row.order.fields, row.outcome, why)

    @property
    def exit_code(self) -> int:
        """1 if a file has not all that belongs in it."""
        files = (self._rejects, self._unknown)
        return int(any(each is not None and each.problem for each in files))

    def _reject(self, line: int, fields: dict[str, str], outcome: str, why: str) -> None:
        if self._rejects is not None:
            self._rejects.write({**fields, "line": line, "outcome": str(outcome), "reason": why})
        else:
            self._show(line, outcome, why)

    def _show(self, line: int, outcome: str, why: str) -> None:
        self._shown += 1
        if self._shown <= _SHOWN_MAX:
            output.progress(f"{self.source.path}:{line}: {outcome}: {why}")

    def _progress(self) -> None:
        assert self.of is not None
        self._drawn = now = time.monotonic()
        done = self.of.totals.total()
        passed_s = max(now - self._began, 0.001)
        said = f"{done:,} rows, {done / passed_s:,.0f} a second"
        share = min(self.source.bytes_read / self._size, 1.0) if self._size else 0.0
        if share:
            left_s = passed_s / share - passed_s
            said = f"{output.bar_of(share)} {said}, {int(left_s // 60)}:{int(left_s % 60):02} left"
        self._draw(said)

    def end(self, *, as_json: bool) -> None:
        """The account of all rows."""
        from paycli.client.runs import Outcome

        assert self.of is not None
        self._live.close()
        seconds = time.monotonic() - self._began
        totals, rows = self.of.totals, self.of.totals.total()
        if as_json:
            counts = {each.replace(" ", "_"): totals[each] for each in Outcome}
            why = self.of.ended_because or None
            output.document(
                {"rows": rows, **counts, "seconds": round(seconds, 3), "ended_because": why}
            )
        else:
            parts = [f"{totals[each]:,} {each}" for each in Outcome if totals[each]] or ["none"]
            rate = f"{seconds:,.1f} s, {rows / max(seconds, 0.001):,.0f} a second"
            output.result(f"{output.counted(rows, 'row')}: {', '.join(parts)} ({rate}).")
        if self._shown > _SHOWN_MAX:
            more = self._shown - _SHOWN_MAX
            output.progress(f"{more:,} more went wrong; --rejects FILE keeps them all.")
        if self.of.ended_because:
            output.progress(
                f"It ended early: {self.of.ended_because.rstrip('.')}. Run it again to go on."
            )
        if self._rejects is not None and self._rejects.count:
            self._tell_of(self._rejects, "has the rows that were not taken, with the reasons.")
        if self._unknown.count:
            settle = to_settle(str(self._unknown.path), self._service)
            again = self._service.command("pay", "--from", str(self._unknown.path))
            self._tell_of(
                self._unknown,
                f"has the rows that may be paid; '{settle}' tells, '{again}' sends them again.",
            )

    def _tell_of(self, file: RowFile, what: str) -> None:
        file.close()
        if file.problem:
            output.progress(
                f"Error: {file.path} has not all of {file.count:,} rows: {file.problem}."
            )
        else:
            output.progress(f"{file.path} {what}")


def reading_of(currency: str, decimal: str) -> Reading:
    """How the rows are written. Raises InputError."""
    from paycli.client.orders import Reading

    if decimal not in (".", ","):
        raise InputError("--decimal is . or , as it stands before the decimals.")
    return Reading(currency, decimal)


def names_of(mapped: list[str]) -> dict[str, str]:
    """Fields by what the file calls them. Raises InputError."""
    from paycli.client.orders import COLUMNS
    from paycli.documents import nearest

    names: dict[str, str] = {}
    for each in mapped:
        field, equals, column = each.partition("=")
        if not equals or not column:
            raise InputError(f"--map {each}: write FIELD=COLUMN, such as amount=betrag.")
        if field not in COLUMNS:
            raise InputError(
                f"--map {each}: there is no field '{field}'; {nearest(field, COLUMNS)}"
            )
        if field in names.values() or column in names:
            raise InputError(f"--map {each}: it is mapped already.")
        names[column] = field
    return names


def refuse_columns(rows: Rows) -> None:
    """A file in which no row could be paid is one mistake, not one a row."""
    from paycli.errors import DocumentError

    if rows.columns is None:
        return
    for needed in (("amount",), ("order_id", "idempotency_key")):
        if not any(each in rows.columns for each in needed):
            there = ", ".join(rows.columns)
            name = " or ".join(needed)
            raise DocumentError(
                rows.path,
                f"no column is called {name}; there are {there}. --map {needed[0]}=COLUMN says which it is.",
                1,
            )


def _refuse_overwriting(given: Given) -> None:
    for written in (given.rejects, given.unknown):
        if written is None or not (written.exists() and given.path.exists()):
            continue
        if written.samefile(given.path):
            raise InputError(f"{written} is what is read; name another file to write to.")


def _unknown_of(path: Path) -> Path:
    name = "stdin" if str(path) == "-" else path.name
    return (Path() if str(path) == "-" else path.parent) / f"{name}.unknown.ndjson"
