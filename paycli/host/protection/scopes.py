"""What a method does, and so what a token has to allow."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """To look, to change something, to look after the server itself."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
