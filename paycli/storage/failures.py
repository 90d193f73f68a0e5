"""How a store breaks; what its callers are told of it is the group commit's to say."""

from __future__ import annotations


class CommitFailed(Exception):
    """The store broke during a commit: nobody knows whether the batch is on disk."""
