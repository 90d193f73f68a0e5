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

make_server = MAKE_SERVER[CHOSEN]
