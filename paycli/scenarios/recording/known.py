"""Values that a suite does not write down but refers to: keys of its own, answers, secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from paycli.placeholders import UUID
from paycli.scenarios.recording.forms import goes_on_after, has_id, is_handle, is_key, stem

_TAKEN: Final = ("n", "uuid", "steps", "env")  # by placeholders
_OF_SYSTEM: Final = ("HOME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TERM", "TMPDIR", "USER")
_PIECES: Final = re.compile("[0-9A-Za-z]+|[^0-9A-Za-z]")
_PIECES_MAX: Final = 100
_TELLING: Final = 8  # characters; what is shorter may mean something else where it stands again
_SECRET_MIN: Final = 6


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value comes from; `refer` is `${…}`, and takes what is needed for it into the suite."""

    refer: Callable[[], str]
    is_telling: bool  # not the same by chance
    fits_pattern: bool = False  # stands for itself in a regular expression
    is_new: bool = True  # in each run: what is asked about it is about this run alone


@dataclass(slots=True)
class Known:
    """All of a suite. `variables` and `environment` are what is referred to: their values, and what for.

    What is not masked, and stood there as a variable, is for "".
    """

    keys: set[str] = field(default_factory=set)
    """Those by which a service was made to know something."""
    secrets: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    """What requests say as it stands."""
    variables: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    _names: set[str] = field(default_factory=lambda: set(_TAKEN))
    _of_environment: set[str] = field(default_factory=lambda: set(_OF_SYSTEM))
    _numbers: dict[str, int] = field(default_factory=dict)
    _sources: dict[str, Source] = field(default_factory=dict)

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

    def answered(self, value: str, refer: Callable[[], str], *, is_new: bool) -> None:
        """A value that a response brought, unless it is known."""
        if value not in self._sources:
            self._sources[value] = Source(
                refer, is_telling(value), fits_pattern=True, is_new=is_new
            )

    def key(self, value: str, of: str) -> Source:
        """A variable for a key that stood in this field."""
        if value not in self._sources:
            name = self.name(of)
            before = "" if any(each in value for each in self.secrets if each) else stem(value)
            self.variables[name] = before + UUID
            refer = f"${{{name}}}"
            is_plain = re.fullmatch("[A-Za-z0-9_-]*", before) is not None
            self._sources[value] = Source(lambda: refer, is_telling(value), fits_pattern=is_plain)
        return self._sources[value]

    def secret(self, value: str, of: str) -> Source:
        """A variable of the environment for a secret that stood in this field."""
        source = self._sources.get(value)
        if source is None:
            wanted = re.sub("[^0-9A-Z]+", "_", of.upper()).strip("_") or "SECRET"
            name = self._unlike(wanted, self._of_environment)
            self.environment[name] = of
            refer = f"${{env:{name}}}"
            source = Source(lambda: refer, is_telling=len(value) >= _SECRET_MIN, is_new=False)
            self._sources[value] = source
        return source

    def variable(self, name: str) -> None:
        """A variable of the environment that requests refer to."""
        self.environment[name] = ""
        self._of_environment.add(name)

    def source(self, text: str, of: str) -> Source | None:
        """What the whole text of a field comes from, if that is known."""
        source = self._sources.get(text)
        is_meant = source is not None and (
            source.is_telling or is_key(of) or is_handle(of) or goes_on_after(of)
        )
        return source if is_meant else None

    def is_brought(self, value: str) -> bool:
        """Whether it comes from this run, by a response or as a key of it."""
        source = self._sources.get(value)
        return source is not None and source.is_new

    def parts(self, text: str, of: str) -> list[str | Source]:
        """A text of a field, taken apart into what is known and what stands between."""
        source = self.source(text, of)
        if source is not None:
            return [source]
        found: list[str | Source] = []
        for part in self._known_within(text):
            found += [part] if isinstance(part, Source) else self._masked(part, of)
        return found

    def _known_within(self, text: str) -> Iterator[str | Source]:
        pieces = _PIECES.findall(text)
        if len(pieces) > _PIECES_MAX:
            yield text
            return
        start, rest = 0, ""
        while start < len(pieces):
            for end in range(len(pieces), start, -1):
                source = self._sources.get("".join(pieces[start:end]))
                if source is not None and source.is_telling:
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
        within = [each for each in self.secrets if len(each) >= _SECRET_MIN and each in text]
        if not within:
            yield text
            return
        longest = max(within, key=len)
        before, _, after = text.partition(longest)
        yield from self._masked(before, of) if before else ()
        yield self.secret(longest, of)
        yield from self._masked(after, of) if after else ()


def is_telling(value: str) -> bool:
    """Whether a value that stands somewhere else, too, is hardly there by chance."""
    return has_id(value) or (len(value) >= _TELLING and any(map(str.isdigit, value)))
