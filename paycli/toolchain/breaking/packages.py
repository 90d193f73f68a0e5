"""Rules that look for what an old file had in the whole new tree: files, packages, their content."""

from __future__ import annotations

from paycli.toolchain.breaking.files import remains
from paycli.toolchain.breaking.rules import FILE, PACKAGE, SCHEMAS, broken
from paycli.toolchain.protos.descriptors import ProtoFile
from paycli.toolchain.protos.places import Place
from paycli.toolchain.protos.schema import Schema
from paycli.toolchain.rules.rule import Complaints


@SCHEMAS.rule("FILE_NO_DELETE", FILE)
def file_no_delete(old: ProtoFile, new: Schema) -> Complaints:
    """Every file stays, as code imports by file."""
    if old.name not in new.files:
        effect = "code that imports it, and what is generated from it, no longer builds"
        yield broken(old.at(), f'File "{old.name}" was deleted', effect)


@SCHEMAS.rule("PACKAGE_NO_DELETE", PACKAGE)
def package_no_delete(old: ProtoFile, new: Schema) -> Complaints:
    """Every package stays; said once, at the first of its files."""
    first = min(file.name for file in old.schema.files.values() if file.package == old.package)
    if old.package not in new.packages and old.name == first:
        effect = (
            "calls to it are answered UNIMPLEMENTED, and code that uses its types no longer builds"
        )
        yield broken(old.at(), f'Package "{old.package}" was deleted', effect)


@SCHEMAS.rule("PACKAGE_MESSAGE_NO_DELETE", PACKAGE)
def package_message_no_delete(old: ProtoFile, new: Schema) -> Complaints:
    """Messages may move to another file, but not out of their package."""
    for message in old.every_message:
        if old.package in new.packages and message.full_name not in new.messages:
            where = _message_around(old, message.full_name, new)
            what = f'Message "{message.nested_name}" was deleted from package "{old.package}"'
            yield broken(where, what, "code of a client that uses it no longer builds")


@SCHEMAS.rule("PACKAGE_ENUM_NO_DELETE", PACKAGE)
def package_enum_no_delete(old: ProtoFile, new: Schema) -> Complaints:
    """Enums may move to another file, but not out of their package."""
    for enum in old.every_enum:
        if old.package in new.packages and enum.full_name not in new.enums:
            what = f'Enum "{enum.nested_name}" was deleted from package "{old.package}"'
            where = _remains(old, enum.nested_name, new)
            yield broken(where, what, "code of a client that uses it no longer builds")


@SCHEMAS.rule("PACKAGE_EXTENSION_NO_DELETE", PACKAGE)
def package_extension_no_delete(old: ProtoFile, new: Schema) -> Complaints:
    """Extensions may move to another file, but not out of their package."""
    for extension in old.every_extension:
        if old.package in new.packages and extension.full_name not in new.extensions:
            what = f'Extension "{extension.nested_name}" was deleted from package "{old.package}"'
            where = _remains(old, extension.nested_name, new)
            yield broken(where, what, "what a client sends in it is dropped unread")


@SCHEMAS.rule("PACKAGE_SERVICE_NO_DELETE", PACKAGE)
def package_service_no_delete(old: ProtoFile, new: Schema) -> Complaints:
    """Services may move to another file, but not out of their package."""
    for service in old.services:
        if old.package in new.packages and service.full_name not in new.services:
            where = new.files[old.name].at() if old.name in new.files else old.at()
            what = f'Service "{service.name}" was deleted from package "{old.package}"'
            yield broken(where, what, "a client that calls it is answered UNIMPLEMENTED")


def _remains(old: ProtoFile, nested_name: str, new: Schema) -> Place:
    file = new.files.get(old.name)
    return remains(file, nested_name) if file is not None else old.at()


def _message_around(old: ProtoFile, full_name: str, new: Schema) -> Place:
    """The innermost message that is left around it, in whichever file that now is."""
    if old.name not in new.files:
        return old.at()
    outer = full_name.rpartition(".")[0]
    while outer and outer not in new.messages:
        outer = outer.rpartition(".")[0]
    return new.messages[outer].at() if outer else new.files[old.name].at()
