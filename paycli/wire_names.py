"""Words on the wire that both sides know: metadata keys, status words, the domain of errors."""

from __future__ import annotations

from typing import Final

# Errors: google.rpc.Status in the trailing metadata, with one ErrorInfo of our domain (AIP-193).
ERROR_DOMAIN: Final = "paycli.dev"
STATUS_DETAILS: Final = "grpc-status-details-bin"

# The seed contract has two status words; what it has no field for travels as metadata.
SUCCESS: Final = "SUCCESS"
FAILED: Final = "FAILED"
IDEMPOTENCY_KEY: Final = "idempotency-key"
DECLINE_REASON: Final = "decline-reason"

# Of an answer that is given again.
REPLAYED: Final = "idempotency-replayed"
TRUE: Final = "true"

# What a caller calls this call, for its logs and the server's.
REQUEST_ID: Final = "x-request-id"

# When a refused call may be tried again, for clients that retry by themselves (gRFC A6).
RETRY_PUSHBACK: Final = "grpc-retry-pushback-ms"
