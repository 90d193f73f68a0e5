"""`paycli docs`: the pages that are shipped, each found by its name."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from paycli.shipped import pages
from tests.cli.test_help import PAGES
from tests.conftest import run_paycli
from tests.terminals import on_terminal


def test_every_page_is_listed_with_its_title_and_shown_as_it_is(tmp_path: Path) -> None:
    listed = run_paycli("docs", cwd=tmp_path)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(pages())
    assert "readme      paycli\n" in listed.stdout
    for name, path in pages().items():
        shown = run_paycli("docs", name, cwd=tmp_path, env={"PAGER": "false"})
        assert shown.stdout == path.read_text(encoding="utf-8").rstrip() + "\n"


def test_a_page_that_is_not_there_is_told() -> None:
    refused = run_paycli("docs", "bluk")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "Error: There is no page 'bluk'; did you mean 'bulk'?\n"


@pytest.mark.parametrize(("pager", "shown"), [("wc -l; echo paged", "paged"), ("no-such", "# ")])
def test_a_terminal_has_a_pager(pager: str, shown: str) -> None:
    with on_terminal("docs", "glossary", env={"PAGER": pager}) as terminal:
        assert terminal.code() == 0
    assert any(line.startswith(shown) for line in terminal.lines())


def test_ctrl_c_ends_the_pager_and_its_line() -> None:
    with on_terminal("docs", "glossary", env={"PAGER": "head -1; sleep 60"}) as terminal:
        terminal.wait_for("# .*\n")
        time.sleep(0.5)  # between its two commands the shell lets a signal pass
        terminal.ctrl_c()
        assert terminal.code() == 130
    assert terminal.lines()[-2:] == ["^C", ""]


def test_every_help_ends_with_where_to_read_on() -> None:
    for words in PAGES:
        last = run_paycli(*words, "--help").stdout.splitlines()[-1]
        said, _, page = last.partition("paycli docs")
        assert said == "  Documentation: "
        assert page.strip() in ("", *pages())
