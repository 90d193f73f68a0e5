"""`paycli smoke record`: what calls have of earlier answers, at servers that make ids and tokens of all kinds."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format, message_factory

from paycli.cli.schemas import local_schema
from paycli.client.calls import build_request, call
from paycli.client.schema import Schema
from tests.chaos.test_proxy import target_of
from tests.cli.test_smoke_record import recorded, replayed
from tests.client.odd_service import end

Data = dict[str, Any]
Method = Callable[[Data, Mapping[str, Any]], Data]  # of a request and its metadata
Call = Callable[..., Data]


class Refused(Exception):
    """The status that a call ends with, and perhaps the reason of an ErrorInfo."""


def schema_of(folder: Path, proto: str) -> Schema:
    """What `-I` of the folder has: package a, with a service B."""
    imports = (f'import "google/protobuf/{each}.proto";' for each in ("any", "duration", "struct"))
    (folder / "a.proto").write_text(f'syntax = "proto3"; package a; {" ".join(imports)}\n{proto}')
    schema = local_schema([folder], None)
    assert schema is not None
    return schema


@contextmanager
def serving(schema: Schema, methods: Mapping[str, Method]) -> Iterator[str]:
    """A server of the methods."""
    handlers = {name: _handler(schema, name, method) for name, method in methods.items()}
    with target_of(**handlers) as target:
        yield target


def _handler(schema: Schema, name: str, method: Method) -> Any:
    known = schema.method(f"a.B/{name}")

    def answer(content: bytes, context: grpc.ServicerContext) -> bytes:
        request = message_factory.GetMessageClass(known.input_type).FromString(content)
        pool: Any = known.input_type.file.pool
        plain = json_format.MessageToDict(
            request, preserving_proto_field_name=True, descriptor_pool=pool
        )
        try:
            told = method(plain, dict(context.invocation_metadata()))
        except Refused as refused:
            code, *reason = refused.args
            domain = "a.example" if reason else None
            end(context, grpc.StatusCode[code], "", domain=domain, reason="".join(reason))
        response = message_factory.GetMessageClass(known.output_type)()
        json_format.ParseDict(told, response, descriptor_pool=pool)
        return response.SerializeToString()

    return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def recording(folder: Path, schema: Schema, target: str) -> Iterator[Call]:
    """What calls a method through the recorder, which writes suite.yaml at the end."""
    with recorded(folder, target, "-I", str(folder), "--force") as (channel, ended):

        def make(name: str, /, *metadata: tuple[str, str], **fields: Any) -> Data:
            method = schema.method(f"a.B/{name}")
            return call(channel, method, [build_request(method, fields)], 30, metadata)

        yield make
    assert ended["code"] == 0, ended


def passes(folder: Path, target: str, **env: str) -> bool:
    """Whether the suite passes there; shown, if it does not."""
    code, said = replayed(folder, target, "-I", str(folder), **env)
    print(said, (folder / "suite.yaml").read_text())  # noqa: T201 - for whoever sees it fail
    return code == 0


ACCOUNTS = """
message User { string name = 1; string password = 2; }
message Token { string access_token = 1; int32 expires_in = 2; }
message Session { Token token = 1; string refresh_token = 2; string ticket = 3; }
message Ask { string refresh_token = 1; string text = 2; }
message Told { string text = 1; }
service B { rpc Login(User) returns (Session); rpc Say(Ask) returns (Told); rpc Renew(Ask) returns (Session); }
"""


def accounts() -> Mapping[str, Method]:
    """A server that tells nobody anything who has no token of its own."""
    known: set[str] = set()

    def login(request: Data, _: Mapping[str, Any]) -> Data:
        if request != {"name": "ada", "password": "hunter2-hunter2"}:
            raise Refused("UNAUTHENTICATED")
        word = "".join(secrets.choice("abcdefgh") for _ in range(12))
        made = [secrets.token_hex(16), secrets.token_hex(16), word]
        known.update(made)
        token = {"access_token": made[0], "expires_in": 3600}
        return {"token": token, "refresh_token": made[1], "ticket": made[2]}

    def say(request: Data, metadata: Mapping[str, Any]) -> Data:
        sent = (metadata.get("authorization", ""), metadata.get("cookie", ""))
        if not {sent[0].removeprefix("Bearer "), sent[1].removeprefix("session=")} & known:
            raise Refused("UNAUTHENTICATED")
        return {"text": f"{request['text']}!"}

    def renew(request: Data, _: Mapping[str, Any]) -> Data:
        if request.get("refresh_token") not in known:
            raise Refused("UNAUTHENTICATED")
        return {**login({"name": "ada", "password": "hunter2-hunter2"}, {}), "ticket": ""}

    return {"Login": login, "Say": say, "Renew": renew}


def test_a_token_of_a_log_in_is_that_of_each_run(tmp_path: Path) -> None:
    schema = schema_of(tmp_path, ACCOUNTS)
    with serving(schema, accounts()) as target, recording(tmp_path, schema, target) as made:
        session = made("Login", name="ada", password="hunter2-hunter2")
        bearer = ("authorization", f"Bearer {session['token']['access_token']}")
        made("Say", bearer, text="hello")
        made("Say", ("cookie", f"session={session['ticket']}"), text="hi")
        again = made("Renew", refresh_token=session["refresh_token"])
        made("Say", ("authorization", again["token"]["access_token"]), text="bye")
    written = (tmp_path / "suite.yaml").read_text()
    told = (*session["token"].values(), *session.values(), again["token"]["access_token"])
    assert not [each for each in ("hunter2", *told) if str(each) in written]
    assert "save: {access_token: token.access_token, ticket: ticket, refresh_token:" in written
    assert 'metadata: {authorization: "Bearer ${access_token}"}' in written
    with serving(schema, accounts()) as fresh:
        assert passes(tmp_path, fresh, PASSWORD="hunter2-hunter2")
        assert not passes(tmp_path, fresh, PASSWORD="another")


SHOP = """
message Made { int64 id = 1; }
message Customer { int64 id = 1; string name = 2; repeated int64 order_ids = 3; }
message Order { int64 id = 1; int64 customer_id = 2; string state = 3; repeated Line lines = 4; int64 quantity = 5; string message = 6; }
message Line { string id = 1; int64 order_id = 2; }
message OrderIds { repeated int64 order_ids = 1; }
message Orders { repeated Order orders = 1; map<int64, Order> by_order = 2; }
message OrderId { int64 id = 1; }
message NewOrder { int64 customer_id = 1; int64 quantity = 2; }
message Ask { int64 id = 1; }
message Refund { int64 id = 1; int64 order_id = 2; int64 customer_id = 3; }
message NewAccount { string owner = 1; }
message Transfer { int64 from_account_id = 1; int64 to_account = 2; int64 amount = 3; }
message Moved { string id = 1; int64 from_account_id = 2; int64 to_account = 3; int64 amount = 4; }
service B {
  rpc CreateCustomer(Customer) returns (Made);
  rpc PlaceOrder(NewOrder) returns (Order);
  rpc GetCustomer(Ask) returns (Customer);
  rpc GetOrderState(Ask) returns (Order);
  rpc RefundOrder(OrderId) returns (Refund);
  rpc GetRefund(OrderId) returns (Refund);
  rpc ListOrders(OrderIds) returns (Orders);
  rpc OpenAccount(NewAccount) returns (Made);
  rpc Move(Transfer) returns (Moved);
}
"""


def shop(**first: int) -> Mapping[str, Method]:
    """A server that numbers things of each kind from 1 on, or from what is given."""
    tables: dict[str, dict[str, Data]] = {}

    def insert(kind: str, row: Data) -> Data:
        table = tables.setdefault(kind, {})
        number = str(first.get(kind, 1) + len(table))
        table[number] = {**row, "id": number}
        return table[number]

    def get(kind: str, number: str) -> Data:
        if number not in tables.get(kind, {}):
            raise Refused("NOT_FOUND")
        return tables[kind][number]

    def place(request: Data, _: Any) -> Data:
        order = insert("order", {**request, "state": "PLACED"})
        get("customer", request["customer_id"]).setdefault("order_ids", []).append(order["id"])
        order["message"] = f"Order {order['id']} of customer {order['customer_id']} is in 2 parts"
        order["lines"] = [{"id": "1", "order_id": order["id"]}]
        return order

    def refund(request: Data, _: Any) -> Data:
        order = get("order", request["id"])
        row = {"order_id": order["id"], "customer_id": order["customer_id"]}
        return insert("refund", row)

    def listed(request: Data, _: Any) -> Data:
        found = {number: get("order", number) for number in request["order_ids"]}
        return {"orders": list(found.values()), "by_order": found}

    def move(request: Data, _: Any) -> Data:
        get("account", request["from_account_id"]), get("account", request["to_account"])
        return insert("transfer", request)

    return {
        "CreateCustomer": lambda request, _: {"id": insert("customer", request)["id"]},
        "PlaceOrder": place,
        "GetCustomer": lambda request, _: get("customer", request["id"]),
        "GetOrderState": lambda request, _: get("order", request["id"]),
        "RefundOrder": refund,
        "GetRefund": lambda request, _: get("refund", request["id"]),
        "ListOrders": listed,
        "OpenAccount": lambda request, _: {"id": insert("account", request)["id"]},
        "Move": move,
    }


def test_serial_numbers_are_those_of_their_own_things(tmp_path: Path) -> None:
    schema = schema_of(tmp_path, SHOP)
    with serving(schema, shop()) as target, recording(tmp_path, schema, target) as made:
        for name in ("ada", "bob"):
            customer = made("CreateCustomer", name=name)["id"]
            orders = [made("PlaceOrder", customer_id=customer, quantity=n)["id"] for n in (1, 2)]
            made("GetCustomer", id=customer)
            made("GetOrderState", id=orders[0])
            refund = made("RefundOrder", id=orders[0])["id"]
            made("GetRefund", id=refund)
            made("ListOrders", order_ids=orders)
        mine, theirs = (made("OpenAccount", owner=each)["id"] for each in ("ada", "bob"))
        made("Move", from_account_id=mine, to_account=theirs, amount=1)
    for first in ({}, {"customer": 40, "order": 70, "refund": 5, "account": 20, "transfer": 9}):
        with serving(schema, shop(**first)) as fresh:
            assert passes(tmp_path, fresh)
            assert passes(tmp_path, fresh)  # of which all numbers are others
    written = (tmp_path / "suite.yaml").read_text()
    for each in (
        'request: {customer_id: "${made}", quantity: 1}',
        'expect_exactly: {id: "${made}", name: ada, order_ids: ["${order}", "${order_2}"]}',
        'request: {order_ids: ["${order}", "${order_2}"]}',
        'request: {from_account_id: "${made_3}", to_account: "${made_4}", amount: 1}',
    ):
        assert each in written, written
    for wrong in ("GetCustomer", "GetOrderState", "RefundOrder"):
        broken = shop(customer=3)
        with serving(schema, {**broken, wrong: partial(_next, broken[wrong])}) as another:
            assert not passes(tmp_path, another)


def _next(method: Method, request: Data, metadata: Mapping[str, Any]) -> Data:
    """What a method tells of the thing after the one that was asked for."""
    return {
        key: int(value) + 1 if key in ("id", "customer_id") else value
        for key, value in method(request, metadata).items()
    }


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


def test_what_rests_on_a_call_that_is_left_out_is_left_out(tmp_path: Path) -> None:
    schema = schema_of(tmp_path, SHOP)
    with serving(schema, shop()) as target, recording(tmp_path, schema, target) as made:
        twice = (("x-role", "a"), ("x-role", "b"))
        customer = made("CreateCustomer", *twice, name="ada")["id"]
        order = made("PlaceOrder", customer_id=customer, quantity=1)["id"]
        made("RefundOrder", id=order)
        account = made("OpenAccount", owner="ada")["id"]
        made("Move", from_account_id=account, to_account=account, amount=1)
    lines = (tmp_path / "suite.yaml").read_text().splitlines()
    assert [line for line in lines if "not recorded: " in line] == [
        "  # not recorded: a.B/CreateCustomer: its metadata has x-role twice",
        "  # not recorded: a.B/PlaceOrder: it rests on what CreateCustomer did, which is not recorded",
        "  # not recorded: a.B/RefundOrder: it rests on what PlaceOrder did, which is not recorded",
    ]
    with serving(schema, shop(account=5)) as fresh:
        assert passes(tmp_path, fresh)


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


RESOURCES = """
message Customer { string name = 1; string etag = 2; string create_time = 3; int64 created = 4; }
message Order { string name = 1; string customer = 2; string create_time = 3; int64 created = 4; string type = 5; }
message NewCustomer { string customer_id = 1; }
message NewOrder { string parent = 1; string etag = 2; int32 copies = 3; }
message Ask { string name = 1; }
service B {
  rpc CreateCustomer(NewCustomer) returns (Customer); rpc CreateOrder(NewOrder) returns (Order);
  rpc GetOrder(Ask) returns (Order);
}
"""


def resources(first: int = 1, second: int = 0) -> Mapping[str, Method]:
    """A server of resources by AIP-122, with numbers in their names; its clock goes from `second` on."""
    made: dict[str, Data] = {}

    def make(name: str, *, goes_on: bool, **fields: str) -> Data:
        ticks = len(made) if goes_on else 0
        at = time.gmtime(1_764_000_000 + second + ticks)
        created = int(time.time()) + second + ticks
        row = {"create_time": time.strftime("%Y-%m-%d %H:%M:%S", at), "created": created}
        made[name] = {"name": name, **row, **fields}
        return made[name]

    def customer(request: Data, _: Any) -> Data:
        name = f"customers/{request.get('customer_id', first + len(made))}"
        return make(name, goes_on=bool(second), etag=secrets.token_urlsafe(6))

    def order(request: Data, _: Any) -> Data:
        if made.get(request["parent"], {}).get("etag") != request["etag"]:
            raise Refused("ABORTED")
        name = f"{request['parent']}/orders/{first + len(made)}"
        fields = {"customer": request["parent"], "type": "text/plain"}
        return make(name, goes_on=bool(second), **fields)

    def get(request: Data, _: Any) -> Data:
        if request["name"] not in made:
            raise Refused("NOT_FOUND")
        return made[request["name"]]

    return {"CreateCustomer": customer, "CreateOrder": order, "GetOrder": get}


def test_names_of_resources_have_numbers_of_each_run(tmp_path: Path) -> None:
    schema = schema_of(tmp_path, RESOURCES)
    with serving(schema, resources()) as target, recording(tmp_path, schema, target) as made:
        for fields in ({}, {}, {"customer_id": "ada"}):
            customer = made("CreateCustomer", **fields)
            parent = {"parent": customer["name"], "etag": customer["etag"]}
            order = made("CreateOrder", **parent, copies=3)  # as there are customers/3, too
            made("GetOrder", name=order["name"])
    written = (tmp_path / "suite.yaml").read_text()
    for each in (
        'name: {matches: "^customers/[^/]+$"}\n',
        'name: {matches: "^${customer}/orders/[^/]+$"}\n',
        'request: {parent: "${customer}", etag: "${etag}", copies: 3}',
        'name: {matches: "^customers/ada/orders/[^/]+$"}\n',
        "type: text/plain\n",
    ):
        assert each in written, written
    with serving(schema, resources(first=70, second=3)) as fresh:
        assert passes(tmp_path, fresh)
    broken = resources(first=70)
    with serving(schema, {**broken, "GetOrder": lambda *_: {"name": "orders/1"}}) as another:
        assert not passes(tmp_path, another)


BANK = """
message New { string holder = 1; }
message Account { string account_number = 1; double balance = 2; }
message Transfer { string from = 1; string to = 2; double amount = 3; }
message Receipt { string number = 1; string message = 2; string confirmation_code = 3; int32 account_number = 4; }
service B { rpc Open(New) returns (Account); rpc Pay(Transfer) returns (Receipt); rpc GetAccount(Account) returns (Account); }
"""


def bank(first: int = 1001) -> Mapping[str, Method]:
    """A server whose accounts are known by `ACC1001`, and so on."""
    accounts: dict[str, Data] = {}

    def new(_: Data, __: Any) -> Data:
        number = f"ACC{first + len(accounts)}"
        accounts[number] = {"account_number": number, "balance": 100.0}
        return accounts[number]

    def pay(request: Data, _: Any) -> Data:
        if not {request["from"], request["to"]} <= accounts.keys():
            raise Refused("NOT_FOUND")
        accounts[request["from"]]["balance"] -= request["amount"]
        accounts[request["to"]]["balance"] += request["amount"]
        code, number = secrets.token_hex(3), f"R-{first % 1000}"
        message = f"{request['amount']} from {request['from']} to {request['to']}"
        told = {"number": number, "message": message, "confirmation_code": code}
        return {**told, "account_number": 7}

    return {"Open": new, "Pay": pay, "GetAccount": lambda r, _: accounts[r["account_number"]]}


def test_things_are_known_by_their_numbers(tmp_path: Path) -> None:
    schema = schema_of(tmp_path, BANK)
    with serving(schema, bank()) as target, recording(tmp_path, schema, target) as made:
        mine, theirs = (made("Open", holder=each)["account_number"] for each in ("ada", "bob"))
        made("Pay", **{"from": mine, "to": theirs, "amount": 30})
        made("GetAccount", account_number=theirs)
    written = (tmp_path / "suite.yaml").read_text()
    for each in (
        'request: {from: "${account_number}", to: "${account_number_2}", amount: 30}',
        'message: "30.0 from ${account_number} to ${account_number_2}"',
        "account_number: 7\n",  # which a receipt is not known by
        "balance: 130}",
    ):
        assert each in written, written
    for first in (1001, 5005):
        with serving(schema, bank(first)) as fresh:
            assert passes(tmp_path, fresh)
            assert passes(tmp_path, fresh)
    right = bank()
    with serving(
        schema, {**right, "Pay": lambda r, m: right["Pay"]({**r, "amount": 1.0}, m)}
    ) as bad:
        assert not passes(tmp_path, bad)
