"""Results to stdout, prose and progress to stderr: as text, or as JSON for machines."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, TextIO

from paycli.errors import CheckFailed, InputError, PaycliError, Retry

_STDOUT: Final = 1
_BAR_WIDTH: Final = 30
# What a terminal obeys instead of showing it: controls, and the directions that reorder a line.
_OBEYED: Final = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"


class _Cursor:
    """Whether it stands in a line that is still to end, and whether a signal has come."""

    in_line = False
    after_signal = False


class Stdout(io.TextIOWrapper):
    """Stdout for whoever writes to it. Raises BrokenPipeError, or CheckFailed when it is full."""

    def write(self, text: str) -> int:
        """As any stream does."""
        with _said_in_a_sentence():
            return super().write(text)

    def flush(self) -> None:
        """As any stream does."""
        with _said_in_a_sentence():
            super().flush()


@contextmanager
def _said_in_a_sentence() -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        # What could not be written is tried again at the interpreter's end, which would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(problem, BrokenPipeError):
            raise
        raise CheckFailed(f"Cannot write the result: {problem.strerror}.") from problem


def result(text: str, *, alarms: bool = False) -> None:
    """Print the command's result, which is on its way when this returns.

    The first word of what alarms is red where a person sees colours.
    """
    shown = _shown(text)
    print(_red(shown, sys.stdout) if alarms else shown, flush=True)  # noqa: T201 - the one place that prints


def document(value: Mapping[str, Any]) -> None:
    """Print one JSON document on one line."""
    result(_json(value))


def written(text: str) -> None:
    """Print JSON, or protobuf's text format, so that it stays that and steers no terminal."""
    result(_escaped(text))


def refuse_closed_stdout() -> None:
    """Raises CheckFailed where nobody would have the result, and it is all that there is.

    What the caller closed is the null device by now, under another number.
    """
    if sys.stdout.fileno() != _STDOUT:
        raise CheckFailed("Cannot write the result: stdout is closed. Name a file with --out.")


def refuse_binary_on_terminal() -> None:
    """Raises InputError where a person would see the bytes."""
    if sys.stdout.isatty():
        raise InputError(
            "Binary is not for a terminal; write it to a file with > FILE, or --to json."
        )


def binary(content: bytes) -> None:
    """Write the command's result as it is."""
    with _said_in_a_sentence():
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def counted(count: int, what: str) -> str:
    """So many of them, in words: 1 payment, 2 payments."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def progress(text: str, *, alarms: bool = False) -> None:
    """Tell a person what is going on, apart from the result; no matter whether anyone is there.

    What is an `Error:`, or alarms otherwise, begins in red.
    """
    shown = _shown(text)
    if alarms or text.startswith("Error: "):
        shown = _red(shown, sys.stderr)
    with suppress(OSError):
        print(shown, file=sys.stderr, flush=True)  # noqa: T201 - the one place that prints


@contextmanager
def live_line() -> Iterator[Callable[[str], None]]:
    """A line on a terminal that is written over and over, nothing in a pipe; call it with what it says."""
    width = 0

    def draw(text: str) -> None:
        nonlocal width
        if not sys.stderr.isatty():
            return
        room = os.get_terminal_size(sys.stderr.fileno()).columns
        shown = _shown(text)[: room - 1] if room else _shown(text)
        signalled = _Cursor.after_signal
        with suppress(OSError):  # a terminal that is gone stops nothing
            print(f"\r{shown:{width}}", end="", file=sys.stderr, flush=True)  # noqa: T201 - the one place that prints
        width = len(shown)
        # A signal that came meanwhile has ended the line.
        _Cursor.in_line = signalled == _Cursor.after_signal

    try:
        yield draw
    finally:
        if _Cursor.in_line:
            _Cursor.in_line = False
            progress("")


def after_signal(*, is_shown: bool) -> None:
    """End the line in which the terminal shows ^C, for the first signal; also from its handler."""
    if _Cursor.after_signal or not is_shown:
        _Cursor.after_signal = True
        return
    _Cursor.after_signal, _Cursor.in_line = True, False
    for each in (sys.stderr, sys.stdout):
        if each.isatty():
            with suppress(OSError):  # print is not to be entered again where it was interrupted
                os.write(each.fileno(), b"\n")
            return


def bar_of(share: float) -> str:
    """How much is done, as a bar and in percent."""
    return f"{'#' * round(share * _BAR_WIDTH):-<{_BAR_WIDTH}} {share:4.0%}"


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing in a pipe; call it with how much is done and of how much."""
    with progress_bars() as bar:
        yield bar(what)


@contextmanager
def progress_bars() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """One after the other in the same line: call it with what the next one counts."""
    with live_line() as draw:

        def bar(what: str) -> Callable[[int, int], None]:
            def show(done: int, of_all: int) -> None:
                draw(f"{bar_of(done / of_all if of_all else 1.0)} {done:,} of {of_all:,} {what}")

            return show

        yield bar


def error(problem: PaycliError, *, as_json: bool) -> None:
    """Say what went wrong: one sentence and what to type, or one JSON object."""
    if as_json:
        progress(_json({"error": problem.as_dict()}))
    else:
        is_open = problem.retry is Retry.UNKNOWN and problem.command
        command = f" To learn the outcome: {problem.command}" if is_open else ""
        again = f" To send the same again: {problem.again}" if problem.again else ""
        progress(f"Error: {problem}{command}{again}")


def _red(text: str, stream: TextIO) -> str:
    """The first word in red, if the stream shows colours and nobody asked for none (no-color.org)."""
    if (
        os.environ.get("NO_COLOR")
        or os.environ.get("TERM", "dumb") == "dumb"
        or not stream.isatty()
    ):
        return text
    word, space, rest = text.partition(" ")
    return f"\x1b[31m{word}\x1b[0m{space}{rest}"


def one_line(text: str) -> str:
    """Text of somebody else on a line of ours: it cannot look like the next line."""
    return text.replace("\n", "\\n")


def _shown(text: str) -> str:
    """The text as it is safe to show: whoever sent it does not steer the terminal."""
    if text.isprintable():  # start-up time: a pattern that is not needed is not compiled
        return text
    return re.sub(_OBEYED, lambda found: ascii(found[0])[1:-1], text)


def _json(value: Mapping[str, Any]) -> str:
    import json

    return _escaped(json.dumps(value, ensure_ascii=False))


def _escaped(written: str) -> str:
    return re.sub(_OBEYED, lambda found: f"\\u{ord(found[0]):04x}", written)
