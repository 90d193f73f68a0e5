"""`paycli smoke record`: a suite of the calls that pass by."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import output, schemas, serve_options, smoke_written
from paycli.cli.service import Service, calls_service_at_once
from paycli.errors import CheckFailed, NotTaken, Refused, RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from paycli.chaos.witness import Notice
    from paycli.client.schema import Schema
    from paycli.scenarios.recording.seen import Tape


@calls_service_at_once
def smoke_record(
    behind: Service,
    *,
    target: Annotated[str, typer.Option("--to", metavar="HOST:PORT", help="The server behind it.")],
    port: serve_options.Port = 0,
    port_file: serve_options.PortFile = None,
    roots: schemas.Protos = None,
    descriptor_set: schemas.DescriptorSet = None,
    out: smoke_written.Out = Path("suite.yaml"),
    force: smoke_written.Force = False,
) -> None:
    """Write the calls that pass by to a suite, until SIGTERM or Ctrl-C; it listens on loopback."""
    from paycli.cli.proxy import serve_witness
    from paycli.scenarios.contracts import Contracts
    from paycli.scenarios.recording.file import refuse_taken
    from paycli.scenarios.recording.seen import Tape
    from paycli.scenarios.recording.suite import make_suite

    refuse_taken(out, force=force)
    local = schemas.local_schema(roots, descriptor_set)
    told = _told_by(behind) if local is None else None
    contracts = Contracts(local, (lambda: told) if told is not None else None)
    tape = Tape(behind.access.headers, contracts)
    with output.live_line() as draw:
        notice = _counting(tape, draw)
        serve_witness(behind, target, port, port_file, notice, partial(_say_ready, target))
    made = make_suite(tape.entries, time.time())
    if not made.count:
        named = [f"{each.path}: {each.why}." for each in made.left_out[:1]]
        raise CheckFailed(" ".join(("No call was recorded, and nothing is written.", *named)))
    smoke_written.write(made, out, f"Recorded by 'paycli smoke record' from {target}.", force=force)
    if tape.missed:
        output.progress(f"{output.counted(tape.missed, 'call')} after them came too late for it.")


def _told_by(behind: Service) -> Schema | None:
    """All of what the server tells of itself, now: later nobody may wait for it. Raises Unreachable."""
    from paycli.client.schema import schema_of_server

    with behind.connect() as channel:
        try:
            schema = schema_of_server(channel, behind.timeout_s)
            schema.methods()
        except (RemoteError, NotTaken, Refused) as problem:
            output.progress(
                f"{problem} Without, only calls of paycli's own contracts become steps; "
                "-I DIR names other protos."
            )
            return None
    return schema


def _counting(tape: Tape, draw: Callable[[str], None]) -> Notice:
    def notice(*call: object) -> None:
        hear: Callable[..., None] = tape.hear
        hear(*call)
        draw(f"{output.counted(tape.steps, 'call')} recorded, Ctrl-C writes the suite")

    return notice


def _say_ready(target: str, addresses: Sequence[str], _: Sequence[str]) -> None:
    output.progress(f"Listening on {' and '.join(addresses)}")
    output.result(f"Recorder for {target} ready!")
