"""What `lint` and `breaking` found, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import output
from paycli.toolchain.rules.formats import Format

if TYPE_CHECKING:
    from paycli.toolchain.rules.findings import Finding

FindingsFormat = Annotated[
    Format, typer.Option("--format", help="How findings are shown; --json is --format json.")
]


def show(found: Sequence[Finding], form: Format) -> None:
    """Print them; nothing at all when there is nothing to say."""
    from paycli.toolchain.rules.findings import render

    rendered = render(found, form)
    if rendered:
        output.result(rendered)
