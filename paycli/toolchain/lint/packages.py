"""Rules about packages: their names, their folders, and that their files agree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileOptions

from paycli.toolchain.lint.case import lower_snake_case
from paycli.toolchain.lint.elements import Elements
from paycli.toolchain.lint.rules import BASIC, MINIMAL, MODULES, STANDARD
from paycli.toolchain.protos.descriptors import ProtoFile
from paycli.toolchain.protos.package_version import version_of
from paycli.toolchain.rules.rule import Complaint, Complaints

_PACKAGE: Final = FileDescriptorProto.PACKAGE_FIELD_NUMBER
_OPTIONS: Final = FileDescriptorProto.OPTIONS_FIELD_NUMBER

# The file options of which a package has one value.
SAME_OPTIONS: Final = (
    "csharp_namespace",
    "go_package",
    "java_multiple_files",
    "java_package",
    "php_namespace",
    "ruby_package",
    "swift_prefix",
)


@MODULES.rule("PACKAGE_DEFINED", *MINIMAL)
def package_defined(module: Elements) -> Complaints:
    """Every file has a package."""
    for file in module.packages.get("", ()):
        yield Complaint(
            file.at(),
            "The file has no package; name one below the syntax, such as 'acme.pay.v1'.",
        )


@MODULES.rule("PACKAGE_DIRECTORY_MATCH", *MINIMAL)
def package_directory_match(module: Elements) -> Complaints:
    """A file of package a.b.v1 lies in the folder a/b/v1."""
    for file in module.files:
        wanted = file.package.replace(".", "/")
        if file.package and _folder(file) != wanted:
            yield Complaint(
                file.at(_PACKAGE),
                f"A file of package '{file.package}' lies in '{_folder(file)}' below the root; "
                f"move it to '{wanted}'.",
            )


@MODULES.rule("DIRECTORY_SAME_PACKAGE", *MINIMAL)
def directory_same_package(module: Elements) -> Complaints:
    """All files of a folder are in one package."""
    folders: dict[str, list[ProtoFile]] = {}
    for file in module.files:
        folders.setdefault(_folder(file), []).append(file)
    for folder, files in folders.items():
        packages = {file.package for file in files}
        if len(packages) > 1:
            listed = _listed(packages, "none")
            for file in files:
                yield Complaint(
                    file.at(_PACKAGE),
                    f"The files in '{folder}' are of several packages: {listed}; keep each in its own.",
                )


@MODULES.rule("PACKAGE_SAME_DIRECTORY", *MINIMAL)
def package_same_directory(module: Elements) -> Complaints:
    """All files of a package lie in one folder."""
    for package, files in module.packages.items():
        folders = {_folder(file) for file in files}
        if len(folders) > 1:
            for file in files:
                yield Complaint(
                    file.at(_PACKAGE),
                    f"The files {_of(package)} lie in {_listed(folders, '.')}; "
                    "keep them in one folder.",
                )


@MODULES.rule("PACKAGE_LOWER_SNAKE_CASE", *BASIC)
def package_lower_snake_case(module: Elements) -> Complaints:
    """Packages are lower_snake.case."""
    for file in module.files:
        wanted = ".".join(map(lower_snake_case, file.package.split(".")))
        if file.package != wanted:
            yield Complaint(
                file.at(_PACKAGE),
                f"Package '{file.package}' is not lower_snake.case; write '{wanted}'.",
            )


@MODULES.rule("PACKAGE_VERSION_SUFFIX", *STANDARD)
def package_version_suffix(module: Elements) -> Complaints:
    """A package ends with its version: v1, v1beta1, v1p1alpha1, v1test."""
    for file in module.files:
        if file.package and version_of(file.package) is None:
            yield Complaint(
                file.at(_PACKAGE),
                f"Package '{file.package}' has no version; write '{file.package}.v1'.",
            )


def _enter_option_rule(option: str) -> None:
    """The rule that all files of a package set a file option alike, or not at all."""
    number = FileOptions.DESCRIPTOR.fields_by_name[option].number

    def same_option(module: Elements) -> Complaints:
        for package, files in module.packages.items():
            values = {_shown(file, option) for file in files}
            if len(values) > 1:
                listed = _listed(values, "none")
                for file in files:
                    yield Complaint(
                        file.at(_OPTIONS, number),
                        f"The files {_of(package)} have different values of {option}: "
                        f"{listed}; set one value in all of them.",
                    )

    same_option.__doc__ = f"All files of a package have the same {option}."
    MODULES.rule(f"PACKAGE_SAME_{option.upper()}", *BASIC)(same_option)


for _option in SAME_OPTIONS:
    _enter_option_rule(_option)


def _folder(file: ProtoFile) -> str:
    return file.name.rpartition("/")[0] or "."


def _shown(file: ProtoFile, option: str) -> str:
    options = {field.name: value for field, value in file.proto.options.ListFields()}
    value = options.get(option, "")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of(package: str) -> str:
    return f"of package '{package}'" if package else "without a package"


def _listed(names: Iterable[str], empty: str) -> str:
    return ", ".join(f"'{name}'" if name else empty for name in sorted(names))
