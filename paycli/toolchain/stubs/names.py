"""What a proto type is called in Python, and how one type stub reaches what it mentions.

Protos may name things as Python, `Message` or a checker's own vocabulary does: a message `None`, a
field `str`, an enum value `Name`. Whatever cannot be written in a stub gets a private name there
that only checkers see; whatever would hide a name that the stub needs makes it use another one.
"""

from __future__ import annotations

import keyword
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto

from paycli.toolchain.protos.descriptors import Element, Enum, Message, ProtoFile
from paycli.toolchain.protos.python_names import module_of
from paycli.toolchain.protos.workspace import count_shared
from paycli.toolchain.stubs.comments import docstring_of

# A field of such a name hides the method at run time; a stub that said so would break `Message`.
MESSAGE_MEMBERS: Final = frozenset({
    "ByteSize", "Clear", "ClearExtension", "ClearField", "CopyFrom", "DESCRIPTOR",
    "DiscardUnknownFields", "Extensions", "FindInitializationErrors", "FromString", "HasExtension",
    "HasField", "IsInitialized", "ListFields", "MergeFrom", "MergeFromString", "ParseFromString",
    "RegisterExtension", "SerializePartialToString", "SerializeToString", "SetInParent",
    "UnknownFields", "WhichOneof",
})  # fmt: skip
ENUM_MEMBERS: Final = frozenset(
    {"DESCRIPTOR", "Name", "Value", "ValueType", "items", "keys", "mro", "values"}
)
MODULE_MEMBERS: Final = frozenset({"DESCRIPTOR"})
_TYPED_ROOT: Final = "google.protobuf."  # by types-protobuf; other installed modules have no types


class Symbol(NamedTuple):
    """A message or an enum: the file that declares it and its path of names in the stub."""

    file: str
    path: tuple[str, ...]
    proto: DescriptorProto | EnumDescriptorProto


_BEFORE_A_MODULE: Final = " [(@=\n"

Types = Mapping[str, Symbol]  # by descriptor name, `.acme.shop.v1.Order`


def index_types(files: Iterable[ProtoFile]) -> Types:
    """Every message and enum of the files."""
    types: dict[str, Symbol] = {}
    for file in files:
        _index(types, file, (), MODULE_MEMBERS)
    return types


def _index(
    types: dict[str, Symbol],
    scope: ProtoFile | Message,
    path: tuple[str, ...],
    members: Collection[str],
) -> None:
    inside: list[Message | Enum] = [*scope.messages, *scope.enums]
    siblings = {each.name for each in inside}
    for each in inside:
        own = (*path, stub_name(each.name, siblings, members))
        types[f".{each.full_name}"] = Symbol(each.file.name, own, each.proto)
        if isinstance(each, Message):
            _index(types, each, own, MESSAGE_MEMBERS)


def writable(name: str, members: Collection[str] = ()) -> bool:
    """Whether a stub can declare `name` beside `members`; mypy has a meaning of its own for `_`."""
    return not (keyword.iskeyword(name) or name in members or name == "_" or name.startswith("__"))


def stub_name(name: str, siblings: Collection[str], members: Collection[str]) -> str:
    """The name of a type in its stub: its own, or a private one that is free."""
    if writable(name, members):
        return name
    return _free(f"_{name.strip('_')}_", siblings)


def declared_names(file: ProtoFile) -> set[str]:
    """Every name that the file's message stub declares anywhere."""
    elements: list[Element[Any]] = [*file.every_message, *file.every_enum, *file.every_extension]
    elements += (field for message in file.every_message for field in message.fields)
    elements += (value for enum in file.every_enum for value in enum.values)
    return {each.name for each in elements}


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "_"
    return name


class Stub:
    """One stub in the making: its lines, and what it has to import for them."""

    def __init__(
        self,
        file: str,
        types: Types,
        generated: Collection[str],
        taken: Collection[str],
        *,
        declares_types: bool,
    ) -> None:
        self.file = file
        self.lines: list[str] = []
        self.uses_private_names = False
        self._types = types
        self._generated = generated
        self._taken = frozenset(taken)
        self._own_file = file if declares_types else None
        self._aliases: dict[str, str | None] = {}  # by module; None where no import can say it
        self._imports: dict[str, str] = {}  # statement by the alias it binds
        self._reexports: list[str] = []
        self._own: list[str] = []
        self._last: list[str] = []
        self._shadowed: dict[str, str] = {}  # alias by the type that some class hides
        self._uses_untyped_modules = False

    def builtin(self, name: str) -> str:
        """`int`, or `_builtins.int` where the protos declare an `int` of their own."""
        return f"{self.module('builtins')}.{name}" if name in self._taken else name

    def typing(self, name: str) -> str:
        """A name of the typing module."""
        return f"{self.module('typing')}.{name}"

    def module(self, name: str) -> str:
        """The alias of an installed module, which gets imported."""
        alias = self._aliases.get(name)
        if alias is None:
            alias = self._aliases[name] = self.private(name.rpartition(".")[2])
            self._imports[alias] = f"import {name} as {alias}"
        return alias

    def private(self, name: str) -> str:
        """A name for checkers only, which no proto of the file uses."""
        free = f"_{name}"
        while free in self._taken or free in self._imports:  # one set of both is slow to make
            free += "_"
        return free

    def symbol(self, type_name: str) -> Symbol:
        """The message or enum of a descriptor name."""
        return self._types[type_name]

    def message_type(self, type_name: str, scope: Collection[str]) -> str:
        """How a class that declares the names of `scope` writes a message type."""
        return self._written(self._types[type_name], scope) or self.typing("Any")

    def enum_type(self, type_name: str, scope: Collection[str]) -> str:
        """The same for an enum's values, which are plain ints where nothing else is sure."""
        symbol = self._types[type_name]
        typed = symbol.file in self._generated or _is_typed(symbol.file)
        name = self._written(symbol, scope) if typed else None
        return f"{name}.ValueType" if name else self.builtin("int")

    def _written(self, symbol: Symbol, scope: Collection[str]) -> str | None:
        first, *rest = symbol.path
        if symbol.file == self._own_file:
            if first in scope:
                first = self._shadowed.setdefault(first, self.private(f"{first}_type"))
            return ".".join((first, *rest))
        module = self._proto_module(symbol.file)
        if module is None:
            return None
        if any(part.startswith("_") for part in symbol.path):
            if symbol.file not in self._generated:
                return None
            self.uses_private_names = True
        return ".".join((module, *symbol.path))

    def _proto_module(self, file: str) -> str | None:
        """The alias of a proto's module, which gets imported if an import statement can say it."""
        if file not in self._aliases:
            location = self._locate(file)
            if location is None:
                self._aliases[file] = None
                return None
            alias = self._aliases[file] = self.private("_".join(location[1]))
            dots, (*folders, name) = location
            if dots:
                statement = f"from {dots}{'.'.join(folders)} import {name} as {alias}"
            else:
                statement = f"import {'.'.join(location[1])} as {alias}"
            self._imports[alias] = statement
        return self._aliases[file]

    def reexport(self, file: str, names: Collection[str]) -> None:
        """Offer `names` of another proto here too, as `import public` does."""
        location = self._locate(file)
        if location is not None and names:
            listed = "".join(f"    {name} as {name},\n" for name in sorted(names))
            module = location[0] + ".".join(location[1])
            self._reexports.append(f"from {module} import (\n{listed})")

    def _locate(self, file: str) -> tuple[str, list[str]] | None:
        """A module as leading dots and names: relative exactly when it is generated too."""
        dots, parts = "", module_of(file).split(".")
        if file in self._generated:
            folder = module_of(self.file).split(".")[:-1]
            shared = count_shared(folder, parts[:-1])
            dots, parts = "." * (len(folder) - shared + 1), parts[shared:]
        elif not _is_typed(file):
            self._uses_untyped_modules = True
        if all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
            return dots, parts
        return None

    def declare(self, text: str) -> None:
        """Put something of the stub's own before all that the proto declares."""
        self._own.append(text)

    def append(self, text: str) -> None:
        """Put something after all that the proto declares: mypy evaluates it where it stands."""
        self._last.append(text)

    def write(self, text: str, indent: str) -> None:
        """Add lines."""
        if "\n" in text:
            self.lines.extend(f"{indent}{line}" if line else "" for line in text.split("\n"))
        else:
            self.lines.append(f"{indent}{text}" if text else "")

    def write_docstring(self, element: Element[Any], indent: str) -> None:
        """Add what the proto says about an element, if anything."""
        if text := docstring_of(element):
            self.write(text, indent)

    def text(self) -> str:
        """The whole stub."""
        directives = [f"# Generated by the type stub compiler of paycli from {self.file}."]
        if self._uses_untyped_modules:
            directives.append('# mypy: disable-error-code="import-untyped"')
        if self.uses_private_names:
            directives.append("# pyright: reportPrivateUsage=false")
        aliases = [
            f"{alias}: {self.typing('TypeAlias')} = {name}"
            for name, alias in sorted(self._shadowed.items())
        ]
        body = "\n".join([*self._own, *self.lines, *self._last, *aliases])
        imports = [line for alias, line in self._imports.items() if _mentions(body, alias)]
        imports.sort(key=lambda statement: (statement.startswith("from"), statement))
        return "\n".join([*directives, "", *imports, *self._reexports, "", body, ""])


def _mentions(body: str, module: str) -> bool:
    """Whether a stub uses a module: a helper may not have needed all that it could."""
    return any(f"{before}{module}." in body for before in _BEFORE_A_MODULE)


def _is_typed(file: str) -> bool:
    return module_of(file).startswith(_TYPED_ROOT)
