"""A round that failed, as a suite that asks for its payments again."""

from __future__ import annotations

import json
from typing import Final

from paycli.client.charges import PROCESS_PAYMENT
from paycli.scenarios.crash.rounds import Round
from paycli.wire_names import IDEMPOTENCY_KEY

_STEPS_MAX: Final = 20


def suite_of(found: Round, command: str) -> str:
    """YAML, against the server with the store that the round has left; "" if no payment is to blame."""
    keys = list(dict.fromkeys(each.key for each in found.broken if each.key))
    steps = [_step(found, key) for key in keys[:_STEPS_MAX]]
    if not steps:
        return ""
    left = len(keys) - len(steps)
    more = f"# {left:,} more payments are not as they should be.\n" if left > 0 else ""
    return f"# Round {found.number} of: {command}\n{more}steps:\n{''.join(steps)}"


def _step(found: Round, key: str) -> str:
    charge = found.history.sent[key]
    answer = found.history.answers.get(key)
    request = {
        "order_id": charge.order_id,
        "amount": charge.decimal_amount,
        "currency": charge.currency,
        "user_id": charge.user_id,
    }
    expect = {} if answer is None else {"payment_id": answer.payment_id, "status": answer.status}
    return (
        f"  - name: {key}\n"
        f"    call: {PROCESS_PAYMENT}\n"
        f"    metadata: {json.dumps({IDEMPOTENCY_KEY: key})}\n"
        f"    request: {json.dumps(request)}\n"
        f"    expect: {json.dumps(expect)}\n"
    )
