"""What a check-up finds: the records that checks return and the command renders.

A check looks and changes nothing. What it finds may carry a repair that is harmless; it is done
only when asked for, after saying what it does.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from paycli.storage.records import Repair


class Verdict(StrEnum):
    """How something stands: in order, of interest to some, worth a repair, or in the way."""

    OK = "ok"
    INFO = "info"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """What a check found in one sentence, and the command that puts it right."""

    verdict: Verdict
    message: str
    command: str = ""
    repair: Repair | None = None


class Check(NamedTuple):
    """A named look at one thing; None when there is nothing to look at here.

    It is left out when the check it `needs` failed: without its packages nothing can be compiled.
    """

    name: str
    look: Callable[[], Finding | None]
    needs: str = ""


def ok(message: str) -> Finding:
    """In order."""
    return Finding(Verdict.OK, message)
