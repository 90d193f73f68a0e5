"""`// buf:lint:ignore RULE`: one place excused, by a comment above it or above what it stands in."""

from __future__ import annotations

from typing import Final

from paycli.toolchain.protos.places import Place

MARK: Final = "buf:lint:ignore"


def is_excused(place: Place, rule_id: str) -> bool:
    """Whether a comment excuses the place from the rule."""
    around = (place.file.location(place.path[:end]) for end in range(1, len(place.path) + 1))
    return any(
        line.strip().startswith(f"{MARK} {rule_id}")
        for location in around
        if location is not None
        for line in location.leading_comments.split("\n")
    )
