"""Rules that compare two versions of a file: its options, and what it still has to declare."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileOptions

from paycli.toolchain.breaking.rules import ALWAYS, FILE, FILES, IN_SOURCE, broken
from paycli.toolchain.protos.descriptors import ProtoFile
from paycli.toolchain.protos.places import Place
from paycli.toolchain.rules.rule import Complaints

# Each file option that decides what code generators write, and who notices when it changes.
OPTIONS: Final = {
    "cc_enable_arenas": "C++ clients, whose messages are allocated another way",
    "cc_generic_services": "C++ clients, whose generic service classes come or go",
    "csharp_namespace": "C# clients, whose classes move to another namespace",
    "go_package": "Go clients, whose import path changes",
    "java_generic_services": "Java clients, whose generic service classes come or go",
    "java_multiple_files": "Java clients, whose classes move in or out of the outer class",
    "java_outer_classname": "Java clients, whose outer class is renamed",
    "java_package": "Java clients, whose classes move to another package",
    "objc_class_prefix": "Objective-C clients, whose classes are renamed",
    "optimize_for": "C++ and Java clients, whose messages lose or gain methods",
    "php_class_prefix": "PHP clients, whose classes are renamed",
    "php_metadata_namespace": "PHP clients, whose metadata classes move",
    "php_namespace": "PHP clients, whose classes move to another namespace",
    "py_generic_services": "Python clients, whose generic service classes come or go",
    "ruby_package": "Ruby clients, whose modules are renamed",
    "swift_prefix": "Swift clients, whose types are renamed",
}


def _enter_option_rule(name: str, whom: str) -> None:
    number = FileOptions.DESCRIPTOR.fields_by_name[name].number
    path = (FileDescriptorProto.OPTIONS_FIELD_NUMBER, number)

    def same_option(old: ProtoFile, new: ProtoFile) -> Complaints:
        before, after = (getattr(file.proto.options, name) for file in (old, new))
        if before != after:
            change = f"from {_show(name, before)} to {_show(name, after)}"
            what = f'File option "{name}" changed {change}'
            yield broken(new.at(*path), what, f"newly generated code breaks {whom}")

    same_option.__doc__ = f"The option {name} stays; new code would break {whom}."
    FILES.rule(f"FILE_SAME_{name.upper()}", *IN_SOURCE)(same_option)


for _name, _whom in OPTIONS.items():
    _enter_option_rule(_name, _whom)


@FILES.rule("FILE_SAME_PACKAGE", *ALWAYS)
def file_same_package(old: ProtoFile, new: ProtoFile) -> Complaints:
    """The package is part of every method's path and of every type's name."""
    if old.package != new.package:
        yield broken(
            new.at(FileDescriptorProto.PACKAGE_FIELD_NUMBER),
            f'Package changed from "{old.package}" to "{new.package}"',
            "calls by the old name are answered UNIMPLEMENTED, and code that says it no longer builds",
        )


@FILES.rule("FILE_SAME_SYNTAX", *IN_SOURCE)
def file_same_syntax(old: ProtoFile, new: ProtoFile) -> Complaints:
    """Syntax decides presence, closed enums, UTF-8 checks and JSON for all of the file."""
    before, after = (file.proto.syntax or "proto2" for file in (old, new))
    if before != after:
        yield broken(
            new.at(FileDescriptorProto.SYNTAX_FIELD_NUMBER),
            f"Syntax changed from {before} to {after}",
            "generated code of a client changes its rules of presence, enums and UTF-8",
        )


@FILES.rule("MESSAGE_NO_DELETE", FILE)
def message_no_delete(old: ProtoFile, new: ProtoFile) -> Complaints:
    """Messages stay in their file."""
    kept = {message.nested_name for message in new.every_message}
    for message in old.every_message:
        if message.nested_name not in kept:
            what = f'Message "{message.nested_name}" was deleted from the file'
            effect = "code of a client that imports it from here no longer builds"
            yield broken(remains(new, message.nested_name), what, effect)


@FILES.rule("ENUM_NO_DELETE", FILE)
def enum_no_delete(old: ProtoFile, new: ProtoFile) -> Complaints:
    """Enums stay in their file."""
    kept = {enum.nested_name for enum in new.every_enum}
    for enum in old.every_enum:
        if enum.nested_name not in kept:
            what = f'Enum "{enum.nested_name}" was deleted from the file'
            effect = "code of a client that imports it from here no longer builds"
            yield broken(remains(new, enum.nested_name), what, effect)


@FILES.rule("EXTENSION_NO_DELETE", FILE)
def extension_no_delete(old: ProtoFile, new: ProtoFile) -> Complaints:
    """Extensions stay in their file."""
    kept = {extension.nested_name for extension in new.every_extension}
    for extension in old.every_extension:
        if extension.nested_name not in kept:
            what = f'Extension "{extension.nested_name}" was deleted from the file'
            effect = "what a client sends in it is dropped unread"
            yield broken(remains(new, extension.nested_name), what, effect)


@FILES.rule("SERVICE_NO_DELETE", FILE)
def service_no_delete(old: ProtoFile, new: ProtoFile) -> Complaints:
    """Services stay in their file."""
    kept = {service.name for service in new.services}
    for service in old.services:
        if service.name not in kept:
            what = f'Service "{service.name}" was deleted from the file'
            yield broken(new.at(), what, "a client that calls it is answered UNIMPLEMENTED")


def remains(file: ProtoFile, nested_name: str) -> Place:
    """The innermost message of `file` that once enclosed the name; else the file."""
    messages = {message.nested_name: message for message in file.every_message}
    outer = nested_name.rpartition(".")[0]
    while outer and outer not in messages:
        outer = outer.rpartition(".")[0]
    return messages[outer].at() if outer else file.at()


def _show(name: str, value: object) -> str:
    if name == "optimize_for":
        assert isinstance(value, int)
        return FileOptions.OptimizeMode.Name(FileOptions.OptimizeMode.ValueType(value))
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
