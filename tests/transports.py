"""Which transport the servers of the tests have: PAYCLI_TRANSPORT, as for paycli itself."""

from __future__ import annotations

import os
from typing import Final

from paycli.host.transport import grpc_transport, native_transport
from paycli.host.transport.server import MakeServer

MAKE_SERVER: Final[dict[str, MakeServer]] = {
    "aio": grpc_transport.make_server,
    "native": native_transport.make_server,
}
CHOSEN: Final = os.environ.get("PAYCLI_TRANSPORT", "aio")

_NO_TLS: Final = "it has no TLS"
_NO_LIMIT: Final = "it counts no connections"
_NO_AGE: Final = "its connections have no greatest age"
# What a transport cannot do, by test; docs/transports.md tells of all. The conformance suite has a table
# of its own, whose tests must fail.
NOT_ON: Final = {
    "native": {
        "test_a_payment_over_tls": _NO_TLS,
        "test_a_client_without_a_certificate_is_kept_out": _NO_TLS,
        "test_a_renewed_certificate_is_served_and_open_connections_go_on": _NO_TLS,
        "test_files_that_do_not_fit_are_refused_at_the_start": _NO_TLS,
        "test_other_machines_come_in_with_tls_or_tokens": _NO_TLS,
        "test_a_lost_answer_over_tls": _NO_TLS,
        "test_channelz_is_for_administrators": "it keeps no account of its connections",
        "test_connections_beyond_the_limit_are_closed_and_those_before_go_on": _NO_LIMIT,
        "test_ten_thousand_connections": _NO_LIMIT,
        "test_the_limits_are_options": _NO_LIMIT,
        "test_no_call_fails_while_all_workers_are_renewed": _NO_AGE,
        "test_no_payment_fails_while_the_service_is_renewed": _NO_AGE,
        "test_what_is_too_much_is_refused_unread_and_the_rest_is_answered": "no pushback is sent",
        "test_a_flood_of_pings_ends_its_connection": "it counts no pings",
        "test_who_connects_and_says_nothing_is_let_go": "after two minutes only",
        "test_a_batch_that_is_not_taken_says_so_item_by_item": "calls come many at once: what the "
        "writer has in hand is more than a batch, and in the queue is room for two",
    }
}

make_server = MAKE_SERVER[CHOSEN]
