"""YAML that people write, read with positions: every complaint says file:line.

Scalars stay text until a field asks for a type, so an amount keeps the digits that were typed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml

from paycli.errors import DocumentError

MAX_BYTES = 16 * 1024 * 1024
_MAX_DEPTH = 32
_MAX_NODES = 2_000_000
_LISTED_MAX = 40
_SHOWN_MAX = 60

_TOO_DEEP = "nested too deeply to be meant"
_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"
_UNKNOWN = "unknown key '{key}' in {what}"
_Parsed = TypeVar("_Parsed")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # either of two
    """Ends where nesting is too deep to be meant: the one in C would overrun the stack."""

    _depth = 0

    def descend_resolver(self, current_node: yaml.Node | None, _index: object) -> None:
        """Before each node."""
        self._depth += 1
        if current_node is not None and self._depth > _MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=_TOO_DEEP, problem_mark=current_node.start_mark)

    def ascend_resolver(self) -> None:
        """After each node."""
        self._depth -= 1


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a document and where it stands."""

    path: Path
    raw: yaml.Node

    @property
    def line(self) -> int:
        """Line of the value, from 1."""
        return int(self.raw.start_mark.line) + 1

    @property
    def column(self) -> int:
        """Column of the value, from 1."""
        return int(self.raw.start_mark.column) + 1

    @property
    def is_null(self) -> bool:
        """True for `~`, `null` and nothing at all."""
        return self.raw.tag == _NULL

    @property
    def is_scalar(self) -> bool:
        """False for a mapping and a list."""
        return isinstance(self.raw, yaml.ScalarNode)

    @property
    def is_list(self) -> bool:
        """True for a list."""
        return isinstance(self.raw, yaml.SequenceNode)

    def error(self, message: str) -> DocumentError:
        """The error that this value is wrong."""
        return DocumentError(self.path, message, self.line, self.column)

    def must_be(self, what: str, wanted: str) -> DocumentError:
        """The error that `what`, which stands here, is something else than wanted."""
        return self.error(f"{what} must be {wanted}, not {self._kind()}.")

    def fields(
        self,
        what: str,
        known: Collection[str] | None = None,
        *,
        also: Collection[str] = (),
        unknown: str = _UNKNOWN,
        mistakes: list[DocumentError] | None = None,
    ) -> dict[str, Node]:
        """The entries of a mapping; unknown keys are errors when `known` is given.

        `also` are keys that are taken but never proposed; `unknown` is how the error begins. Wrong keys
        are left out where there are `mistakes`, to which their errors are added.
        """
        if not isinstance(self.raw, yaml.MappingNode):
            raise self.must_be(what, "a mapping (key: value)")
        entries: dict[str, Node] = {}
        for key_node, value_node in self.raw.value:
            key = Node(self.path, key_node)
            try:
                name = key.entry_name(entries, what, known, also=also, unknown=unknown)
            except DocumentError as problem:
                if mistakes is None:
                    raise
                mistakes.append(problem)
            else:
                entries[name] = Node(self.path, value_node)
        return entries

    def entry_name(
        self,
        entries: dict[str, Node],
        what: str,
        known: Collection[str] | None,
        *,
        also: Collection[str] = (),
        unknown: str = _UNKNOWN,
    ) -> str:
        """The text of this key of a mapping, whose `entries` stand above it; see `fields`."""
        # YAML 1.2 has them no more, and a mistake in one would stand in two lines.
        if self.raw.tag == _MERGE:
            raise self.error(
                "keys are not merged ('<<'); write them out, or name a whole value: *it."
            )
        name = self.text("a key")
        if name in entries:
            raise self.error(f"duplicate key '{name}': it stands above already.")
        if known is not None and name not in known and name not in also:
            before = next(reversed(entries.values()), None)
            raise self.error(
                _decimal_comma(before, name)
                or f"{unknown.format(key=name, what=what)}; {nearest(name, known)}"
            )
        return name

    def items(self, what: str) -> Iterator[Node]:
        """The values of a list."""
        if not isinstance(self.raw, yaml.SequenceNode):
            raise self.must_be(what, "a list (lines with '-')")
        return (Node(self.path, value) for value in self.raw.value)

    def text(self, what: str) -> str:
        """A scalar exactly as written."""
        if not isinstance(self.raw, yaml.ScalarNode) or self.is_null:
            raise self.must_be(what, "a single value")
        return str(self.raw.value)

    def typed(self, *, exact: bool = True) -> object:
        """The value as plain Python data. Numbers with a point stay text: no digit is lost.

        Not `exact`, they are what JSON would make of them.
        """
        if isinstance(self.raw, yaml.MappingNode):
            entries = self.fields("the value").items()
            return {name: value.typed(exact=exact) for name, value in entries}
        if isinstance(self.raw, yaml.SequenceNode):
            return [value.typed(exact=exact) for value in self.items("the value")]
        assert isinstance(self.raw, yaml.ScalarNode)
        return _scalar(self.raw, exact=exact)

    def truth(self, what: str) -> bool:
        """A scalar that is true or false."""
        value = self.typed()
        if not isinstance(value, bool):
            raise self.must_be(what, "true or false")
        return value

    def shown(self) -> str:
        """The value in a few words, for a sentence about it."""
        text = str(self.typed())
        return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"

    def parse(self, what: str, parse: Callable[[str], _Parsed]) -> _Parsed:
        """The scalar through `parse`, whose ValueError becomes an error at this line."""
        written = self.text(what)
        try:
            return parse(written)
        except ValueError as problem:
            raise self.error(f"{what}: {problem}") from problem

    def _kind(self) -> str:
        if isinstance(self.raw, yaml.MappingNode):
            return "a mapping"
        if isinstance(self.raw, yaml.SequenceNode):
            return "a list"
        return "empty" if self.is_null else f"'{self.raw.value}'"


def read(path: Path) -> Node:
    """Read one YAML document; every problem is a DocumentError."""
    found = _composed(path, _read_text(path))
    if not found:
        raise DocumentError(path, "the file is empty.")
    if len(found) > 1:
        raise found[1].error("a second document begins here; a file has one.")
    return found[0]


def read_text(text: str, name: str) -> list[Node]:
    """The YAML, or JSON, documents of a text that somebody typed; `name` is what to call it.

    Raises DocumentError.
    """
    return _composed(Path(name), text)


def typed_text(text: str, name: str) -> Node:
    """A text that somebody typed, as a value; `name` is what to call it."""
    mark = yaml.Mark(name, 0, 0, 0, None, 0)
    return Node(Path(name), yaml.ScalarNode("tag:yaml.org,2002:str", text, mark, mark))


def _composed(path: Path, text: str) -> list[Node]:
    with yaml_mistake(path, text):
        composed = yaml.compose_all(text, Loader=_Loader)
        found = [Node(path, each) for each in composed if each is not None]
    for each in found:
        refuse_bombs(each)
    return found


@contextmanager
def yaml_mistake(path: Path, text: str = "") -> Iterator[None]:
    """What is no YAML in here is a DocumentError; with the text it can say more of it."""
    try:
        yield
    except yaml.MarkedYAMLError as problem:
        raise _syntax_error(path, text, problem) from problem
    except yaml.reader.ReaderError as problem:
        what = "UTF-8 text" if "UTF-8" in problem.reason else "YAML"
        before = text.encode()[: problem.position].decode(errors="replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        at = (line, column) if text else ()
        raise DocumentError(path, f"not {what}: {problem.reason}.", *at) from problem
    except yaml.YAMLError as problem:
        raise DocumentError(path, f"not YAML: {' '.join(str(problem).split())}.") from problem
    except RecursionError as problem:
        raise DocumentError(path, "nested too deeply to be meant.") from problem


def _scalar(raw: yaml.ScalarNode, *, exact: bool) -> object:
    match raw.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return raw.value.lower() in ("true", "yes", "on")
        case "int":
            try:
                return int(raw.value.replace("_", ""), 0)
            except ValueError:
                return raw.value
        case "float" if not exact:
            try:
                return float(raw.value.replace("_", ""))
            except ValueError:
                return raw.value
        case _:
            return raw.value


def _read_text(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as problem:
        raise DocumentError(path, f"not UTF-8 text: {problem.reason}.") from problem


def read_bytes(path: Path) -> bytes:
    """All of a file that has no more than MAX_BYTES. Raises DocumentError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)  # whatever it says of its size: /dev/zero says none
    except FileNotFoundError as problem:
        raise DocumentError(path, "no such file.") from problem
    except IsADirectoryError as problem:
        raise DocumentError(path, "is a directory; name a YAML file.") from problem
    except OSError as problem:
        raise DocumentError(path, f"cannot be read: {problem.strerror}.") from problem
    if len(content) > MAX_BYTES:
        limit = MAX_BYTES // 1024 // 1024
        raise DocumentError(path, f"more than the {limit} MiB a YAML file may have; split it.")
    return content


def _syntax_error(path: Path, text: str, problem: yaml.MarkedYAMLError) -> DocumentError:
    mark = problem.problem_mark or problem.context_mark
    if mark is None:
        return DocumentError(path, f"not YAML: {problem.problem}.")
    lines = text.splitlines()
    written = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        message = "a tab indents this line; YAML takes spaces only."
    else:
        message = f"not YAML: {problem.problem}."
    return DocumentError(path, message, mark.line + 1, mark.column + 1)


def refuse_bombs(root: Node) -> None:
    """Refuse aliases that multiply into more than a person can mean, and bottomless nesting."""
    seen = 0
    stack = [(root.raw, 1)]
    while stack:
        node, depth = stack.pop()
        seen += 1
        if depth > _MAX_DEPTH or seen > _MAX_NODES:
            what = "nested too deeply" if depth > _MAX_DEPTH else "too many values (aliases?)"
            raise Node(root.path, node).error(f"{what} to be meant.")
        if isinstance(node, yaml.MappingNode):
            for pair in node.value:
                stack.extend((child, depth + 1) for child in pair)
        elif isinstance(node, yaml.SequenceNode):
            stack.extend((child, depth + 1) for child in node.value)


def _decimal_comma(before: Node | None, key: str) -> str:
    """What to say of `{amount: 12,50}`, which YAML reads as two entries; "" for anything else."""
    written = before.raw.value if before is not None else None
    if not (key.isdecimal() and isinstance(written, str) and written.isdecimal()):
        return ""
    return f"'{written},{key}' is cut in two by its comma; write {written}.{key}."


def nearest(name: str, known: Collection[str]) -> str:
    """A hint for a name that is not known: the one that was meant, or all there are."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    more = len(known) - _LISTED_MAX
    return f"known are {', '.join(sorted(known)[:_LISTED_MAX])}{f' and {more:,} more' if more > 0 else ''}."
