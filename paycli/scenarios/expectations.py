"""Expectations: a response or an error against what a step said must come."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

import grpc

from paycli.client.failures import error_info
from paycli.scenarios.suite import ErrorExpectation

_MATCHES = "matches"


def unmet_in_response(expected: Mapping[str, object], response: Mapping[str, object]) -> list[str]:
    """One sentence for each field that is not as expected."""
    return [
        problem
        for field, wanted in expected.items()
        for problem in _unmet(field, wanted, response.get(field))
    ]


def unmet_in_error(expected: ErrorExpectation, call: grpc.RpcError) -> list[str]:
    """One sentence for each part of the error that is not as expected."""
    info = error_info(call)
    found = {
        "code": (expected.code, call.code().name),
        "reason": (expected.reason, info.reason if info is not None else None),
    }
    problems = [
        f"{part}: expected {wanted}, got {got}"
        for part, (wanted, got) in found.items()
        if wanted is not None and wanted != got
    ]
    if expected.message is not None and not re.search(expected.message, call.details() or ""):
        problems.append(f"message: expected to match '{expected.message}', got '{call.details()}'")
    return problems


def _unmet(field: str, wanted: object, got: object) -> list[str]:
    if isinstance(wanted, Mapping) and set(wanted) == {_MATCHES}:
        pattern = str(wanted[_MATCHES])
        if isinstance(got, str) and re.search(pattern, got):
            return []
        return [f"{field}: expected to match '{pattern}', got {got!r}"]
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        return [
            problem
            for key, value in wanted.items()
            for problem in _unmet(f"{field}.{key}", value, got.get(key))
        ]
    return [] if _equal(wanted, got) else [f"{field}: expected {wanted!r}, got {got!r}"]


def _equal(wanted: object, got: object) -> bool:
    """Numbers by value, however they are spelt: YAML text 99.99 and JSON's int64 strings."""
    if wanted == got:
        return True
    if isinstance(wanted, bool) or isinstance(got, bool):
        return False
    try:
        return Decimal(str(wanted)) == Decimal(str(got))
    except InvalidOperation:
        return False
