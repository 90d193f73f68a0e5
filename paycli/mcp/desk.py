"""What the tools of a server share."""

from __future__ import annotations

from typing import NamedTuple

from paycli.mcp.allowance import Allowance
from paycli.mcp.cashier import Cashier


class Desk(NamedTuple):
    """Where tools are carried out, what they may do alone, and the service's name for people."""

    cashier: Cashier
    allowance: Allowance
    target: str
