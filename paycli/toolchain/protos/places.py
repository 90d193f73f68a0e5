"""Places in protos: a path into a descriptor, and where that stands in the source.

A path becomes a line and a column only where something was found: most of a proto is fine, and
positions are the larger half of a descriptor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from google.protobuf.descriptor_pb2 import DescriptorProto

if TYPE_CHECKING:
    from paycli.toolchain.protos.descriptors import ProtoFile

Path = tuple[int, ...]  # field numbers and indices, as in SourceCodeInfo.Location.path
SELF: Final[Path] = ()
NAME: Final = DescriptorProto.NAME_FIELD_NUMBER  # and so it is in every other descriptor


class Place(NamedTuple):
    """Somewhere in a file; the empty path is the file as a whole."""

    file: ProtoFile
    path: Path = SELF

    @property
    def position(self) -> tuple[int, int]:
        """Line and column from 1, as protoc counts; the file's first for what is not written in it."""
        location = self.file.location(self.path) if self.path else None
        line, column = location.span[:2] if location is not None else (0, 0)
        return line + 1, column + 1
