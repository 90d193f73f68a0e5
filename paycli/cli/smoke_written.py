"""Suites that `paycli smoke record` and `paycli smoke import` write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import output
from paycli.errors import CheckFailed

if TYPE_CHECKING:
    from paycli.scenarios.recording.suite import Made

Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="The suite.")]
Force = Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")]


def write(made: Made, out: Path | None, origin: str, *, force: bool) -> None:
    """Write it, to stdout without a file or if that fails, and say so. Raises CheckFailed.

    That, too, if smoke could not read it.
    """
    from paycli.documents import MAX_BYTES
    from paycli.scenarios.recording import file
    from paycli.scenarios.recording.text import suite_text

    text = suite_text(made, origin).rstrip("\n")
    try:
        if out is None:
            output.result(text)
        else:
            file.write(out, f"{text}\n", force=force)
    except file.Unwritten as problem:  # what was recorded comes only once
        output.result(text)
        raise CheckFailed(f"{problem} The suite is on stdout instead.") from problem
    left_out = len(made.left_out)
    said = f"; {output.counted(left_out, 'call')} left out, as it says" if left_out else ""
    where = f" in {out}" if out is not None else ""
    output.progress(f"{output.counted(made.count, 'step')}{where}{said}.")
    if made.environment:
        output.progress(f"It needs in its environment: {', '.join(made.environment)}.")
    if len(text.encode()) >= MAX_BYTES:
        limit = MAX_BYTES // 1024 // 1024
        raise CheckFailed(f"It has more than the {limit} MiB that smoke reads; take fewer calls.")
