"""Run the comparisons and print what was found beside what is wanted.

`python -m tests.bench` runs them all, `python -m tests.bench batch gen` some; `--payments N` is how
many payments the `stored` store holds.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from paycli.cli import db
from paycli.cli.app import COMMANDS
from paycli.scenarios.own_server import own_server
from tests.bench import batch, bulk, hosted, native, overload, processes, shared, stored, unary
from tests.bench.ids import KINDS


def row(what: str, ratio: float, wanted: str, figures: str) -> None:
    """Print one line of the table; `wanted` is like '<= 1.10'."""
    sign, limit = wanted.split()
    met = ratio <= float(limit) if sign == "<=" else ratio >= float(limit)
    print(f"{what:50} {ratio:6.2f}  {wanted:8} {'ok  ' if met else 'MISS'}  {figures}", flush=True)  # noqa: T201 - a report


def _unary(_: Path, __: int) -> None:
    for kind in KINDS:
        with own_server() as server:
            load = unary.compare(server.target, server.pid, kind)
        rates = f"{load.subject.rate:,.0f}/s against {load.baseline.rate:,.0f}/s"
        cpu = f"{load.subject.server_cpu_us:.0f} us against {load.baseline.server_cpu_us:.0f}"
        row(
            f"ProcessPayment, 64 in flight, {kind} ids / echo",
            load.rate_ratio,
            ">= 0.90",
            f"{rates}; CPU {cpu}",
        )
        p99 = f"{load.subject.p99_ms:.1f} ms against {load.baseline.p99_ms:.1f} ms"
        row("  its p99 / echo's", load.p99_ratio, "<= 2.00", p99)


def _hosted(folder: Path, _: int) -> None:
    for kind, main in (("Async", "grpc.aio main()"), ("Sync", "grpc.server")):
        (within := folder / kind).mkdir()
        found = hosted.compare(within, kind)
        subject, baseline = found.load.subject, found.load.baseline
        rates = f"{subject.rate:,.0f}/s against {baseline.rate:,.0f}/s"
        cpu = f"CPU {subject.server_cpu_us:.0f} us against {baseline.server_cpu_us:.0f}"
        what = f"serve MODULE:{kind}, no-op / {main}"
        row(what, found.load.rate_ratio, ">= 0.95", f"{rates}; {cpu}")
        start = f"{found.start_s * 1000:.0f} ms against {found.baseline_start_s * 1000:.0f} ms"
        row("  ready / ready", found.start_ratio, "<= 1.30", start)


def _overload(_: Path, __: int) -> None:
    with own_server() as server:
        found = overload.measure(server.target)
    rates = f"{found.goodput:,.0f}/s against {found.peak:,.0f}/s, after {found.answer_ms:.0f} ms"
    row(f"goodput at {overload.TIMES} times the peak / peak", found.ratio, ">= 0.80", rates)
    ends = ", ".join(f"{name} {share:.0%}" for name, share in found.refusals.items())
    print(f"  the others end after {found.refusal_ms:.0f} ms: {ends}")  # noqa: T201 - a report


def _native(folder: Path, _: int) -> None:
    for in_flight, no_op, paid in ((64, 5.0, 1.5), (256, 5.0, 2.5)):
        (within := folder / str(in_flight)).mkdir()
        found = native.measure(within, in_flight)
        what = f"native, {in_flight} in flight: no-op / echo on grpc.aio"
        rates = f"{found.no_op:,.0f}/s against {found.echo:,.0f}/s"
        row(what, found.no_op_ratio, f">= {no_op:.2f}", rates)
        row(
            "  ProcessPayment / the echo",
            found.paid_ratio,
            f">= {paid:.2f}",
            f"{found.paid:,.0f}/s",
        )


def _batch(folder: Path, _: int) -> None:
    for kind in KINDS:
        (within := folder / kind).mkdir()
        found = batch.compare(within, 50_000, kind)
        rates = f"{found.subject:,.0f}/s against {found.baseline:,.0f}/s"
        row(f"BatchCreatePayments, {kind} ids / tight inserts", found.ratio, ">= 0.50", rates)


def _postgres(folder: Path, payments: int) -> None:
    for kind in KINDS:
        (within := folder / kind).mkdir()
        found = shared.compare(within, kind)
        raw = f"against {found.raw:,.0f}/s"
        row(
            f"PostgreSQL, {kind} ids, one worker / raw batches",
            found.one_ratio,
            ">= 0.60",
            f"{found.one:,.0f}/s {raw}",
        )
        row("  two workers / raw batches", found.two_ratio, ">= 0.60", f"{found.two:,.0f}/s {raw}")
        row("  two workers / one", found.workers_ratio, ">= 1.60", "")
        single = f"{found.one:,.0f}/s against {found.single:,.0f}/s"
        row("  one worker / a transaction each", found.single_ratio, ">= 3.00", single)
        row("  half of the keys used before / none", found.repeated_ratio, ">= 0.95", "")
        row("  all to one customer / to many", found.hot_ratio, ">= 0.95", "")
        (within := folder / f"{kind}, grown").mkdir()
        grown = shared.grow(within, payments, kind)
        held = f"{grown.payments:,} stored, filled at {grown.fill_rate:,.0f}/s"
        row("  full store / empty", grown.ratio, ">= 0.85", held)


def _bulk(folder: Path, payments: int) -> None:
    for kind in KINDS:
        (within := folder / kind).mkdir()
        found = bulk.compare(within, min(payments, 200_000), kind)
        rates = f"{found.subject:,.0f}/s against {found.baseline:,.0f}/s"
        row(f"pay --from, {kind} ids / tight inserts", found.ratio, ">= 0.50", rates)
        row("  megabytes of the client, at most", found.rss_mb, "<= 150.00", "")


def _stored(folder: Path, payments: int) -> None:
    for kind in KINDS:
        (within := folder / kind).mkdir()
        _stored_with(kind, stored.measure(within, payments, kind))


def _stored_with(kind: str, found: stored.Stored) -> None:
    held = f"{found.payments:,} stored, {kind} ids"
    row("ProcessPayment, full store / empty", found.unary_ratio, ">= 0.85", held)
    row("BatchCreatePayments, full store / empty", found.batch_ratio, ">= 0.85", held)
    row("a page of a list, full store / empty", found.page_ratio, "<= 1.50", held)
    memory = f"{found.rss_mb:.0f} MB, filled at {found.fill_rate:,.0f}/s"
    row("memory when full / at a fifth of it", found.memory_ratio, "<= 1.10", memory)
    rate = f"{found.verify_rate:,.0f}/s against 200,000/s"
    row("db verify, payments a second", found.verify_rate / 200_000, ">= 1.00", rate)


def _command_row(what: str, found: processes.Comparison, limit: float) -> None:
    seconds = f"{found.subject_s * 1000:.0f} ms against {found.baseline_s * 1000:.0f} ms"
    row(what, found.ratio, f"<= {limit:.2f}", seconds)


def _help(folder: Path, _: int) -> None:
    in_group = len(db.db.registered_commands)
    found = processes.help_text(folder, len(COMMANDS) - 1, in_group)
    _command_row("paycli --help / bare Typer app", found, 1.10)


def _pay(folder: Path, _: int) -> None:
    with own_server() as server:
        found = processes.one_payment(folder, server.target)
    _command_row("paycli pay --amount 1 / grpcio script", found, 1.35)


def _call(folder: Path, _: int) -> None:
    with own_server() as server:
        found = processes.one_call(folder, server.target)
    _command_row("paycli call, by reflection / grpcio script", found, 1.60)


def _smoke(folder: Path, _: int) -> None:
    with own_server() as server:
        found = processes.many_steps(folder, server.target, 1_000)
    _command_row("paycli smoke, 1,000 steps / grpcio loop", found, 1.50)


def _gen(folder: Path, _: int) -> None:
    for size, messages, cold, same, changed in (
        ("small", processes.SMALL, 1.70, 0.80, 0.90),
        ("large", processes.LARGE, 1.30, 0.40, 0.60),
    ):
        (within := folder / size).mkdir()
        found = processes.code_generation(within, 200, messages)
        _command_row(f"paycli gen, 200 {size} protos, cold / protoc", found.cold, cold)
        _command_row("  nothing changed / protoc", found.nothing_changed, same)
        _command_row("  one file changed / protoc", found.one_changed, changed)


def _lint(folder: Path, _: int) -> None:
    found = processes.linting(folder, 200)
    _command_row("paycli lint, 200 protos / buf lint", found, 1.00)


def _breaking(folder: Path, _: int) -> None:
    found = processes.breaking(folder, 200)
    _command_row("paycli breaking, 200 protos / buf breaking", found, 1.00)


SUBJECTS = {
    "unary": _unary,
    "hosted": _hosted,
    "overload": _overload,
    "native": _native,
    "batch": _batch,
    "bulk": _bulk,
    "postgres": _postgres,
    "stored": _stored,
    "help": _help,
    "pay": _pay,
    "call": _call,
    "smoke": _smoke,
    "gen": _gen,
    "lint": _lint,
    "breaking": _breaking,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=", ".join(SUBJECTS))
    parser.add_argument("--payments", type=int, default=200_000, help="held by `stored`")
    given = parser.parse_args()
    for name in given.subjects or SUBJECTS:
        with tempfile.TemporaryDirectory() as folder:
            SUBJECTS[name](Path(folder), given.payments)


if __name__ == "__main__":
    main()
