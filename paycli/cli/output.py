"""Results to stdout, prose and progress to stderr: as text, or as JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from typer.exceptions import TyperException

from paycli.errors import CheckFailed, InputError, PaycliError

if TYPE_CHECKING:
    from paycli.toolchain.findings import Finding
    from paycli.toolchain.formats import Format

_BAR_WIDTH = 30


def result(text: str) -> None:
    """Print one line of the command's result. Raises CheckFailed when it cannot be written."""
    try:
        print(text, flush=True)  # noqa: T201 - the one place that prints
    except BrokenPipeError:  # the reader had enough
        raise
    except OSError as problem:
        raise CheckFailed(f"Cannot write the result: {problem.strerror}.") from problem


def document(value: Mapping[str, Any]) -> None:
    """Print one JSON document on one line."""
    import json

    result(json.dumps(value, ensure_ascii=False))


def counted(count: int, what: str) -> str:
    """So many of them, in words: 1 payment, 2 payments."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def findings(found: Sequence[Finding], form: Format) -> None:
    """Print what `lint` or `breaking` found; nothing at all when there is nothing to say."""
    from paycli.toolchain.findings import render

    rendered = render(found, form)
    if rendered:
        result(rendered)


def progress(text: str) -> None:
    """Tell a person what is going on, apart from the result."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the one place that prints


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing in a pipe; call it with how much is done and of how much."""
    drawn = False

    def draw(done: int, of_all: int) -> None:
        nonlocal drawn
        if sys.stderr.isatty():
            share = done / of_all if of_all else 1.0
            bar = "#" * round(share * _BAR_WIDTH)
            sys.stderr.write(f"\r{bar:-<{_BAR_WIDTH}} {share:4.0%} {done:,} of {of_all:,} {what}")
            sys.stderr.flush()
            drawn = True

    try:
        yield draw
    finally:
        if drawn:
            sys.stderr.write("\n")


def error(problem: PaycliError, *, as_json: bool) -> None:
    """Say what went wrong: one sentence, or one JSON object with status, reason and metadata."""
    if not as_json:
        progress(f"Error: {problem}")
        return
    import json

    body = {
        "status": problem.status,
        "reason": problem.reason,
        "message": str(problem),
        "metadata": problem.metadata,
        "exit_code": problem.exit_code,
    }
    progress(json.dumps({"error": body}, ensure_ascii=False))


def usage_error(problem: TyperException, *, as_json: bool) -> None:
    """Say what is wrong with the command line and where its help is."""
    if as_json:
        error(InputError(problem.format_message()), as_json=True)
        return
    context = getattr(problem, "ctx", None)
    command = context.command_path if context is not None else "paycli"
    said = problem.format_message().rstrip(".")
    progress(f"Error: {said}. See '{command} --help'.")
