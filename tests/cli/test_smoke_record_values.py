"""`paycli smoke record`: times, and values that are hard to write down."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import grpc

from tests.cli.recorded_servers import Data, Method, Refused, passes, recording, schema_of, serving

CLOCK = """
message Ask { string order_id = 1; double since = 2; }
message Told {
  double created_at = 1; int64 expires_at = 2; google.protobuf.Duration took = 3; google.protobuf.Duration spent = 4;
  int32 latency_ms = 5; double elapsed = 6; string date = 7; google.protobuf.Struct more = 8; double since = 9;
  double amount = 10; int64 valid_days = 11; google.protobuf.Duration every = 12; string order_id = 13;
}
service B { rpc Tell(Ask) returns (Told); }
"""


def clock(now: float, took: float = 0.1234567) -> Mapping[str, Method]:
    def tell(request: Data, _: Any) -> Data:
        return {
            **request,
            "created_at": now,
            "expires_at": int((now + 30 * 86_400) * 1000),
            "took": f"{took * 10:.1f}s",
            "spent": f"{took:.9f}s",
            "elapsed": took,
            "latency_ms": int(took * 10),
            "date": formatdate(now, usegmt=True),
            "more": {"updated_at": now - 4000 * 86_400, "price": 2.5, "nothing": None},
            "amount": 1_700_000_000.5,
            "valid_days": 30,
            "every": "1.500s",
        }

    return {"Tell": tell}


def test_times_are_those_of_each_run(tmp_path: Path) -> None:
    schema = schema_of(tmp_path, CLOCK)
    with serving(schema, clock(time.time())) as target, recording(tmp_path, schema, target) as made:
        made("Tell", order_id="order-1", since=1_600_000_000)
    with serving(schema, clock(time.time() + 100_000.5, 0.3)) as fresh:
        assert passes(tmp_path, fresh)
    written = (tmp_path / "suite.yaml").read_text()
    for each in (
        *("price: 2.5", "since: 1600000000\n", "amount: 1700000000.5", "valid_days: 30"),
        *('every: "1.500s"', "expect_exactly:"),
    ):
        assert each in written, written


ODD = """
message Inner { string text = 1; int64 count = 2; }
message Odd {
  map<string, string> labels = 1; optional bytes raw = 2; optional string api_secret = 3; double level = 4;
  google.protobuf.Struct free = 5; google.protobuf.Any any = 6; string order_id = 7; map<string, int32> pins = 8;
}
service B { rpc Echo(Odd) returns (Odd); rpc Make(Inner) returns (Odd); rpc Fail(Inner) returns (Odd); }
"""
ODDITIES = {
    "labels": {"l" * 1100: "too long", "a": "b"},
    "raw": "",
    "api_secret": "",
    "level": -0.0,
    "free": {"query": {"matches": "[", "gt": 1}, "pin": 1234.5, "x": 1, "k" * 1100: 1},
    "pins": {"k" * 1100: 5},
}


def odd(**changed: Any) -> Mapping[str, Method]:
    def fail(request: Data, _: Any) -> Data:
        raise Refused("NOT_FOUND", request["text"].replace("%", "$"))

    inner = {"@type": "type.googleapis.com/a.Inner", "text": "inside"}
    return {
        "Echo": lambda request, _: {**request, **changed},
        "Make": lambda request, _: {**ODDITIES, "any": inner, **changed},
        "Fail": fail,
    }


def test_odd_values_pass_again(tmp_path: Path) -> None:
    schema = schema_of(tmp_path, ODD)
    with serving(schema, odd()) as target, recording(tmp_path, schema, target) as made:
        made("Make", text="a")
        made("Echo", level=-0.0, order_id="order-1", free={"matches": "["}, raw="", api_secret="")
        made("Echo", order_id="order-2", any={"@type": "type.googleapis.com/a.Inner", "text": "b"})
        made("Echo", labels={"l" * 1100: "too long"})
        for reason in ("GONE", "at %{env:NO_SUCH}", "req_8d3f0a1b2c3d4e5f60718293"):
            with suppress(grpc.RpcError):
                made("Fail", text=reason)
    written = (tmp_path / "suite.yaml").read_text()
    for each in (
        "level: -0.0, free: {matches",
        "labels: {a: b}",
        "a key of a map in it is too long for YAML",
        "expect_error: {code: NOT_FOUND, reason: GONE}",
        '%{env:NO_SUCH}"}\n    expect_error: {code: NOT_FOUND}\n',
    ):
        assert each in written, written
    with serving(schema, odd()) as fresh:
        assert passes(tmp_path, fresh)
    for field, wrong in (("free", {"x": 2}), ("labels", {"a": "c"}), ("raw", "eA==")):
        with serving(schema, odd(**{field: wrong})) as another:
            assert not passes(tmp_path, another)
