"""The floor of a service: `python -m paycli.load.echo BYTES` answers each call with so many, at once.

It is grpc.aio as anybody writes it, and prints the port where it listens. It ends with its stdin.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from typing import Any

import grpc


class _Echo(grpc.GenericRpcHandler):
    """Any unary method."""

    def __init__(self, size: int) -> None:
        answer = bytes(size)

        async def echo(_request: bytes, _context: Any) -> bytes:
            return answer

        self._handler: Any = grpc.unary_unary_rpc_method_handler(echo)

    def service(self, handler_call_details: Any) -> Any:  # noqa: ARG002 - the same for each
        """For any method."""
        return self._handler


async def _serve(size: int) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Echo(size),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


def main() -> None:
    """On uvloop, as `paycli serve` is."""
    factory = None
    if importlib.util.find_spec("uvloop"):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
