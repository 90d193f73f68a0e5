"""What would be sent, without a server: the request, its key, and the grpcurl line that sends the same."""

from __future__ import annotations

import json
import shlex
from typing import Any

from paycli.addresses import is_loopback
from paycli.client.access import Access
from paycli.client.charges import CREATE_PAYMENT, PROCESS_PAYMENT, Charge
from paycli.wire_names import IDEMPOTENCY_KEY


def rehearsal(charge: Charge, target: str, access: Access) -> dict[str, Any]:
    """The JSON form. What may be secret is left out of the line, and named in `left_out`."""
    metadata: dict[str, str] = {}
    if charge.idempotency_key and not charge.is_manual:
        metadata[IDEMPOTENCY_KEY] = charge.idempotency_key
    return {
        "method": CREATE_PAYMENT if charge.is_manual else PROCESS_PAYMENT,
        "request": _authorization(charge) if charge.is_manual else _payment(charge),
        "metadata": metadata,
        "key": _key(charge),
        "grpcurl": _grpcurl(charge, metadata, target, access),
        "left_out": [name for name, _ in access.headers],
    }


def _key(charge: Charge) -> str:
    """What the service knows it by, in words."""
    if charge.idempotency_key:
        return charge.idempotency_key
    user = f"user {charge.user_id} and " if charge.user_id else ""
    return f"{user}order {charge.order_id}"


def _grpcurl(charge: Charge, metadata: dict[str, str], target: str, access: Access) -> str:
    host = target.rpartition(":")[0].strip("[]")
    plaintext = access.plaintext if access.plaintext is not None else is_loopback(host)
    words = ["grpcurl", *(["-plaintext"] if plaintext else [])]
    files = {"-cacert": access.ca, "-cert": access.certificate, "-key": access.key}
    for option, path in files.items():
        words += [option, str(path)] if path is not None and not plaintext else []
    words += ["-authority", access.server_name] if access.server_name else []
    for name, value in metadata.items():
        words += ["-H", f"{name}: {value}"]
    if charge.is_manual:
        request = json.dumps(_authorization(charge), ensure_ascii=False)
        return shlex.join([*words, "-d", request, target, CREATE_PAYMENT])
    # The amount as its digits: a number of JSON has all of them.
    texts = {"order_id": charge.order_id, "currency": charge.currency, "user_id": charge.user_id}
    fields = [f'"amount": {charge.decimal_amount}']
    fields += [f'"{name}": {json.dumps(text, ensure_ascii=False)}' for name, text in texts.items()]
    request = f"{{{', '.join(fields)}}}"
    return shlex.join([*words, "-d", request, target, PROCESS_PAYMENT])


def _payment(charge: Charge) -> dict[str, Any]:
    return {
        "order_id": charge.order_id,
        "amount": charge.decimal_amount,
        "currency": charge.currency,
        "user_id": charge.user_id,
    }


def _authorization(charge: Charge) -> dict[str, Any]:
    from google.protobuf import json_format

    from paycli.client.creations import creation

    return json_format.MessageToDict(creation(charge), preserving_proto_field_name=True)
