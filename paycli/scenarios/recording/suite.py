"""A suite made of calls that were seen."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from paycli.client.schema import path_of
from paycli.scenarios.recording.answers import Answered
from paycli.scenarios.recording.forms import is_key, is_new, only_asks
from paycli.scenarios.recording.known import Known, is_telling
from paycli.scenarios.recording.places import Place, place_of
from paycli.scenarios.recording.requests import Sent, Unsayable, look_through, texts
from paycli.scenarios.recording.seen import Data, LeftOut, Seen
from paycli.scenarios.recording.streams import expect_stream, save_field

_AT_ONCE_MAX = 1000  # calls that may have been under way


@dataclass(frozen=True, slots=True)
class Made:
    """Steps as plain data, with what is left out between them, and what they refer to."""

    steps: Sequence[Data | LeftOut]
    variables: dict[str, str]
    environment: dict[str, str]

    @property
    def count(self) -> int:
        """Of the steps."""
        return len(self.steps) - len(self.left_out)

    @property
    def left_out(self) -> list[LeftOut]:
        """The calls between them."""
        return [each for each in self.steps if isinstance(each, LeftOut)]


def make_suite(entries: Sequence[Seen | LeftOut], now_s: float) -> Made:
    """What makes the same calls again; `now_s` is the time at which they were seen, since 1970."""
    known = Known()
    entries = [_clear(n, each, entries) for n, each in enumerate(entries)]
    for each in entries:
        if (call := _call_of(each)) is not None:
            look_through(call, known)
    counts: Counter[str] = Counter()
    steps: list[Data | LeftOut] = []
    for each in entries:
        new = {text: of for text, of in _keys(each) if not known.knows(text)}
        step = each if isinstance(each, LeftOut) else _step(each, known, counts, now_s)
        if isinstance(step, LeftOut):
            _lose(step, new, known, now_s)
        steps.append(step)
    return _without_unused(steps, known)


def _call_of(entry: Seen | LeftOut) -> Seen | None:
    return entry.call if isinstance(entry, LeftOut) else entry


def _keys(entry: Seen | LeftOut) -> Iterator[tuple[str, str]]:
    call = _call_of(entry)
    for text, of, hides in texts(call.requests) if call is not None else ():
        if text and not hides and is_key(of):
            yield text, of


def _lose(left_out: LeftOut, keys: Mapping[str, str], known: Known, now_s: float) -> None:
    """Nothing that a call made which is left out is there for later ones."""
    call = left_out.call
    if call is None or not call.responses or only_asks(call.method.name):
        return

    def refer(*_: object) -> str:
        raise Unsayable(f"it rests on what {call.method.name} did, which is not recorded")

    for text, of, hides in texts(call.requests):
        if text in keys:
            known.lost(text, place_of(of), refer)
        elif text and not hides:  # was there before
            known.wrote(text, place_of(of))
    for each in call.responses:
        Answered(each, call.method, known, refer, now_s, is_about_this_run=True, is_lost=True)


def _clear(number: int, call: Seen | LeftOut, entries: Sequence[Seen | LeftOut]) -> Seen | LeftOut:
    """The call; but left out, if it was refused for one that was under way, and answered later."""
    if isinstance(call, LeftOut) or call.error is None:
        return call
    about = {text for text, _, _ in texts(call.requests) if is_telling(text)}
    for other in entries[number + 1 : number + 1 + _AT_ONCE_MAX]:
        if (
            isinstance(other, LeftOut)
            or other.error
            or not other.responses
            or other.began >= call.ended
        ):
            continue
        if about & {text for text, _, _ in texts(other.requests)}:
            return LeftOut(path_of(call.method), "it was refused while another call was under way")
    return call


def _without_unused(steps: list[Data | LeftOut], known: Known) -> Made:
    """What is saved for a step that says less in the end, or was left out, is for nobody."""
    used = set(re.findall(r"\$\{([^}]*)\}", json.dumps([e for e in steps if isinstance(e, dict)])))
    for step in steps:
        if isinstance(step, dict) and "save" in step:
            step["save"] = {name: path for name, path in step["save"].items() if name in used}
            if not step["save"]:
                del step["save"]
    variables = {name: each for name, each in known.variables.items() if name in used}
    environment = {n: each for n, each in known.environment.items() if f"env:{n}" in used}
    return Made(steps, variables, environment)


def _step(seen: Seen, known: Known, counts: Counter[str], now_s: float) -> Data | LeftOut:
    counts[seen.method.name] += 1
    try:
        return _said(seen, known, counts[seen.method.name], now_s)
    except Unsayable as unsayable:
        counts[seen.method.name] -= 1
        return LeftOut(path_of(seen.method), str(unsayable), seen.where, seen)


def _said(seen: Seen, known: Known, number: int, now_s: float) -> Data:
    """The step; `number` is which one of its method it is. Raises Unsayable."""
    sent = Sent(seen, known)
    step: Data = {
        "name": f"{seen.method.name} {number}",
        "call": path_of(seen.method),
    }
    if seen.method.client_streaming:
        step["requests"] = sent.requests
    elif sent.requests[0]:
        step["request"] = sent.requests[0]
    if sent.metadata:
        step["metadata"] = sent.metadata
    if seen.error is not None:
        code, reason = seen.error
        is_plain = "${" not in reason and not is_new(reason)
        is_said = reason and is_plain and known.parts(reason, Place("reason")) == [reason]
        step["expect_error"] = {"code": code, **({"reason": reason} if is_said else {})}
    else:
        _expect(step, seen, known, now_s, is_about_this_run=sent.is_about_this_run)
    if seen.within_ms is not None:
        step["within_ms"] = seen.within_ms
    return step


def _expect(step: Data, seen: Seen, known: Known, now_s: float, *, is_about_this_run: bool) -> None:
    """Add to a step what must come, unless it is an error. Raises Unsayable."""
    if seen.responses is not None and seen.method.server_streaming:
        expect_stream(step, seen, known, now_s, is_about_this_run=is_about_this_run)
        return
    save = partial(save_field, step, known)
    for each in seen.responses or ():
        answered = Answered(
            each, seen.method, known, save, now_s, is_about_this_run=is_about_this_run
        )
        if answered.expect:
            step["expect_exactly" if answered.is_whole else "expect"] = answered.expect
