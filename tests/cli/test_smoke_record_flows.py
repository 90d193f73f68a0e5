"""`paycli smoke record`: what calls have of earlier answers, at servers that make ids and tokens of all kinds."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tests.cli.recorded_servers import Data, Method, Refused, passes, recording, schema_of, serving

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
message OrderIds { repeated int64 order_ids = 1; int64 after_id = 2; }
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
        begin = int(request.get("after_id", 0))
        numbers = [each for each in request["order_ids"] if int(each) > begin]
        found = {number: get("order", number) for number in numbers}
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
            made("ListOrders", order_ids=orders, after_id=orders[0])
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
