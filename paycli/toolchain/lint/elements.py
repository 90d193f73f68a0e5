"""What the rules of `lint` look at: the parts of one module's files, flattened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property

from paycli.toolchain.protos.descriptors import (
    Enum,
    EnumValue,
    Field,
    Message,
    Method,
    Oneof,
    ProtoFile,
    Service,
)
from paycli.toolchain.protos.schema import Schema
from paycli.toolchain.rules.buf_config import LintSettings


class Elements:
    """The parts of a module's `files`, and the module's `settings`; `schema` has their imports too."""

    def __init__(
        self,
        files: Sequence[ProtoFile],
        schema: Schema,
        unused_imports: Mapping[str, AbstractSet[str]],
        settings: LintSettings,
    ) -> None:
        self.files = files
        self.schema = schema
        self.unused_imports = unused_imports
        self.settings = settings

    @cached_property
    def messages(self) -> list[Message]:
        """All messages but the entries of maps."""
        everything = (each for file in self.files for each in file.every_message)
        return [each for each in everything if not each.is_map_entry]

    @cached_property
    def fields(self) -> list[Field]:
        """All fields, and extensions."""
        extensions = (each for file in self.files for each in file.every_extension)
        return [*(each for message in self.messages for each in message.fields), *extensions]

    @property
    def oneofs(self) -> Iterator[Oneof]:
        """All oneofs that are written."""
        return (each for message in self.messages for each in message.oneofs)

    @cached_property
    def enums(self) -> list[Enum]:
        """All enums."""
        return [each for file in self.files for each in file.every_enum]

    @cached_property
    def enum_values(self) -> list[EnumValue]:
        """All values of all enums."""
        return [each for enum in self.enums for each in enum.values]

    @property
    def services(self) -> Iterator[Service]:
        """All services."""
        return (each for file in self.files for each in file.services)

    @cached_property
    def methods(self) -> list[Method]:
        """All RPCs of all services."""
        return [each for service in self.services for each in service.methods.values()]

    @cached_property
    def packages(self) -> Mapping[str, list[ProtoFile]]:
        """Files by package; those without one have the empty one."""
        found: dict[str, list[ProtoFile]] = {}
        for file in self.files:
            found.setdefault(file.package, []).append(file)
        return found
