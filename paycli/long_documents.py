"""YAML with one long list, read as it comes: what is in memory is an item, however long the list is."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import yaml
from yaml.composer import Composer

from paycli.documents import MAX_BYTES, Node, read_bytes, refuse_bombs, yaml_mistake
from paycli.errors import DocumentError

_GZIP: Final = b"\x1f\x8b"
_Fast: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OPENS: Final = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_CLOSES: Final = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


class _Loader(_Fast, Composer):  # type: ignore[misc]  # whichever of the two there is
    """Composes one node after the other; libyaml's own way to compose makes the whole document."""

    def __init__(self, source: _Source) -> None:
        _Fast.__init__(self, source)
        Composer.__init__(self)

    def composed(self) -> yaml.Node:
        """The next node, whole."""
        return cast(yaml.Node, self.compose_node(None, 0))


class _Source:
    """A file that is read by the parser, who keeps what it has not made a node of."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._kept = 0

    def read(self, size: int) -> bytes:
        """Raises DocumentError when a single value is larger than any document may be."""
        data = self._file.read(size)
        self._kept += len(data)
        if self._kept > MAX_BYTES + size:
            limit = MAX_BYTES // 1024 // 1024
            raise DocumentError(
                self._path, f"one value of more than {limit} MiB; that is not meant."
            )
        return data

    def let_go(self) -> None:
        """What was read is made into a node, and counts no more."""
        self._kept = 0


class LongDocument:
    """A mapping with the long list `key` beside short entries; each pass reads the file anew."""

    def __init__(self, path: Path, what: str, known: Collection[str], key: str) -> None:
        """`known` are all its keys, `what` is what to call it. Raises DocumentError."""
        self.path = path
        self._what = what
        self._known = known
        self._key = key
        self._file: BinaryIO | None = None
        # A pipe is there once.
        self._bytes = None if path.is_file() else read_bytes(path)
        self._stamp: tuple[int, ...] | None = None

    @property
    def bytes_read(self) -> int:
        """How far the pass that goes on has come, compressed as the file is."""
        return self._file.tell() if self._file is not None and not self._file.closed else 0

    def head(self) -> dict[str, Node]:
        """The short entries, wherever they stand; of the list, where it begins. Raises DocumentError."""
        entries: dict[str, Node] = {}
        with self._pass() as loader:
            for name in self._keys(loader, entries):
                if name == self._key and loader.check_event(yaml.SequenceStartEvent):
                    entries[name] = self._node(loader.get_event())
                    if loader.check_event(yaml.SequenceEndEvent):
                        raise entries[name].error(f"{name} is empty; list at least one.")
                    # The rest is checked on the way through the list.
                    if entries.keys() == set(self._known):
                        break
                    self._skip(loader)
                else:
                    entries[name] = self._composed(loader)
        return entries

    def items(self) -> Iterator[Node]:
        """The values of the list. Raises DocumentError where the document cannot be read on."""
        entries: dict[str, Node] = {}
        with self._pass() as loader:
            for name in self._keys(loader, entries):
                if name != self._key:
                    entries[name] = self._composed(loader)
                    continue
                entries[name] = self._node(loader.get_event())
                while not loader.check_event(yaml.SequenceEndEvent):
                    self._refuse_change()
                    yield self._composed(loader)
                loader.get_event()

    @contextmanager
    def _pass(self) -> Iterator[_Loader]:
        with self._opened() as file, yaml_mistake(self.path):
            self._file = file
            is_packed = file.read(2) == _GZIP
            file.seek(0)
            content = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_packed else file
            self._source = _Source(self.path, content)
            loader = _Loader(self._source)
            try:
                yield loader
            except (EOFError, gzip.BadGzipFile) as problem:
                raise DocumentError(self.path, f"cannot be unpacked: {problem}.") from problem
            finally:
                loader.dispose()

    def _refuse_change(self) -> None:
        """What was checked is what is sent. Raises DocumentError for a file that is another one now."""
        if self._file is None or self._bytes is not None:
            return
        now = os.fstat(self._file.fileno())
        stamp = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns)
        if self._stamp not in (None, stamp):
            raise DocumentError(
                self.path, "the file was changed meanwhile; nothing more is read of it."
            )
        self._stamp = stamp

    def _opened(self) -> BinaryIO:
        if self._bytes is not None:
            return io.BytesIO(self._bytes)
        try:
            return self.path.open("rb")
        except OSError as problem:
            raise DocumentError(self.path, f"cannot be read: {problem.strerror}.") from problem

    def _keys(self, loader: _Loader, entries: dict[str, Node]) -> Iterator[str]:
        """The keys, before their values; to the end of the file."""
        loader.get_event()  # the stream begins
        if loader.check_event(yaml.StreamEndEvent):
            raise DocumentError(self.path, "the file is empty.")
        loader.get_event()  # the document begins
        if not loader.check_event(yaml.MappingStartEvent):
            self._composed(loader).fields(self._what)
        loader.get_event()
        while not loader.check_event(yaml.MappingEndEvent):
            yield self._composed(loader).entry_name(entries, self._what, self._known)
        loader.get_event()
        loader.get_event()  # the document ends
        if not loader.check_event(yaml.StreamEndEvent):
            second = self._node(loader.get_event())
            raise second.error("a second document begins here; a file has one.")

    def _composed(self, loader: _Loader) -> Node:
        self._source.let_go()
        node = Node(self.path, loader.composed())
        refuse_bombs(node)
        return node

    def _node(self, event: Any) -> Node:
        """Where something begins, without what is in it."""
        empty = yaml.SequenceNode("tag:yaml.org,2002:seq", [], event.start_mark, event.end_mark)
        return Node(self.path, empty)

    def _skip(self, loader: _Loader) -> None:
        """Go to the end of a list that has begun, without composing it."""
        depth = 1
        while depth:
            event = loader.get_event()
            depth += isinstance(event, _OPENS) - isinstance(event, _CLOSES)
            self._source.let_go()
