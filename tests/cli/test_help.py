"""Help is read wherever it is asked for, on narrow terminals too."""

from __future__ import annotations

import pytest

from paycli.cli.app import COMMANDS, load_command
from tests.conftest import run_paycli

PAGES = [
    (),
    ("serve", "token"),
    ("pay", "settle"),
    *((name,) for name in COMMANDS),
    *((name, each) for name in COMMANDS for each in getattr(load_command(name), "commands", ())),
]


@pytest.mark.parametrize("page", PAGES, ids=" ".join)
def test_it_fits_50_columns_and_cuts_no_word(page: tuple[str, ...]) -> None:
    narrow = run_paycli(*page, "--help", env={"COLUMNS": "50"})
    assert (narrow.returncode, narrow.stderr) == (0, "")
    assert [line for line in narrow.stdout.splitlines() if len(line) > 50] == []
    wide = run_paycli(*page, "--help", env={"COLUMNS": "80"})
    assert narrow.stdout.split() == wide.stdout.split()
