"""What the tools of a server share."""

from __future__ import annotations

from typing import NamedTuple

from paycli.mcp.allowance import Allowance
from paycli.mcp.counter import Counter


class Desk(NamedTuple):
    """Where tools are carried out, what they may do alone, and the service's name for people."""

    counter: Counter
    allowance: Allowance
    target: str
