"""Results to stdout, prose and progress to stderr: as text, or as JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from typer.exceptions import TyperException

from paycli.errors import CheckFailed, InputError, PaycliError


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


def progress(text: str) -> None:
    """Tell a person what is going on, apart from the result."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the one place that prints


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
