"""Pages in a real browser: Debian's or another Chromium, without a window."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
SCHEMES: Final = ("light", "dark")


@contextmanager
def opened(path: Path, width: int = 1200, scheme: str = "light") -> Iterator[Page]:
    """The page in a window so wide; at the end it must have said nothing and asked for nothing.

    Skips the test where there is no browser.
    """
    api = pytest.importorskip("playwright.sync_api", reason="THE PAGE WAS NOT SEEN: no playwright")
    browser = next(filter(None, map(shutil.which, _NAMES)), None)
    if browser is None:
        pytest.skip("THE PAGE WAS NOT SEEN: no chromium; apt-get install chromium")
    said: list[str] = []
    rights = ["--no-sandbox"] if os.geteuid() == 0 else []
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser, args=rights)
        page = running.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda problem: said.append(str(problem)))
        page.on("request", lambda request: said.append(request.url))
        page.goto(path.as_uri())
        yield page
        running.close()
    assert said == [path.as_uri()]


def assert_fits(page: Page) -> None:
    """Nothing is beyond the right edge."""
    wide, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= window
