"""What the spelling of a host says of where it is. Names are never looked up."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ipaddress

LOCALHOST: Final = "localhost"


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, an IPv4 one also when IPv6 is wrapped around it; None for a name."""
    import ipaddress  # start-up time: nearly all hosts are the name of the loopback

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _short_address(host)
    # Python 3.13 looks inside ::ffff:127.0.0.1 by itself.
    return getattr(address, "ipv4_mapped", None) or address


def is_localhost(host: str) -> bool:
    """Whether the host is a name of the loopback (RFC 6761)."""
    name = host.lower().removesuffix(".")
    return name == LOCALHOST or name.endswith(f".{LOCALHOST}")


def is_loopback(host: str) -> bool:
    """Whether the host is the loopback: whoever listens there is reached by this machine alone."""
    if is_localhost(host):
        return True
    address = address_of(host)
    return address is not None and address.is_loopback


def is_here(host: str) -> bool:
    """Whether a call to the host stays on this machine: loopback, or what leads there (0.0.0.0)."""
    address = address_of(host)
    return is_loopback(host) or (address is not None and address.is_unspecified)


def _short_address(host: str) -> ipaddress.IPv4Address | None:
    """Spellings that only the system knows, such as 127.1."""
    import ipaddress

    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None
