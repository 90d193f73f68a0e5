"""Each test of this folder runs on each transport; here is what one of them cannot do."""

from __future__ import annotations

import pytest

from tests.transports import MAKE_SERVER

# By test. All are told in docs/transports.md; one that is done after all must leave the table.
LACKS = {
    "native": {
        "test_the_caller_of_a_method_whose_requests_stream_is_known": (
            "such methods are behind a Unix socket, which is all that they see"
        ),
        "test_requests_may_be_compressed_as_few_do": "it knows gzip alone",
        "test_what_a_caller_shall_wait_is_told_to_its_retries": "the wheel keeps grpc-… to itself",
        "test_too_much_metadata_is_refused_as_what_it_is": "clients see HTTP's 431, which is UNKNOWN",
        "test_a_flood_of_pings_ends_its_connection": "the wheel counts no pings",
        "test_who_says_nothing_is_let_go": "after two minutes only",
        "test_a_request_that_is_too_large_is_not_kept": "it is weighed once it is there",
        "test_clients_are_told_to_go_elsewhere": "it says so at the end of the drain, and refuses calls until then",
    }
}


@pytest.fixture(params=MAKE_SERVER)
def transport(request: pytest.FixtureRequest) -> str:
    """The name of one; where it is known to lack what a test is about, the test must fail."""
    name: str = request.param
    reason = LACKS.get(name, {}).get(request.node.originalname)
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    return name
