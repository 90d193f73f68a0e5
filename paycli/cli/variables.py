"""The environment variables that are settings, and names that are almost one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

PREFIX: Final = "PAYCLI_"

# Without the prefix. To ask the commands for theirs would load all of them.
_NAMES: Final = """
    ALLOW_UNPROTECTED AUTHORIZATION_TTL CA CERT CHANNELZ CHAOS CLIENT_CA CONFIG DRAIN_TIMEOUT HOST KEY
    LOG_CALLS LOG_FORMAT MAX_CALLS MAX_CONNECTIONS MAX_CONNECTION_AGE MAX_CONNECTION_IDLE
    MAX_PEER_CONNECTIONS METRICS_HOST METRICS_PORT PLAINTEXT PORT PORT_FILE PROCESSOR_TIMEOUT PROFILE
    SERVER_NAME SERVICERS SMOKE_TARGET STORE TARGET THREADS TIMEOUT TLS_CERT TLS_KEY TOKEN TOKENS
    TRANSPORT WAIT_TIMEOUT WORKERS
"""
NAMES: Final = frozenset(_NAMES.split())

# PAYCLI_VERSION may well be somebody's own; PAYCLI_TRAGET is nobody's.
_ALIKE: Final = 0.75
_OF_TESTS: Final = "TEST_"


def misspelt(environment: Iterable[str]) -> Iterator[str]:
    """What to say of each variable that is almost a setting, and has no effect."""
    for variable in sorted(environment):
        name = variable.removeprefix(PREFIX)
        is_ours = variable.startswith(PREFIX) and not name.startswith(_OF_TESTS)
        if is_ours and name not in NAMES:
            import difflib  # start-up time: most environments have none

            if meant := difflib.get_close_matches(name.upper(), NAMES, 1, _ALIKE):
                yield f"Warning: {variable} has no effect; did you mean {PREFIX}{meant[0]}?"
