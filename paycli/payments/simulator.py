"""The simulated processor: decides by the customer's id, so that every branch can be exercised.

customer id (user_id)               outcome
sim_decline_insufficient_funds      declined: INSUFFICIENT_FUNDS
sim_decline_expired_card            declined: EXPIRED_CARD
sim_decline_lost_card               declined: LOST_CARD
sim_decline_fraud_suspected         declined: FRAUD_SUSPECTED
sim_decline_limit_exceeded          declined: LIMIT_EXCEEDED
sim_decline_do_not_honor            declined: DO_NOT_HONOR
anything else                       approved
"""

from __future__ import annotations

from typing import Final

_PREFIX: Final = "sim_decline_"

DECLINE_REASONS: Final = frozenset(
    {
        "INSUFFICIENT_FUNDS",
        "EXPIRED_CARD",
        "LOST_CARD",
        "FRAUD_SUSPECTED",
        "LIMIT_EXCEEDED",
        "DO_NOT_HONOR",
    }
)


def decline_reason(customer_id: str) -> str:
    """Why the simulator declines this customer, or "" when it approves."""
    if not customer_id.startswith(_PREFIX):
        return ""
    reason = customer_id.removeprefix(_PREFIX).upper()
    return reason if reason in DECLINE_REASONS else ""
