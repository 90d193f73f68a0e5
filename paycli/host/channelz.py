"""The standard service that shows a server's connections and calls (grpc.channelz.v1)."""

from __future__ import annotations

from typing import Final

import grpc

from paycli.errors import InputError

NAME: Final = "grpc.channelz.v1.Channelz"


def add_to(server: grpc.aio.Server) -> None:
    """Let the server show itself. Raises InputError where the extra is missing."""
    try:
        from grpc_channelz.v1 import channelz
    except ModuleNotFoundError as problem:
        raise InputError(
            "--channelz needs grpcio-channelz; run pip install 'paycli[channelz]'."
        ) from problem
    channelz.add_channelz_servicer(server)
