"""Values that a suite does not write down but refers to: keys of its own, answers, secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from paycli.placeholders import UUID
from paycli.scenarios.recording.forms import has_id, is_key, stem
from paycli.scenarios.recording.places import Place, Thing

_TAKEN: Final = ("n", "uuid", "steps", "env")  # by placeholders
_OF_SYSTEM: Final = ("HOME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TERM", "TMPDIR", "USER")
_PIECES: Final = re.compile("[0-9A-Za-z]+|[^0-9A-Za-z]")
_PIECES_MAX: Final = 100
_TELLING: Final = 8  # characters; what is shorter may mean something else where it stands again
_SECRET_MIN: Final = 6
_WORD_MIN: Final = 4
_THING_MIN: Final = 3
_MIXED: Final = re.compile("(?=.*[A-Za-z])(?=.*[0-9]).{4,}")  # as of an id, which it is
_OWN: Final = re.compile("(?=.*[A-Za-z])(?=.*[^A-Za-z]).{3,}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value comes from; `refer` is `${…}`, and takes what is needed for it into the suite."""

    refer: Callable[[], str]
    thing: Thing
    is_telling: bool  # not the same by chance, wherever it stands
    fits_pattern: bool = False  # stands for itself in a regular expression
    is_new: bool = True  # in each run: what is asked about it is about this run alone
    is_key: bool = False
    is_secret: bool = False


@dataclass(slots=True)
class Known:
    """All of a suite. `variables` and `environment` are what is referred to: their values, and what for.

    What is not masked, and stood there as a variable, is for "".
    """

    keys: set[str] = field(default_factory=set)
    """Those by which a service was made to know something."""
    secrets: set[str] = field(default_factory=set)
    things: set[str] = field(default_factory=set)
    """What calls were about so far."""
    variables: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    _by_end: dict[str, set[str]] = field(default_factory=dict)  # secrets, but for short ones
    _short: set[str] = field(default_factory=set)
    _names: set[str] = field(default_factory=lambda: set(_TAKEN))
    _of_environment: set[str] = field(default_factory=lambda: set(_OF_SYSTEM))
    _numbers: dict[str, int] = field(default_factory=dict)
    _sources: dict[str, list[Source]] = field(default_factory=dict)
    _written: dict[str, set[Thing]] = field(default_factory=dict)

    def name(self, wanted: str) -> str:
        """A name that nothing else has, for what is saved or a variable."""
        plain = re.sub("[^0-9A-Za-z_]", "_", wanted).lstrip("0123456789_") or "value"
        return self._unlike(plain, self._names)

    def _unlike(self, wanted: str, names: set[str]) -> str:
        """The name itself, or with the first number that makes it another one; noted among them."""
        name = wanted
        while name in names:
            self._numbers[wanted] = self._numbers.get(wanted, 1) + 1
            name = f"{wanted}_{self._numbers[wanted]}"
        names.add(name)
        return name

    def answered(self, value: str, at: Place, refer: Callable[[], str], *, is_new: bool) -> None:
        """A value that a response brought, unless it is known."""
        if self.source(value, at) is None:
            is_sure = is_telling(value) or at.is_name(value) or _MIXED.fullmatch(value) is not None
            is_telling_here = len(value) >= _SECRET_MIN if at.hides else is_sure
            # Whoever logs in is there before the run.
            is_new = is_new and not at.hides
            self._add(
                value,
                Source(refer, at.thing, is_telling_here, True, is_new, is_secret=at.hides),
            )

    def wrote(self, value: str, at: Place) -> None:
        """A value that a request says as it stands."""
        self._written.setdefault(value, set()).add(at.thing)

    def is_written(self, value: str, at: Place) -> bool:
        """Whether a request says it as it stands, and means what stands in this place."""
        things = self._written.get(value)
        if things is None:
            return False
        is_sure = is_telling(value) or not value.isdigit()
        return is_sure or at.thing.latest(list(things)) is not None

    def lost(self, value: str, at: Place, refer: Callable[[], str]) -> None:
        """A value of a call that is left out; `refer` raises what is wrong with whatever needs it."""
        found = self._sources.get(value, ())
        kept = [each for each in found if not each.is_key or each.thing != at.thing]
        self._sources[value] = [*kept, Source(refer, at.thing, _is_own(value), is_new=False)]

    def knows(self, value: str) -> bool:
        """Whether it is referred to, wherever it comes from."""
        return value in self._sources

    def _add(self, value: str, source: Source) -> Source:
        self._sources.setdefault(value, []).append(source)
        self.things |= {each for each in source.thing[:2] if len(each) >= _THING_MIN}
        return source

    def variable(self, name: str) -> None:
        """A variable of the environment that requests refer to."""
        self.environment[name] = ""
        self._of_environment.add(name)

    def hides_within(self, text: str) -> bool:
        """Whether a secret stands in it that no request has sent so far: it is the service's own."""
        return any(each not in self._sources for each in self._secrets_within(text))

    def hide(self, value: str) -> None:
        """A value that is to be written nowhere."""
        self.secrets.add(value)
        if len(value) >= _SECRET_MIN:
            self._by_end.setdefault(value[-_SECRET_MIN:], set()).add(value)
        elif value:
            self._short.add(value)

    def _secrets_within(self, text: str) -> list[str]:
        """Those that are too long to stand there by chance; there may be as many as calls."""
        if not self._by_end:
            return []
        ends = {text[n : n + _SECRET_MIN] for n in range(len(text) - _SECRET_MIN + 1)}
        found = (each for end in ends for each in self._by_end.get(end, ()))
        return [each for each in found if each in text]

    def key(self, value: str, at: Place) -> Source:
        """A variable for a key that stood in this place."""
        name = self.name(at.of)
        hides = self._secrets_within(value) or any(each in value for each in self._short)
        before = "" if hides else stem(value)
        self.variables[name] = before + UUID
        refer = f"${{{name}}}"
        is_plain = re.fullmatch("[A-Za-z0-9_-]*", before) is not None
        return self._add(
            value, Source(lambda: refer, at.thing, _is_own(value), is_plain, is_key=True)
        )

    def secret(self, value: str, of: str) -> Source:
        """What a secret comes from; a variable of the environment, if no answer brought it."""
        for each in self._sources.get(value, ()):
            if each.is_secret or each.is_telling:
                return each
        wanted = re.sub("[^0-9A-Z]+", "_", of.upper()).strip("_") or "SECRET"
        name = self._unlike(wanted, self._of_environment)
        self.environment[name] = of
        refer = f"${{env:{name}}}"
        is_telling_here = len(value) >= _SECRET_MIN
        source = Source(lambda: refer, Thing(), is_telling_here, is_new=False, is_secret=True)
        return self._add(value, source)

    def source(self, text: str, at: Place) -> Source | None:
        """What the whole text of a place comes from, if that is known."""
        found = self._sources.get(text, [])
        if (telling := next((e for e in found if e.is_telling), None)) is not None:
            return telling
        if (named := self.by_name(text, at)) is not None:
            return named
        return next((e for e in found if e.is_key and is_key(at.of)), None)

    def by_name(self, text: str, at: Place) -> Source | None:
        """The same, if the names of both say that it is the same thing."""
        found = self._sources.get(text, [])
        place = at.thing.latest([each.thing for each in found])
        return found[place] if place is not None else None

    def echo(self, text: str) -> Source | None:
        """What the whole text of an answer comes from, if it is a key that means nothing else."""
        is_word = len(text) >= _WORD_MIN and not text.isdigit() and text not in self._written
        found = self._sources.get(text, ()) if is_word else ()
        return next((each for each in found if each.is_key), None)

    def is_brought(self, value: str) -> bool:
        """Whether it comes from this run, by a response or as a key of it."""
        return any(each.is_new for each in self._sources.get(value, ()))

    def parts(self, text: str, at: Place) -> list[str | Source]:
        """A text of a place, taken apart into what is known and what stands between."""
        source = self.source(text, at)
        if source is not None:
            return [source]
        found: list[str | Source] = []
        for part in self._known_within(text):
            found += [part] if isinstance(part, Source) else self._masked(part, at.of)
        return found

    def _known_within(self, text: str) -> Iterator[str | Source]:
        pieces = _PIECES.findall(text)
        if len(pieces) > _PIECES_MAX:
            yield text
            return
        start, rest = 0, ""
        while start < len(pieces):
            for end in range(len(pieces), start, -1):
                sources = self._sources.get("".join(pieces[start:end]), ())
                source = next((each for each in sources if each.is_telling), None)
                if source is not None:
                    yield from [rest] if rest else []
                    yield source
                    start, rest = end, ""
                    break
            else:
                rest += pieces[start]
                start += 1
        yield from [rest] if rest else []

    def _masked(self, text: str, of: str) -> Iterator[str | Source]:
        """No secret is written anywhere, wherever it was seen."""
        within = self._secrets_within(text)
        if not within:
            yield text
            return
        longest = max(within, key=len)
        before, _, after = text.partition(longest)
        yield from self._masked(before, of) if before else ()
        yield self.secret(longest, of)
        yield from self._masked(after, of) if after else ()


def _is_own(key: str) -> bool:
    """Whether a key of the run is hardly anything else where it stands again."""
    return is_telling(key) or _OWN.fullmatch(key) is not None


def is_telling(value: str) -> bool:
    """Whether a value that stands somewhere else, too, is hardly there by chance."""
    return has_id(value) or (len(value) >= _TELLING and any(map(str.isdigit, value)))
