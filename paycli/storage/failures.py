"""How a commit fails; what its callers are told of it is the group commit's to say."""

from __future__ import annotations


class CommitRefused(Exception):
    """Nothing of the batch was written; the same may succeed soon."""


class CommitLost(Exception):
    """Nobody knows whether the batch is on disk, but the store itself is sound."""


class CommitFailed(Exception):
    """The store broke during a commit: nobody knows whether the batch is on disk."""
