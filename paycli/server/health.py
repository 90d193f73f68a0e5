"""The standard health service (grpc.health.v1), whose streams do not keep a server from stopping."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2

NAME: Final = health.SERVICE_NAME
_LAST_WORD_S: Final = 0.2

SERVING: Final = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class HealthServicer(health.aio.HealthServicer):  # type: ignore[misc] # comes without types
    """Answers checks; those who watch are told NOT_SERVING at a stop, and then let go."""

    def __init__(self, services: Sequence[str]) -> None:
        super().__init__()
        self._services = ("", *services)  # the empty name is the server as a whole
        self._stopping = asyncio.Event()

    async def report(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        """Give the server and all its services one status."""
        for service in self._services:
            await self.set(service, status)

    async def drain(self) -> None:
        """Say NOT_SERVING from now on, and end the streams."""
        await self.enter_graceful_shutdown()
        self._stopping.set()

    async def List(  # noqa: N802 - the contract's name
        self,
        request: health_pb2.HealthListRequest,  # noqa: ARG002 - it has no fields
        context: grpc.aio.ServicerContext[Any, Any],  # noqa: ARG002
    ) -> health_pb2.HealthListResponse:
        """The status of all services."""
        return health_pb2.HealthListResponse(
            statuses={
                service: health_pb2.HealthCheckResponse(status=status)
                for service, status in self._server_status.items()
            }
        )

    async def Watch(  # noqa: N802 - the contract's name
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> None:
        """Tell each change of a service's status until the caller or the server goes."""
        watching = asyncio.ensure_future(super().Watch(request, context))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((watching, stopping), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((watching,), timeout=_LAST_WORD_S)
        finally:
            watching.cancel()
            stopping.cancel()
