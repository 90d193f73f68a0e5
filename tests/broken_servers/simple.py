"""The seed contract with a file of its own, as a small team would write it, and how it goes wrong."""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from pathlib import Path

import grpc

from paycli.generated import payment_pb2, payment_pb2_grpc

FAULTS = ("none", "forgets at restart", "acknowledges before the commit")


class Simple(payment_pb2_grpc.PaymentServiceServicer):
    def __init__(self, fault: str, store: Path) -> None:
        self._fault = fault
        place = ":memory:" if fault == "forgets at restart" else str(store)
        self._database = sqlite3.connect(place, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA busy_timeout = 5000")
        self._database.execute("CREATE TABLE IF NOT EXISTS paid (key TEXT PRIMARY KEY, id TEXT)")
        self._lock = threading.Lock()
        self._soon: dict[str, str] = {}

    def ProcessPayment(  # noqa: N802 - the contract's name
        self, request: payment_pb2.PaymentRequest, context: grpc.ServicerContext
    ) -> payment_pb2.PaymentResponse:
        with self._lock:
            key = f"{request.user_id}/{request.order_id}"
            found = self._database.execute("SELECT id FROM paid WHERE key = ?", (key,)).fetchone()
            made = found[0] if found else self._soon.get(key)
            if made is None:
                made = str(uuid.uuid4())
                if self._fault == "acknowledges before the commit":
                    self._soon[key] = made
                    threading.Thread(target=self._later, args=(key, made)).start()
                else:
                    self._database.execute("INSERT INTO paid VALUES (?, ?)", (key, made))
            return payment_pb2.PaymentResponse(payment_id=made, status="SUCCESS")

    def _later(self, key: str, made: str) -> None:
        time.sleep(0.1)
        with self._lock:
            self._database.execute("INSERT INTO paid VALUES (?, ?)", (key, made))


def add_to(server: grpc.Server, fault: str, folder: Path) -> None:
    servicer = Simple(fault, folder / "paid.db")
    payment_pb2_grpc.add_PaymentServiceServicer_to_server(servicer, server)
