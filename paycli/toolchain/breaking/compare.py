"""Find every promise of the old schema that the new one breaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, TypeVar

from paycli.toolchain.breaking.rules import (
    ENUMS,
    FIELDS,
    FILES,
    MESSAGES,
    METHODS,
    SCHEMAS,
    SERVICES,
)
from paycli.toolchain.protos.descriptors import Element, Field, ProtoFile
from paycli.toolchain.protos.schema import Schema
from paycli.toolchain.rules.rule import Complaint, Rules

Key = TypeVar("Key")
Thing = TypeVar("Thing", bound=ProtoFile | Element[Any])
Old = TypeVar("Old", bound=ProtoFile | Element[Any])
New = TypeVar("New")


class Breakage(NamedTuple):
    """A broken rule, and the old file whose promise it was."""

    rule: str
    former: ProtoFile
    complaint: Complaint


def find_breakages(old: Schema, new: Schema, chosen: AbstractSet[str]) -> Iterator[Breakage]:
    """What `new` breaks of `old`, by the chosen rules; in no order."""
    same = _same_files(old, new)
    message_pairs = list(_pairs(old.messages, new.messages, same))
    service_pairs = list(_pairs(old.services, new.services, same))
    yield from _run(SCHEMAS, chosen, ((file, new) for file in old.files.values()))
    yield from _run(FILES, chosen, _pairs(old.files, new.files, same))
    yield from _run(MESSAGES, chosen, message_pairs)
    for before, after in message_pairs:
        yield from _run(FIELDS, chosen, _pairs(before.fields_by_number, after.fields_by_number))
    extensions = _pairs(_by_number(old.extensions), _by_number(new.extensions), same)
    yield from _run(FIELDS, chosen, extensions)
    yield from _run(ENUMS, chosen, _pairs(old.enums, new.enums, same))
    yield from _run(SERVICES, chosen, service_pairs)
    for earlier, later in service_pairs:
        yield from _run(METHODS, chosen, _pairs(earlier.methods, later.methods))


def _same_files(old: Schema, new: Schema) -> AbstractSet[str]:
    """Files that say what they said, and so do all that they import: nothing in them can break."""
    same: set[str] = set()
    for name, file in new.everything.items():  # each after its imports
        former = old.everything.get(name)
        unchanged = former is not None and former.proto == file.proto
        if unchanged and same.issuperset(file.proto.dependency):
            same.add(name)
    return same


def _run(
    rules: Rules[[Old, New]], chosen: AbstractSet[str], pairs: Iterable[tuple[Old, New]]
) -> Iterator[Breakage]:
    among = rules.among(chosen)
    for old, new in pairs:
        for rule in among:
            for complaint in rule.check(old, new):
                yield Breakage(rule.id, old.file, complaint)


def _by_number(extensions: Mapping[str, Field]) -> Mapping[tuple[str, int], Field]:
    return {(each.proto.extendee, each.number): each for each in extensions.values()}


def _pairs(
    old: Mapping[Key, Thing], new: Mapping[Key, Thing], same: AbstractSet[str] = frozenset()
) -> Iterator[tuple[Thing, Thing]]:
    """What is in both under one key, without what stands in a file that is the same."""
    for key, before in old.items():
        after = new.get(key)
        if after is not None and before.file.name not in same:
            yield before, after
