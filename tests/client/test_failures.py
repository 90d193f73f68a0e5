"""What came back decides what is known: each row of the table, against a real server."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from paycli.client.channel import connect
from paycli.client.charges import Charge, charge, send
from paycli.client.failures import failure_of
from paycli.errors import PaycliError
from paycli.generated import payment_pb2
from tests.client.odd_service import OURS, end, service

SAID = "because"
NOBODY, THEIRS, REWRITTEN = "nobody", "others.example", "rewritten"
# The status; the exit code and sentence when our server ended the payment so, and when a call that
# asks for no payment did. Without our word a payment is unknown, whatever the status.
NOT_OFFERED = "The service does not offer payment.PaymentService/ProcessPayment."
ROWS = {
    "CANCELLED": (5, SAID, 3, SAID),
    "UNKNOWN": (5, SAID, 1, f"The service answered UNKNOWN: {SAID}"),
    "INVALID_ARGUMENT": (2, SAID, 2, SAID),
    "DEADLINE_EXCEEDED": (5, SAID, 3, SAID),
    "NOT_FOUND": (1, f"The service answered NOT_FOUND: {SAID}", 1, None),
    "ALREADY_EXISTS": (1, f"The service answered ALREADY_EXISTS: {SAID}", 1, None),
    "PERMISSION_DENIED": (4, f"The service refused the call: {SAID}", 4, None),
    "RESOURCE_EXHAUSTED": (3, SAID, 1, f"The service answered RESOURCE_EXHAUSTED: {SAID}"),
    "FAILED_PRECONDITION": (1, f"The service answered FAILED_PRECONDITION: {SAID}", 1, None),
    "ABORTED": (5, SAID, 1, f"The service answered ABORTED: {SAID}"),
    "OUT_OF_RANGE": (2, SAID, 2, SAID),
    "UNIMPLEMENTED": (1, NOT_OFFERED, 1, NOT_OFFERED),
    "INTERNAL": (5, SAID, 1, f"The service answered INTERNAL: {SAID}"),
    "UNAVAILABLE": (3, SAID, 3, SAID),
    "DATA_LOSS": (5, SAID, 1, f"The service answered DATA_LOSS: {SAID}"),
    "UNAUTHENTICATED": (4, f"The service refused the call: {SAID}", 4, None),
}
FROM_ANYWHERE = ("CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE")
RETRY = {3: "same-key", 5: "unknown"}
WAS = "It was order {}."


def _answer(request: payment_pb2.PaymentRequest, context: grpc.ServicerContext) -> None:
    name, whose = request.order_id.split("/")
    code = grpc.StatusCode[name]
    if whose == REWRITTEN:  # our word about another end, passed on by somebody in between
        other = grpc.StatusCode.NOT_FOUND if name != "NOT_FOUND" else grpc.StatusCode.ABORTED
        end(context, code, SAID, domain=OURS, code_within=other)
    end(context, code, SAID, domain=None if whose == NOBODY else whose)


@pytest.fixture(scope="module")
def channel() -> Iterator[grpc.Channel]:
    with service(_answer) as target, connect(target, 10) as opened:
        yield opened


def made(order_id: str) -> Charge:
    return charge(order_id=order_id, amount="5", currency="EUR", user_id="")


def failure(channel: grpc.Channel, order_id: str) -> PaycliError:
    with pytest.raises(PaycliError) as raised:
        send(channel, made(order_id), 10)
    return raised.value


def test_the_table_has_every_status() -> None:
    assert set(ROWS) == {code.name for code in grpc.StatusCode} - {"OK"}


@pytest.mark.parametrize("status", ROWS)
def test_our_servers_word_is_taken(channel: grpc.Channel, status: str) -> None:
    exit_code, sentence, *_ = ROWS[status]
    error = failure(channel, order := f"{status}/{OURS}")
    wanted = f"{sentence} {WAS.format(order)}" if exit_code == 5 else sentence
    assert (error.exit_code, str(error)) == (exit_code, wanted)
    assert (error.status, error.reason) == (status, "SOME_REASON")
    assert error.retry == RETRY.get(exit_code, "no")


@pytest.mark.parametrize("whose", [NOBODY, THEIRS, REWRITTEN])
@pytest.mark.parametrize("status", ROWS)
def test_nobody_elses_word_proves_that_nothing_was_paid(
    channel: grpc.Channel, status: str, whose: str
) -> None:
    error = failure(channel, order := f"{status}/{whose}")
    if status in FROM_ANYWHERE:
        sentence = f"The call ended without proof ({status}: {SAID}); it may have been paid."
    elif status == "UNIMPLEMENTED":
        sentence = (
            f"The service answered UNIMPLEMENTED ({SAID}): most likely it does not offer "
            "payment.PaymentService/ProcessPayment, but that is no proof; it may have been paid."
        )
    else:
        sentence = (
            f"The service answered {status} ({SAID}), which proves nothing; it may have been paid."
        )
    assert (error.exit_code, str(error)) == (5, f"{sentence} {WAS.format(order)}")
    assert (error.status, error.reason) == (status, "OUTCOME_UNKNOWN")
    assert error.metadata == {"order_id": order}


@pytest.mark.parametrize("whose", [NOBODY, THEIRS, OURS])
@pytest.mark.parametrize("status", ROWS)
def test_a_call_that_asks_for_no_payment_has_paid_nothing(
    channel: grpc.Channel, status: str, whose: str
) -> None:
    method = "payment.PaymentService/ProcessPayment"
    invoke = channel.unary_unary(f"/{method}", bytes, bytes)
    with pytest.raises(grpc.RpcError) as ended:
        invoke(payment_pb2.PaymentRequest(order_id=f"{status}/{whose}").SerializeToString())
    error = failure_of(ended.value, method, sent=False)
    _, ours, exit_code, sentence = ROWS[status]
    assert (error.exit_code, str(error)) == (exit_code, sentence or ours)
    for_now = status in ("ABORTED", "RESOURCE_EXHAUSTED")
    assert error.retry == ("same-key" if for_now else RETRY.get(exit_code, "no"))


@pytest.mark.parametrize(
    "word", ["", "OK", "success", "Success", "SUCCESS ", "PENDING", "FAILED\n"]
)
def test_another_word_for_the_status_is_unknown(word: str) -> None:
    response = payment_pb2.PaymentResponse(payment_id="p", status=word)
    with service(lambda *_: response) as target, connect(target, 10) as channel:
        error = failure(channel, "o")
    assert error.exit_code == 5
    assert f"answered '{word.strip()}', which is not SUCCESS or FAILED; it may" in str(error)


@pytest.mark.parametrize("payment_id", ["", " "])
def test_a_success_without_a_payment_id_is_unknown(payment_id: str) -> None:
    response = payment_pb2.PaymentResponse(payment_id=payment_id, status="SUCCESS")
    with service(lambda *_: response) as target, connect(target, 10) as channel:
        error = failure(channel, "o")
    assert error.exit_code == 5
    assert str(error).startswith("The service answered SUCCESS without a payment id; it may have")


def _throws(*_: object) -> None:
    raise RuntimeError("after charging")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (_throws, "UNKNOWN"),
        (lambda *_: None, "INTERNAL"),
        (
            lambda *_: payment_pb2.PaymentResponse(payment_id="p" * 68_000_000, status="SUCCESS"),
            "RESOURCE_EXHAUSTED",
        ),
    ],
    ids=["a handler that throws", "a handler that returns nothing", "an answer too large"],
)
def test_a_service_that_breaks_may_have_been_paid(answer: object, status: str) -> None:
    with service(answer) as target, connect(target, 10) as channel:  # type: ignore[arg-type]
        error = failure(channel, "o")
    assert (error.exit_code, error.status) == (5, status)
    assert "it may have been paid. It was order o." in str(error)
