"""Who reads findings; apart from their rendering, since every start of the CLI loads it."""

from __future__ import annotations

from enum import StrEnum


class Format(StrEnum):
    """People, programs, CI systems, GitHub's annotations."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    GITHUB = "github"
