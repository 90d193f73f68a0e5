"""`paycli docs`: the documentation of this very version."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import completion, options, output
from paycli.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def docs(
    page: Annotated[
        str,
        typer.Argument(
            metavar="[PAGE]",
            help="Its name. Default: list the pages.",
            autocompletion=completion.pages,
        ),
    ] = "",
) -> None:
    """Show a page of the documentation, or which pages there are."""
    from paycli.shipped import pages

    there = pages()
    if not page:
        for name, path in there.items():
            output.result(f"{name:12}{_title(path)}")
        return
    if page not in there:
        from paycli.documents import nearest

        raise InputError(f"There is no page '{page}'; {nearest(page, there)}")
    text = there[page].read_text(encoding="utf-8").rstrip()
    pager = os.environ.get("PAGER", "")
    if not (pager and sys.stdout.isatty() and _paged(text, pager)):
        output.result(text)


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline().lstrip("# ").rstrip()


def _paged(text: str, pager: str) -> bool:
    """Whether there is such a program; Ctrl-C is for it. Raises KeyboardInterrupt if that ended it."""
    import signal
    import subprocess

    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        ran = subprocess.run(["/bin/sh", "-c", pager], input=text.encode(), check=False)
    finally:
        signal.signal(signal.SIGINT, before)
    if ran.returncode in (-signal.SIGINT, options.EXIT_INTERRUPTED):
        raise KeyboardInterrupt
    return ran.returncode not in (126, 127)  # the shell's words for a program that cannot be run
