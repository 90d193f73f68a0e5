"""Who reads findings; apart from their rendering, which a `--help` does without."""

from __future__ import annotations

from enum import StrEnum


class Format(StrEnum):
    """People, programs, CI systems, GitHub's annotations."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    GITHUB = "github"
