"""`paycli pay --from FIXTURE.yaml`: its payments as rows, each sent once or rejected with the reason."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

from tests.cli.test_pay_from import counted, listed, ran
from tests.conftest import Server

MIXED = """
defaults: {currency: EUR, user_id: ada}
payments:
  - {order_id: "o-${n}", amount: 1.50, repeat: 1500}
  - {order_id: "${uuid}", idempotency_key: "", amount: 1}
  - {order_id: a, amount: 1, then: [refund]}
  - {order_id: b, amount: 1, expect: FAILED}
  - {order_id: c, amount: 1, capture_method: MANUAL}
  - {name: d, order_id: d, amount: 2}
  - {order_id: "e-${payments.d.order_id}", amount: 1}
  - {order_id: f, amount: x, currency: EU}
"""


@pytest.mark.parametrize("name", ["rows.yaml", "rows.YML.gz"])
def test_what_can_be_sent_as_rows_is_and_the_rest_is_named(
    server: Server, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(MIXED.encode()) if name.endswith("gz") else MIXED.encode())
    rejects = tmp_path / "rejects.csv"
    ended = (2, {"rows": 1507, "paid": 1501, "rejected": 6})
    assert counted(server.target, path, "--rejects", rejects) == ended
    with rejects.open() as file:
        told = [(each["line"], each["order_id"], each["reason"]) for each in csv.DictReader(file)]
    assert [(line, order) for line, order, _ in told[1:]] == [
        ("6", "a"), ("7", "b"), ("8", "c"), ("10", "e-d"), ("11", ""),
    ]  # fmt: skip
    for (_, _, why), words in zip(
        told,
        ("paid twice", "then: nothing follows", "expect: ", "capture_method: ", "it refers to another payment",
         "not an ISO 4217 currency that can be paid in; give one such as EUR, USD or JPY. 'x' is"),
        strict=True,
    ):  # fmt: skip
        assert words in why
    # As rows they would be other payments.
    refused = ran(server.target, rejects)
    assert (refused.returncode, "no column is called amount" in refused.stderr) == (2, True)
    again = (2, {"rows": 1507, "paid_before": 1501, "rejected": 6})
    assert counted(server.target, path, "--rejects", rejects) == again
    assert listed(server.target).total() == 1501


def test_payments_before_the_place_where_it_breaks_are_sent(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "rows.yaml"
    head = "defaults: {currency: EUR}\npayments:\n"
    path.write_text(f"{head}- {{order_id: a, amount: 1}}\n- {{order_id: b\n")
    run = ran(server.target, path)
    assert run.returncode == 2
    assert f"{path}:5:1: not YAML" in run.stderr
    assert run.stdout.startswith("1 row: 1 paid")


@pytest.mark.parametrize(
    "words", [("--map", "amount=x"), ("--decimal", ","), ("--currency", "EUR")]
)
def test_what_is_for_rows_is_refused(tmp_path: Path, words: tuple[str, str]) -> None:
    path = tmp_path / "rows.yaml"
    path.write_text("payments: [{order_id: a, amount: 1, currency: EUR}]\n")
    run = ran("localhost:1", path, *words)
    assert run.returncode == 2
    assert f"{words[0]}: not for a fixture" in run.stderr
