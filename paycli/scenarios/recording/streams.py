"""What a suite expects of a stream that was seen, and what it saves of answers."""

from __future__ import annotations

from functools import partial
from typing import Final

from paycli.scenarios.recording import forms
from paycli.scenarios.recording.answers import Answered
from paycli.scenarios.recording.known import Known, is_telling
from paycli.scenarios.recording.places import Place, place_of
from paycli.scenarios.recording.requests import Unsayable, texts
from paycli.scenarios.recording.seen import Data, Seen

COMMENT: Final = "#"
"""The key of a step under which stands what is said above it."""
_NAMELESS: Final = ("id", "name")  # what such a field holds is told by its message


def expect_stream(
    step: Data, seen: Seen, known: Known, now_s: float, *, is_about_this_run: bool
) -> None:
    """Add to a step what must come. Raises Unsayable for a stream of which nothing comes again."""
    messages = seen.responses or ()
    then = {"then": "cancel"} if seen.is_cancelled else {}
    if not is_about_this_run and any(_is_new(each, known) for each in messages):
        # What else is in the store comes between: of others at this server, of nobody at a fresh one.
        ours = sum(_is_ours(each, known) for each in messages)
        if seen.is_cancelled and not ours:
            raise Unsayable("its messages are of no call before it")
        step["expect_stream"] = {"count": ours if seen.is_cancelled else {"gte": ours}, **then}
        return
    is_whole = len(messages) == seen.count
    said = []
    for number, each in enumerate(messages, 1):
        # Later steps know the last message alone.
        is_last = is_whole and number == seen.count
        save = partial(save_field, step, known) if is_last else None
        answered = Answered(
            each, seen.method, known, save, now_s, is_about_this_run=is_about_this_run
        )
        said.append(answered.expect)
    listed = {"messages": said} if any(said) else {}
    step["expect_stream"] = {"count": seen.count, **listed, **then}
    if not is_whole:
        step[COMMENT] = f"cut: of {seen.count:,} messages the first {len(messages)} are here"


def _is_new(message: Data, known: Known) -> bool:
    """Whether something in it is another one each time, or of a call before."""
    return any(
        forms.is_new(text) or forms.is_new_by_name(of) or known.parts(text, place_of(of)) != [text]
        for text, of, _ in texts(message)
        if text
    )


def _is_ours(message: Data, known: Known) -> bool:
    found = (text for text, _, _ in texts(message) if is_telling(text))
    return any(known.is_brought(part) for text in found for part in (text, *text.split("/")))


def save_field(step: Data, known: Known, at: Place) -> str:
    """Let a step save a field of its response; what stands for it later."""
    name = known.name(at.thing.kind if at.of in _NAMELESS else at.of)
    step.setdefault("save", {})[name] = at.path
    return f"${{{name}}}"
