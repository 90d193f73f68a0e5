"""Temporary files, and what is said where there is no room for them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from paycli.errors import InputError


@contextmanager
def scratch_folder() -> Iterator[str]:
    """A folder that is gone afterwards. Raises InputError when there is no room for it."""
    try:
        with tempfile.TemporaryDirectory(prefix="paycli-") as folder:
            yield folder
    except OSError as problem:  # no folder that takes files, or no space in it
        places = [str(place) for place in (problem.filename, problem.filename2) if place]
        if places and not any(place.startswith(_temporary()) for place in places):
            raise
        raise no_room(problem.strerror or str(problem)) from problem


def _temporary() -> str:
    return tempfile.tempdir or os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - as tempfile has it


def no_room(why: str) -> InputError:
    """What to say where temporary files cannot be written."""
    return InputError(
        f"Cannot write temporary files into {_temporary()}: {why}. Make room, or name another folder with "
        "TMPDIR."
    )
