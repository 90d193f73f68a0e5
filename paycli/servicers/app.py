"""The payment service as an app for a host: both contracts over one engine."""

from __future__ import annotations

from functools import partial
from typing import Final

from paycli.engine.engine import Engine
from paycli.generated import payment_pb2, payment_pb2_grpc
from paycli.generated.paycli.payments.v1 import payments_pb2, payments_pb2_grpc
from paycli.host.app import Service
from paycli.payments.store import Store
from paycli.servicers.bounds import bounded
from paycli.servicers.call_notes import noted
from paycli.servicers.payments import PaymentsServicer
from paycli.servicers.seed import SeedServicer

_SEED: Final = payment_pb2.DESCRIPTOR.services_by_name["PaymentService"].full_name
_PAYMENTS: Final = payments_pb2.DESCRIPTOR.services_by_name["Payments"].full_name


class PaymentApp:
    """A `host.app.App`. Engine and store are its maker's to close."""

    interceptors = (bounded, noted)

    def __init__(self, engine: Engine, store: Store) -> None:
        self._payments = PaymentsServicer(engine, store)
        add_seed = payment_pb2_grpc.add_PaymentServiceServicer_to_server
        add_payments = payments_pb2_grpc.add_PaymentsServicer_to_server
        self.services = (
            Service(_SEED, partial(add_seed, SeedServicer(engine))),
            Service(_PAYMENTS, partial(add_payments, self._payments)),
        )

    def drain(self) -> None:
        """End the streams of events."""
        self._payments.drain()
