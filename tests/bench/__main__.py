"""Run every comparison and print what was found beside what is wanted."""

from __future__ import annotations

import tempfile
from pathlib import Path

from paycli.cli.app import COMMANDS
from paycli.scenarios.own_server import own_server
from tests.bench import processes, unary


def row(what: str, ratio: float, wanted: str, figures: str) -> None:
    """Print one line of the table; `wanted` is like '<= 1.10'."""
    sign, limit = wanted.split()
    met = ratio <= float(limit) if sign == "<=" else ratio >= float(limit)
    print(f"{what:44} {ratio:6.2f}  {wanted:8} {'ok  ' if met else 'MISS'}  {figures}", flush=True)  # noqa: T201 - a report


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name, own_server() as server:
        folder = Path(name)
        load = unary.compare(server.target, server.pid)
        rates = f"{load.subject.rate:,.0f}/s against {load.baseline.rate:,.0f}/s"
        row("ProcessPayment, 64 in flight: rate / echo", load.rate_ratio, ">= 0.90", rates)
        p99 = f"{load.subject.p99_ms:.1f} ms against {load.baseline.p99_ms:.1f} ms"
        row("  its p99 / echo's", load.p99_ratio, "<= 2.00", p99)
        cpu = f"{load.subject.server_cpu_us:.0f} us against {load.baseline.server_cpu_us:.0f} us"
        row("  server CPU per call / echo's", load.cpu_ratio, "<= 1.15", cpu)
        for what, found, wanted in (
            ("paycli --help / bare Typer app", processes.help_text(folder, len(COMMANDS)), 1.10),
            (
                "paycli pay --amount 1 / grpcio script",
                processes.one_payment(folder, server.target),
                1.35,
            ),
            ("paycli gen, 200 protos, cold / protoc", processes.code_generation(folder, 200), 1.30),
            ("paycli lint, 200 protos / buf lint", processes.linting(folder, 200), 1.00),
        ):
            seconds = f"{found.subject_s * 1000:.0f} ms against {found.baseline_s * 1000:.0f} ms"
            row(what, found.ratio, f"<= {wanted:.2f}", seconds)


if __name__ == "__main__":
    main()
