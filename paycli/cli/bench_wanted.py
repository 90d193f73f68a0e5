"""What `bench` is to send: its method, its requests, and the loader that can send them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.descriptor import MethodDescriptor

from paycli.cli import schemas
from paycli.cli.service import Service
from paycli.client.forms import documents_of
from paycli.client.schema import Schema, path_of, schema_of_server
from paycli.errors import InputError
from paycli.load.frames import MESSAGE_MAX
from paycli.load.methods import ONE, batch_method, batch_of, payment_method
from paycli.load.plan import Plan, plan_of
from paycli.load.result import Config

if TYPE_CHECKING:
    import grpc


class Wanted(NamedTuple):
    """What was asked for; without anything, payments by ProcessPayment."""

    method: str
    batch: int
    data: str
    roots: list[Path] | None
    descriptor_set: Path | None

    def refuse_unfit(self) -> None:
        """Raises InputError, before anything is started or called."""
        documents_of(self.data, "DATA")
        self._local()

    def planned(self, channel: grpc.Channel, service: Service) -> tuple[Config, Plan]:
        """The plan of the generators, checked with one request that is not sent. Raises InputError."""
        method, documents = self._method(channel, service), self._documents()
        if not method.client_streaming and len(documents) > 1:
            raise InputError(
                f"{path_of(method)} takes one request, and {len(documents)} were given."
            )
        plan = plan_of(service.access, method, documents, "frames", service.timeout_s)
        requests = plan.template()()
        why = _why_grpcio(method, service, max(map(len, requests), default=0))
        if why:
            plan = plan_of(service.access, method, documents, "grpcio", service.timeout_s)
        config = Config(
            target=service.target,
            is_own_server=False,
            method=path_of(method),
            concurrency=None,
            rate=None,
            duration_s=0.0,
            warm_up_s=0.0,
            processes=1,
            timeout_s=service.timeout_s,
            payments_per_call=self.batch or 1,
            loader=plan.loader,
            why_grpcio=why,
        )
        return config, plan

    def _method(self, channel: grpc.Channel, service: Service) -> MethodDescriptor:
        if self.batch:
            return batch_method()
        if not self.method:
            return payment_method()
        schema = self._local() or schema_of_server(channel, service.timeout_s)
        return schema.method(self.method)

    def _local(self) -> Schema | None:
        return schemas.local_schema(self.roots, self.descriptor_set)

    def _documents(self) -> list[object]:
        if self.batch:
            return [batch_of(self.batch)]
        if self.data:
            return list(documents_of(self.data, "DATA"))
        return [{}] if self.method else [ONE]


def _why_grpcio(method: MethodDescriptor, service: Service, size: int) -> str:
    """Why ready-made frames will not do; "" if they do."""
    from paycli.addresses import is_loopback

    access = service.access
    host = service.target.rpartition(":")[0].strip("[]")
    if not (access.plaintext if access.plaintext is not None else is_loopback(host)):
        return "TLS"
    if access.headers:
        return "headers"
    if method.client_streaming or method.server_streaming:
        return "a stream"
    return "requests of more than 64 KiB" if size > MESSAGE_MAX else ""
