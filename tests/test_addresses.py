"""Where a host is, by its spelling alone."""

from __future__ import annotations

import pytest

from paycli.addresses import is_here, is_localhost, is_loopback

NAMES = ["localhost", "LOCALHOST", "localhost.", "pay.localhost"]
LOOPBACK = ["127.0.0.1", "127.9.9.9", "127.1", "::1", "::1%lo", "::ffff:127.0.0.1"]
UNSPECIFIED = ["0.0.0.0", "::", "::ffff:0.0.0.0", "0"]
ELSEWHERE = [
    "10.0.0.1",
    "fe80::1",
    "::ffff:10.0.0.1",
    "128.1",
    "127.example.com",
    "",
    "localhost.com",
]


@pytest.mark.parametrize("host", NAMES)
def test_a_name_of_the_loopback_needs_no_looking_up(host: str) -> None:
    assert (is_localhost(host), is_loopback(host), is_here(host)) == (True, True, True)


@pytest.mark.parametrize("host", LOOPBACK)
def test_the_loopback_is_known_in_every_spelling(host: str) -> None:
    assert (is_localhost(host), is_loopback(host), is_here(host)) == (False, True, True)


@pytest.mark.parametrize("host", UNSPECIFIED)
def test_to_call_every_address_stays_here_and_to_listen_on_it_does_not(host: str) -> None:
    assert (is_loopback(host), is_here(host)) == (False, True)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_what_may_be_elsewhere_is_neither(host: str) -> None:
    assert (is_localhost(host), is_loopback(host), is_here(host)) == (False, False, False)
