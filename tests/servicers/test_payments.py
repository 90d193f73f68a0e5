"""The rich contract as its proto promises it: lives of payments, retries, lists, balances, batches."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from paycli.generated import payment_pb2
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from tests.conftest import servers_in
from tests.wire import (
    MANUAL,
    REPLAYED,
    Client,
    client_of,
    creation,
    money,
    refusal_in,
    refused,
)

Thing = TypeVar("Thing")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("payments")
    with servers_in(folder) as start, client_of(start().target) as opened:
        yield opened


def text(amount: Any) -> str:
    """`-9.99 EUR`, to be read in a failed assertion."""
    minor = amount.units * 10**9 + amount.nanos
    sign, minor = ("-" if minor < 0 else ""), abs(minor)
    return f"{sign}{minor // 10**9}.{minor % 10**9 // 10**7:02} {amount.currency_code}"


def amounts(payment: pb.Payment) -> tuple[str, ...]:
    """Authorized, captured, voided, refunded."""
    return tuple(
        text(getattr(payment, f"{which}_amount")).removesuffix(" EUR")
        for which in ("authorized", "captured", "voided", "refunded")
    )


def state(payment: pb.Payment) -> str:
    return pb.PaymentState.Name(payment.state).removeprefix("PAYMENT_STATE_")


def pages(
    fetch: Callable[[str], Any], items: Callable[[Any], list[Thing]], most: int = 10_000
) -> Iterator[list[Thing]]:
    """Every page until the last."""
    token = ""
    for _ in range(most):
        page = fetch(token)
        yield list(items(page))
        token = page.next_page_token
        if not token:
            return
    raise AssertionError("the pages do not end")


def listed(client: Client, page_size: int = 0, **wanted: Any) -> list[pb.Payment]:
    """All payments of a query, page by page."""

    def fetch(token: str) -> pb.ListPaymentsResponse:
        request = pb.ListPaymentsRequest(page_size=page_size, page_token=token, **wanted)
        page: pb.ListPaymentsResponse = client.payments.ListPayments(request)
        return page

    return list(itertools.chain(*pages(fetch, lambda page: page.payments)))


def refunds(client: Client, parent: str, page_size: int) -> list[pb.Refund]:
    """All refunds of a payment, page by page."""

    def fetch(token: str) -> Any:
        query = {"parent": parent, "page_size": page_size, "page_token": token}
        return client.call("ListRefunds", query)

    return list(itertools.chain(*pages(fetch, lambda page: page.refunds)))


def postings(client: Client, page_size: int = 0, **wanted: str) -> list[pb.Posting]:
    """All postings of a query, page by page."""

    def fetch(token: str) -> pb.ListPostingsResponse:
        request = pb.ListPostingsRequest(page_size=page_size, page_token=token, **wanted)
        page: pb.ListPostingsResponse = client.payments.ListPostings(request)
        return page

    return list(itertools.chain(*pages(fetch, lambda page: page.postings)))


def balance(client: Client, account: str) -> list[str]:
    return [text(each) for each in client.call("GetBalance", {"account": account}).amounts]


def fresh(word: str) -> str:
    return f"{word}-{uuid.uuid4()}"


# -- one payment's life


def test_a_charge_is_captured_at_once(client: Client) -> None:
    order = fresh("order")
    paid = client.create("99.90", order_id=order)
    assert (state(paid), amounts(paid)) == ("CAPTURED", ("99.90", "99.90", "0.00", "0.00"))
    assert (paid.order_id, paid.customer_id, paid.version) == (order, "ada", 1)
    assert paid.capture_method == pb.CAPTURE_METHOD_AUTOMATIC
    assert paid.amount == money("99.90")
    assert paid.create_time == paid.update_time
    assert not paid.HasField("expire_time")
    assert client.get(paid.name) == paid


def test_an_authorization_is_captured_in_parts_and_the_rest_given_back(client: Client) -> None:
    held = client.authorize("10.00")
    assert (state(held), amounts(held)) == ("AUTHORIZED", ("10.00", "0.00", "0.00", "0.00"))
    assert held.expire_time.seconds - held.create_time.seconds == 7 * 24 * 3600
    part = client.capture(held.name, "3.00")
    assert (state(part), amounts(part)) == ("PARTIALLY_CAPTURED", ("10.00", "3.00", "0.00", "0.00"))
    assert part.expire_time == held.expire_time
    more = client.capture(held.name, "2.50")
    assert amounts(more) == ("10.00", "5.50", "0.00", "0.00")
    with refused("CAPTURE_EXCEEDS_AUTHORIZED"):
        client.capture(held.name, "4.51")
    final = client.capture(held.name, "0.50", final=True)
    assert (state(final), amounts(final)) == ("CAPTURED", ("10.00", "6.00", "4.00", "0.00"))
    assert final.version == 4
    assert not final.HasField("expire_time")
    with refused("STATE_FORBIDS"):
        client.capture(held.name)
    assert client.get(held.name) == final


def test_a_capture_without_an_amount_takes_the_rest(client: Client) -> None:
    held = client.authorize("10.00")
    client.capture(held.name, "9.99")
    assert amounts(client.capture(held.name)) == ("10.00", "10.00", "0.00", "0.00")


@pytest.mark.parametrize(("captured", "then"), [("", "VOIDED"), ("4.00", "CAPTURED")])
def test_a_void_gives_back_what_is_left(client: Client, captured: str, then: str) -> None:
    held = client.authorize("10.00")
    if captured:
        client.capture(held.name, captured)
    voided = client.void(held.name)
    left = "6.00" if captured else "10.00"
    assert (state(voided), amounts(voided)[2]) == (then, left)
    assert balance(client, f"hold/{held.name.removeprefix('payments/')}") == ["0.00 EUR"]


def test_refunds_are_things_of_their_own(client: Client) -> None:
    paid = client.create("10.00")
    first = client.refund(paid.name, "2.50", reason="too salty ☹")
    assert first.name == f"{paid.name}/refunds/2"
    assert (text(first.amount), first.reason) == ("2.50 EUR", "too salty ☹")
    assert state(client.get(paid.name)) == "PARTIALLY_REFUNDED"
    with refused("REFUND_EXCEEDS_CAPTURED"):
        client.refund(paid.name, "7.51")
    rest = client.refund(paid.name)
    assert text(rest.amount) == "7.50 EUR"
    assert state(client.get(paid.name)) == "REFUNDED"
    with refused("STATE_FORBIDS"):
        client.refund(paid.name)
    for each in (first, rest):
        assert client.call("GetRefund", {"name": each.name}) == each
    for size in (0, 1, 2, 1000):
        assert refunds(client, paid.name, size) == [first, rest]


def test_what_is_captured_can_be_refunded_while_the_rest_is_still_held(client: Client) -> None:
    held = client.authorize("10.00")
    client.capture(held.name, "4.00")
    client.refund(held.name, "4.00")
    between = client.get(held.name)
    assert (state(between), amounts(between)) == (
        "PARTIALLY_CAPTURED",
        ("10.00", "4.00", "0.00", "4.00"),
    )
    done = client.capture(held.name)
    assert (state(done), amounts(done)) == (
        "PARTIALLY_REFUNDED",
        ("10.00", "10.00", "0.00", "4.00"),
    )


# -- retries


def test_a_retry_gets_the_first_answer_byte_for_byte_whatever_happened_since(
    client: Client,
) -> None:
    create = creation("10.00", capture_method=MANUAL, order_id=fresh("order"))
    first = client.call("CreatePayment", create)
    key = {"name": first.name}
    calls: list[tuple[str, Any]] = [("CreatePayment", create)]
    calls += [
        (
            "CapturePayment",
            {**key, "request_id": fresh("k"), "amount": {"currency_code": "EUR", "units": 4}},
        ),
        ("RefundPayment", {**key, "request_id": fresh("k"), "reason": "r"}),
        ("CapturePayment", {**key, "request_id": fresh("k"), "final": True}),
        ("RefundPayment", {**key, "request_id": fresh("k")}),
    ]
    answers = [first]
    for method, request in calls[1:]:
        answer, trailer = client.with_trailer(method, request)
        assert "idempotency-replayed" not in trailer
        answers.append(answer)
    assert state(client.get(first.name)) == "REFUNDED"
    for (method, request), answer in zip(calls, answers, strict=True):
        again, trailer = client.with_trailer(method, request)
        assert again.SerializeToString(deterministic=True) == answer.SerializeToString(
            deterministic=True
        )
        assert trailer.items() >= {REPLAYED}


def test_a_refused_change_is_not_remembered(client: Client) -> None:
    held, key = client.authorize("10.00"), fresh("k")
    with refused("STATE_FORBIDS"):
        client.refund(held.name, "1.00", request_id=key)
    client.capture(held.name)
    assert text(client.refund(held.name, "1.00", request_id=key).amount) == "1.00 EUR"


def test_one_order_through_both_doors_is_one_payment(client: Client) -> None:
    order = fresh("order")
    seed = client.pay(order, 10.0)
    request = creation("10.00", order_id=order, request_id="")
    rich, trailer = client.with_trailer("CreatePayment", request)
    assert rich.name == f"payments/{seed.payment_id}"
    assert trailer.items() >= {REPLAYED}
    other = fresh("order")
    rich = client.create("10.00", order_id=other, request_id="")
    assert client.pay(other, 10.0).payment_id == rich.name.removeprefix("payments/")
    assert len(listed(client, order_id=order)) == len(listed(client, order_id=other)) == 1


def test_one_key_through_both_doors_is_one_payment(client: Client) -> None:
    key, order = fresh("k"), fresh("order")
    rich = client.create("10.00", order_id=order, request_id=key)
    request = payment_pb2.PaymentRequest(order_id=order, amount=10, currency="EUR", user_id="ada")
    seed, trailer = client.with_trailer(
        "ProcessPayment", request, metadata=(("idempotency-key", key),)
    )
    assert f"payments/{seed.payment_id}" == rich.name
    assert trailer.items() >= {REPLAYED}


def test_a_key_made_from_an_order_is_never_one_that_a_caller_chose(client: Client) -> None:
    order = fresh("o")
    by_order = client.create(order_id=order, request_id="")
    by_key = client.create(order_id="x", request_id=order)
    assert by_order.name != by_key.name


# -- lists


@pytest.fixture(scope="module")
def crowd(client: Client) -> list[pb.Payment]:
    """Payments of three customers and of orders of two, in all states, oldest first."""
    made = []
    for n in range(60):
        kind = n % 6
        fields = {"order_id": f"crowd-{n // 2}", "customer_id": f"crowd-{n % 3}"}
        if kind == 5:
            fields["customer_id"] = "sim_decline_lost_card"
        payment = client.create("10.00", **fields, capture_method=1 if kind in (0, 5) else 2)
        if kind == 2:
            client.capture(payment.name)
        if kind == 3:
            client.void(payment.name)
        if kind == 4:
            client.capture(payment.name, "5.00")
        made.append(client.get(payment.name))
    return made


STATES = [None, *pb.PaymentState.values()[1:]]


@pytest.mark.parametrize("page_size", [1, 7, 0, 2**31 - 1])
def test_each_filter_and_all_together_list_what_fits_newest_first(
    client: Client, crowd: list[pb.Payment], page_size: int
) -> None:
    middle, end = crowd[20].create_time, crowd[40].create_time
    choices = itertools.product(
        ["", "crowd-7"],
        ["", "crowd-1"],
        STATES if page_size == 7 else [None, 1],
        [None, middle],
        [None, end],
    )
    for order, customer, wanted, created_from, created_before in choices:
        query: dict[str, Any] = {
            "order_id": order,
            "customer_id": customer,
            "state": wanted,
            "created_from": created_from,
            "created_before": created_before,
        }
        found = listed(client, page_size, **{k: v for k, v in query.items() if v})
        fitting = {
            each.name
            for each in crowd
            if (not order or each.order_id == order)
            and (not customer or each.customer_id == customer)
            and (not wanted or each.state == wanted)
            and (
                not created_from or each.create_time.ToNanoseconds() >= created_from.ToNanoseconds()
            )
            and (
                not created_before
                or each.create_time.ToNanoseconds() < created_before.ToNanoseconds()
            )
        }
        names = [each.name for each in found]
        assert len(names) == len(set(names)), query
        known = {each.name for each in crowd}
        assert {name for name in names if name in known} == fitting, query
        times = [each.create_time.ToMilliseconds() for each in found]
        assert times == sorted(times, reverse=True), query
        if order or customer:
            assert set(names) == fitting, query


def test_times_are_exact_to_the_microsecond(client: Client, crowd: list[pb.Payment]) -> None:
    one = crowd[30]
    ns = one.create_time.ToNanoseconds()

    def found(**nanoseconds: int) -> bool:
        times = {}
        for name, value in nanoseconds.items():
            times[name] = Timestamp()
            times[name].FromNanoseconds(value)
        return one in listed(client, 0, order_id=one.order_id, **times)

    assert found(created_from=ns)
    assert found(created_from=ns - 1)
    assert not found(created_from=ns + 1)
    assert not found(created_before=ns)
    assert found(created_before=ns + 1)
    assert not found(created_before=ns - 1)
    assert found(created_from=ns, created_before=ns + 1000)
    assert not found(created_from=ns + 1000, created_before=ns)


@pytest.mark.parametrize("seconds", [-62135596800, -1, 0, 1])
def test_nothing_was_created_before_there_was_paycli(client: Client, seconds: int) -> None:
    assert listed(client, created_before=Timestamp(seconds=seconds)) == []
    assert listed(client, 1000, created_from=Timestamp(seconds=seconds))


def test_everything_was_created_before_the_end_of_time(client: Client) -> None:
    end = Timestamp(seconds=253402300799, nanos=999_999_999)
    assert len(listed(client, 1000, created_before=end)) == len(listed(client, 1000)) > 0
    assert listed(client, created_from=end) == []


def test_a_page_holds_at_most_1000_and_50_unless_asked(client: Client) -> None:
    customer = fresh("many")
    client.batch(*(creation("1.00", customer_id=customer) for _ in range(1000)))
    client.create(customer_id=customer)

    def size(asked: int) -> int:
        request = pb.ListPaymentsRequest(page_size=asked, customer_id=customer)
        return len(client.payments.ListPayments(request).payments)

    assert [size(0), size(1), size(999), size(1000), size(1001), size(2**31 - 1)] == [
        50, 1, 999, 1000, 1000, 1000,
    ]  # fmt: skip
    assert len(listed(client, 1000, customer_id=customer)) == 1001


def test_a_payment_is_found_by_the_key_that_it_was_created_with(client: Client) -> None:
    order, key = fresh("order"), fresh("kéy")
    kept = client.create(order_id=order, customer_id="", request_id=key)
    bare = client.create("2.00", order_id=order, customer_id="", request_id="")
    declined = client.create(customer_id="sim_decline_expired_card", request_id=f"{key}-no")
    seed_key = fresh("seed")
    request = {"order_id": order, "amount": 3.0, "currency": "EUR", "user_id": "ada"}
    seeded, _ = client.with_trailer(
        "ProcessPayment", request, metadata=(("idempotency-key", seed_key),)
    )
    client.call("RefundPayment", {"name": kept.name, "request_id": f"{key}-back"})
    refunded = client.call("GetPayment", {"name": kept.name})
    assert listed(client, request_id=key) == [refunded]
    assert listed(client, request_id=key.replace("é", "e\u0301")) == [refunded]
    assert listed(client, request_id=f"{key}-no") == [declined]
    (found,) = listed(client, request_id=seed_key)
    assert found.name == f"payments/{seeded.payment_id}"
    assert listed(client, request_id=f"{key}-back") == []
    assert listed(client, request_id=order) == []
    assert listed(client, request_id=key, state=pb.PAYMENT_STATE_CAPTURED) == []
    assert listed(client, request_id=key, order_id=order) == [refunded]
    # Without a key: what is empty is meant, and is not just any.
    assert listed(client, order_id=order, without_request_id=True) == [bare]
    assert listed(client, order_id=order, customer_id="ada", without_request_id=True) == []
    with refused("PAGE_TOKEN_INVALID"):
        token = client.call("ListPayments", {"order_id": order, "page_size": 1}).next_page_token
        asked = {"order_id": order, "request_id": key, "page_token": token}
        client.call("ListPayments", asked)


def test_pages_show_each_payment_once_while_new_ones_arrive(client: Client) -> None:
    customer, stop = fresh("busy"), threading.Event()
    before = {client.create(customer_id=customer).name for _ in range(40)}

    def keep_paying() -> None:
        while not stop.is_set():
            client.batch(*(creation("1.00", customer_id=customer) for _ in range(5)))

    payers = [threading.Thread(target=keep_paying) for _ in range(2)]
    for payer in payers:
        payer.start()
    try:
        for size in (3, 10):
            names = [each.name for each in listed(client, size, customer_id=customer)]
            assert len(names) == len(set(names))
            assert set(names) >= before
    finally:
        stop.set()
        for payer in payers:
            payer.join()


def test_a_token_only_fits_its_own_list_and_is_whole(
    client: Client, crowd: list[pb.Payment]
) -> None:
    def page(token: str = "", **query: Any) -> pb.ListPaymentsResponse:
        request = pb.ListPaymentsRequest(page_token=token, **({"page_size": 2} | query))
        found: pb.ListPaymentsResponse = client.payments.ListPayments(request)
        return found

    token = page(customer_id="crowd-1").next_page_token
    assert page(token, customer_id="crowd-1", page_size=5).payments  # another size is no other list
    for other in ({"customer_id": "crowd-2"}, {}, {"customer_id": "crowd-1", "state": 3}):
        with refused("PAGE_TOKEN_INVALID"):
            page(token, **other)
    charged = client.create()
    for _ in range(3):
        client.refund(charged.name, "1.00")
    refunded = client.call("ListRefunds", {"parent": charged.name, "page_size": 1})
    journal = client.call("ListPostings", {"payment": charged.name, "page_size": 1})
    for method, request in {
        "ListPayments": {"page_size": 2, "customer_id": "crowd-1", "page_token": token},
        "ListRefunds": {"parent": charged.name, "page_token": refunded.next_page_token},
        "ListPostings": {"payment": charged.name, "page_token": journal.next_page_token},
    }.items():
        whole = request["page_token"]
        assert client.call(method, request)
        at_first, within = (
            f"{whole[:at]}{'B' if whole[at] == 'A' else 'A'}{whole[at + 1 :]}" for at in (0, 9)
        )
        for damaged in (whole[:-1], whole[:-4], at_first, within, f"{whole}AAAA"):
            with refused("PAGE_TOKEN_INVALID"):
                client.call(method, request | {"page_token": damaged})


# -- the ledger


def legs(found: list[pb.Posting]) -> list[tuple[str, str]]:
    return [(each.account.partition("/")[0], text(each.amount)) for each in found]


def test_postings_tell_a_payments_life_and_sum_to_zero(client: Client) -> None:
    customer = fresh("ledger")
    held = client.authorize("10.00", customer_id=customer)
    client.capture(held.name, "3.00")
    client.refund(held.name, "1.00")
    client.capture(held.name, "2.00", final=True)
    whole = postings(client, payment=held.name)
    assert legs(whole) == [
        ("customer", "-10.00 EUR"), ("hold", "10.00 EUR"),
        ("hold", "-3.00 EUR"), ("merchant", "3.00 EUR"),
        ("merchant", "-1.00 EUR"), ("customer", "1.00 EUR"),
        ("hold", "-2.00 EUR"), ("merchant", "2.00 EUR"),
        ("hold", "-5.00 EUR"), ("customer", "5.00 EUR"),
    ]  # fmt: skip
    for _, entry in itertools.groupby(whole, key=lambda each: each.sequence):
        assert sum(each.amount.units * 10**9 + each.amount.nanos for each in entry) == 0
    assert {each.payment for each in whole} == {held.name}
    for size in (1, 2, 3, 4, 1000):  # a page may end in the middle of a payment's journal
        assert postings(client, size, payment=held.name) == whole
    hold = f"hold/{held.name.removeprefix('payments/')}"
    for account in (hold, f"customer/{customer}"):
        own = postings(client, 1, account=account)
        assert own == [each for each in whole if each.account == account]
    assert balance(client, hold) == ["0.00 EUR"]
    assert balance(client, f"customer/{customer}") == ["-4.00 EUR"]


def test_an_accounts_postings_go_over_its_payments_and_sum_to_its_balance(client: Client) -> None:
    customer = fresh("ledger")
    for n in range(7):
        held = client.authorize("10.00", customer_id=customer)
        for _ in range(n % 4):
            client.capture(held.name, "1.00")
    client.create("5", "JPY", customer_id=customer)
    client.create(customer_id=f"{customer}2")  # a neighbour by name
    account = f"customer/{customer}"
    whole = postings(client, account=account)
    assert len(whole) == 8
    for size in (1, 2, 5):
        assert postings(client, size, account=account) == whole
    assert balance(client, account) == ["-70.00 EUR", "-5.00 JPY"]
    merchant = postings(client, 1000, account="merchant")
    euros = sum(
        each.amount.units * 100 + each.amount.nanos // 10**7
        for each in merchant
        if each.amount.currency_code == "EUR"
    )
    held = client.call("GetBalance", {"account": "merchant"}).amounts
    assert [
        each.units * 100 + each.nanos // 10**7 for each in held if each.currency_code == "EUR"
    ] == [euros]


def test_an_account_that_never_held_anything_has_no_amounts(client: Client) -> None:
    assert balance(client, f"customer/{fresh('nobody')}") == []
    assert postings(client, account=f"customer/{fresh('nobody')}") == []


def test_the_hold_account_of_what_was_never_held_has_no_amounts(client: Client) -> None:
    for payment, amounts_ in (
        (client.create(), []),
        (client.authorize(customer_id="sim_decline_lost_card"), []),
        (client.authorize("7.00"), ["7.00 EUR"]),
    ):
        assert balance(client, f"hold/{payment.name.removeprefix('payments/')}") == amounts_


def test_a_decline_moves_nothing(client: Client) -> None:
    declined = client.create(customer_id="sim_decline_fraud_suspected")
    assert (state(declined), declined.decline_reason) == ("DECLINED", "FRAUD_SUSPECTED")
    assert amounts(declined) == ("0.00", "0.00", "0.00", "0.00")
    assert postings(client, payment=declined.name) == []
    assert balance(client, "customer/sim_decline_fraud_suspected") == []


# -- batches


def test_a_batch_answers_in_order_and_the_bad_fail_alone(client: Client) -> None:
    key = fresh("k")
    wanted = [
        creation("1.00", order_id="b0"),
        creation("0.00", order_id="b1"),
        creation("2.00", customer_id="sim_decline_expired_card"),
        creation("3.00", request_id=key),
        creation("3.00", request_id=key),
        creation("4.00", request_id=key),
        creation("5.00", customer_id="sim_slow_200"),
        creation("6.00", customer_id="sim_unavailable"),
        creation("7.00", capture_method=MANUAL),
        creation("1.00", "XXX"),
    ]
    results = client.batch(*wanted)
    assert len(results) == len(wanted)
    for n in (0, 2, 3, 4, 6, 8):
        assert results[n].payment.amount == wanted[n].amount, n
    assert [state(results[n].payment) for n in (0, 2, 6, 8)] == [
        "CAPTURED", "DECLINED", "CAPTURED", "AUTHORIZED",
    ]  # fmt: skip
    assert results[3].payment == results[4].payment
    assert [each.replayed for each in results] == [n == 4 for n in range(10)]
    reasons = {n: refusal_in(results[n].error).reason for n in (1, 5, 7, 9)}
    assert reasons == {
        1: "AMOUNT_NOT_POSITIVE",
        5: "IDEMPOTENCY_KEY_REUSED",
        7: "PROCESSOR_UNAVAILABLE",
        9: "CURRENCY_UNKNOWN",
    }
    again = client.batch(*wanted)
    for first, second in zip(results, again, strict=True):
        if first.HasField("payment"):
            assert (second.payment, second.replayed) == (first.payment, True)
        else:
            assert second == first


def test_a_batch_of_1000_slow_and_instant_ones_with_duplicates(client: Client) -> None:
    keys = [fresh("k") for _ in range(250)]
    wanted = [
        creation("1.00", request_id=keys[n % 250], customer_id=f"sim_slow_{50 * (n % 2)}")
        for n in range(1000)
    ]
    results = client.batch(*wanted)
    assert len({each.payment.name for each in results}) == 250
    assert sum(each.replayed for each in results) == 750
    for n, each in enumerate(results):
        assert each.payment == results[n % 250].payment


def test_a_batch_of_1000_with_the_longest_fields_fits(client: Client) -> None:
    wanted = [
        creation(
            "1.00", request_id=f"{n:04}" + "€" * 251, order_id="€" * 255, customer_id="ü" * 255
        )
        for n in range(1000)
    ]
    results = client.batch(*wanted)
    assert len({each.payment.name for each in results}) == 1000


# -- money and text


@pytest.mark.parametrize(
    ("currency", "smallest"),
    [("JPY", 10**9), ("EUR", 10**7), ("BHD", 10**6), ("CLF", 10**5)],
)
def test_each_currency_down_to_its_smallest_coin_and_up_to_the_limit(
    client: Client, currency: str, smallest: int
) -> None:
    def pay(nanos: int) -> pb.Payment:
        amount = pb.Payment().amount
        amount.currency_code = currency
        amount.units, amount.nanos = divmod(nanos, 10**9)
        request = pb.CreatePaymentRequest(request_id=fresh("k"), amount=amount)
        paid: pb.Payment = client.payments.CreatePayment(request)
        return paid

    largest = (10**15 - 1) * smallest
    for nanos in (smallest, 999 * smallest, 1000 * smallest, 123_456_789 * smallest, largest):
        paid = pay(nanos)
        for amount in (paid.amount, paid.captured_amount):
            assert amount.units * 10**9 + amount.nanos == nanos
            assert amount.currency_code == currency
        refund = client.refund(paid.name)
        assert refund.amount == paid.amount
    for nanos in (smallest - 1, smallest + 1):
        with refused("AMOUNT_NOT_REPRESENTABLE"):
            pay(nanos)
    with refused("AMOUNT_TOO_LARGE"):
        pay(largest + smallest)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 255,
        "€" * 255,
        "𝄞" * 255,
        "漢字 with spaces",
        "a/b?c=d&e%20'; DROP TABLE payment; --",
        "\u05d0 right to left",
        "é",
        '{"json": "\\u0000"}',
    ],
    ids=repr,
)
def test_text_comes_back_as_it_was_sent(client: Client, value: str) -> None:
    paid = client.create(order_id=value, customer_id=value)
    assert (paid.order_id, paid.customer_id) == (value, value)
    assert client.get(paid.name) == paid
    assert paid in listed(client, order_id=value, customer_id=value)
    refund = client.refund(paid.name, "1.00", reason=value, request_id=value)
    assert refund.reason == value
    assert balance(client, f"customer/{value}") == ["-9.00 EUR"]
    assert len(postings(client, account=f"customer/{value}")) == 2


def test_composed_or_not_it_is_one_id(client: Client) -> None:
    composed, decomposed = fresh("é"), ""
    decomposed = composed.replace("é", "e\u0301")
    paid = client.create(request_id="", order_id=decomposed, customer_id=decomposed)
    assert (paid.order_id, paid.customer_id) == (composed, composed)
    again, trailer = client.with_trailer(
        "CreatePayment", creation(request_id="", order_id=composed, customer_id=composed)
    )
    assert (again, trailer.items() >= {REPLAYED}) == (paid, True)
    assert client.pay(decomposed, 10.0, user_id=composed).payment_id in paid.name
    for spelt in (composed, decomposed):
        assert listed(client, order_id=spelt) == listed(client, customer_id=spelt) == [paid]
        assert balance(client, f"customer/{spelt}") == ["-10.00 EUR"]
        assert len(postings(client, account=f"customer/{spelt}")) == 1
        stream = client.payments.WatchEvents(
            pb.WatchEventsRequest(order_id=spelt, customer_id=spelt), timeout=10
        )
        assert next(stream).payment == paid
        stream.cancel()
    keyed = client.create(request_id=f"k{decomposed}")
    assert client.create(request_id=f"k{composed}") == keyed
    refund = client.refund(keyed.name, "1.00", request_id=f"r{decomposed}")
    assert client.refund(keyed.name, "1.00", request_id=f"r{composed}") == refund


def test_what_people_write_is_kept_as_it_is(client: Client) -> None:
    paid = client.create()
    reason = " \u202ee\u0301\ufeff\u2028 "
    assert client.refund(paid.name, "1.00", reason=reason).reason == reason


def test_an_empty_customer_is_an_account_like_any_other(client: Client) -> None:
    paid = client.create(customer_id="")
    assert paid in listed(client, 1000)
    client.refund(paid.name, "1.00")
    own = [each for each in postings(client, payment=paid.name) if each.account == "customer/"]
    assert legs(own) == [("customer", "-10.00 EUR"), ("customer", "1.00 EUR")]
    assert balance(client, "customer/")
    assert own == [each for each in postings(client, account="customer/") if each in own]


def test_what_is_rare_is_found_behind_thousands_that_do_not_fit(client: Client) -> None:
    rare = client.create("1.00", customer_id=fresh("rare"))
    for _ in range(11):
        client.batch(*(creation("1.00", capture_method=MANUAL) for _ in range(1000)))
    voided = client.void(client.authorize(customer_id=rare.customer_id).name)

    def fetch(token: str) -> pb.ListPaymentsResponse:
        request = pb.ListPaymentsRequest(
            state=pb.PAYMENT_STATE_CAPTURED, created_from=rare.create_time, page_token=token
        )
        page: pb.ListPaymentsResponse = client.payments.ListPayments(request)
        return page

    captured = list(pages(fetch, lambda page: page.payments))
    assert list(itertools.chain(*captured)) == [rare]
    assert [] in captured  # a page looks at so many and ends short (AIP-158)
    assert listed(client, state=pb.PAYMENT_STATE_VOIDED, customer_id=rare.customer_id) == [voided]
    wanted = pb.WatchEventsRequest(
        kinds=[pb.EVENT_KIND_VOIDED, pb.EVENT_KIND_CHARGED], customer_id=rare.customer_id
    )
    stream = client.payments.WatchEvents(wanted, timeout=30)
    assert [next(stream).payment, next(stream).payment] == [rare, voided]
    stream.cancel()
