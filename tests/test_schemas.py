"""The JSON Schemas of fixtures and suites say what their readers say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from paycli.client.fixture_payments import (
    CAPTURE_METHODS,
    DEFAULT_KEYS,
    EXPECT_KEYS,
    PAYMENT_KEYS,
    STATUSES,
    Mistaken,
)
from paycli.client.fixtures import FIXTURE_KEYS, Fixture
from paycli.client.follow_ups import KEYS
from paycli.errors import DocumentError
from paycli.scenarios.expect import CODES, ERROR_KEYS, STREAM_KEYS
from paycli.scenarios.matchers import LIST_MATCHERS, VALUE_MATCHERS
from paycli.scenarios.steps import RETRY_KEYS, STEP_KEYS, UNLESS_KEYS
from paycli.scenarios.suite import SUITE_KEYS, SUITE_UNLESS_KEYS
from tests.conftest import run_paycli

ROOT = Path(__file__).parents[1]
SCHEMA = json.loads((ROOT / "configs/schemas/fixture.schema.json").read_text())
SUITE_SCHEMA = json.loads((ROOT / "configs/schemas/suite.schema.json").read_text())
WHOLE = """
defaults: {currency: EUR, user_id: 7}
payments:
  - {name: a, order_id: 1, amount: 2.40, then: [refund, refund: 1, refund: {amount: "2", reason: x}]}
  - {order_id: "b-${n}", amount: "1", repeat: 2, expect: {status: FAILED, decline_reason: LOST_CARD}}
  - {order_id: c, amount: 1, capture_method: MANUAL, idempotency_key: k, expect: AUTHORIZED,
     then: [capture: {amount: 0.5, final: true}, void: {expect_error: STATE_FORBIDS}, capture: , void]}
"""


def is_right(text: str) -> bool:
    return bool(Draft202012Validator(SCHEMA).is_valid(yaml.safe_load(text)))


def is_read(path: Path, text: str) -> bool:
    path.write_text(text)
    try:
        return not any(isinstance(each, Mistaken) for each in Fixture(path))
    except DocumentError:
        return False


def test_its_keys_are_those_of_the_reader() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    payment = SCHEMA["properties"]["payments"]["items"]["properties"]
    defs = SCHEMA["$defs"]
    then = defs["then"]["items"]["oneOf"]
    assert set(SCHEMA["properties"]) == set(FIXTURE_KEYS)
    assert set(SCHEMA["properties"]["defaults"]["properties"]) == set(DEFAULT_KEYS)
    assert set(payment) == set(PAYMENT_KEYS)
    assert set(defs["status"]["enum"]) == set(STATUSES)
    assert set(defs["capture_method"]["enum"]) == set(CAPTURE_METHODS)
    assert set(defs["expect"]["oneOf"][1]["properties"]) == set(EXPECT_KEYS)
    assert set(then[0]["enum"]) == set(KEYS)
    for action, keys in KEYS.items():
        assert set(then[1]["properties"][action]["oneOf"][-1]["properties"]) == set(keys)


@pytest.mark.parametrize(
    "text",
    [WHOLE, *(each.read_text() for each in sorted(ROOT.glob("configs/fixtures/*.yaml")))],
)
def test_what_is_read_is_right(tmp_path: Path, text: str) -> None:
    assert is_right(text)
    assert is_read(tmp_path / "f.yaml", text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("payments:", "payment:"),
        ("name: a,", "nam: a,"),
        ("name: a,", "name: 1,"),
        ("MANUAL", "BY_HAND"),
        ("repeat: 2", "repeat: 0"),
        ("{status: FAILED, ", "{state: FAILED, "),
        ("expect: AUTHORIZED", "expect: HELD"),
        ("final: true", "final: maybe"),
        ("then: [refund,", "then: [fly,"),
        ("void: {expect_error: STATE_FORBIDS}", "void: {amount: 1}"),
        ("currency: EUR", "name: x, currency: EUR"),
    ],
)
def test_what_is_wrong_is_wrong_for_both(tmp_path: Path, old: str, new: str) -> None:
    assert old in WHOLE
    text = WHOLE.replace(old, new, 1)
    assert not is_right(text)
    assert not is_read(tmp_path / "f.yaml", text)


@pytest.mark.parametrize(("command", "schema"), [("pay", SCHEMA), ("smoke", SUITE_SCHEMA)])
def test_it_is_printed_for_editors(command: str, schema: object) -> None:
    shown = run_paycli(command, "--schema")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert json.loads(shown.stdout) == schema


def test_the_keys_of_suites_are_those_of_their_reader() -> None:
    Draft202012Validator.check_schema(SUITE_SCHEMA)
    step = SUITE_SCHEMA["$defs"]["step"]["properties"]
    assert set(SUITE_SCHEMA["properties"]) == set(SUITE_KEYS)
    assert set(step) == set(STEP_KEYS)
    assert set(step["retry_until"]["oneOf"][1]["properties"]) == set(RETRY_KEYS)
    assert set(step["expect_stream"]["properties"]) == set(STREAM_KEYS)
    assert set(step["skip_unless"]["properties"]) == set(UNLESS_KEYS)
    of_all = SUITE_SCHEMA["properties"]["skip_unless"]["properties"]
    assert set(of_all) == set(SUITE_UNLESS_KEYS)
    assert set(step["expect_error"]["properties"]) == set(ERROR_KEYS)
    assert set(step["expect_error"]["properties"]["code"]["enum"]) == set(CODES)
    page = (ROOT / "docs/suites.md").read_text()
    for key in (
        *SUITE_KEYS,
        *STEP_KEYS,
        *STREAM_KEYS,
        *UNLESS_KEYS,
        *ERROR_KEYS,
        *VALUE_MATCHERS,
        *LIST_MATCHERS,
    ):
        assert f"`{key}`" in page or f"{{{key}: " in page, key
    for path in sorted(ROOT.glob("configs/smoke/*.yaml")):
        assert Draft202012Validator(SUITE_SCHEMA).is_valid(yaml.safe_load(path.read_text()))


def test_the_page_has_every_key() -> None:
    page = (ROOT / "docs/fixtures.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for key in (*PAYMENT_KEYS, *KEYS):
        assert any(line.startswith(f"| `{key}` |") for line in rows), key
