"""Rules about packages: their names, their folders, and that their files agree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileOptions

from paycli.toolchain.lint.case import lower_snake_case
from paycli.toolchain.lint.elements import ProtoFile, Tree
from paycli.toolchain.lint.rules import BASIC, MINIMAL, STANDARD, Complaint, Complaints, Rule, rule
from paycli.toolchain.protos.package_version import version_of

_PACKAGE: Final = FileDescriptorProto.PACKAGE_FIELD_NUMBER
_OPTIONS: Final = FileDescriptorProto.OPTIONS_FIELD_NUMBER


@rule("PACKAGE_DEFINED", MINIMAL)
def package_defined(tree: Tree) -> Complaints:
    """Every file has a package."""
    for file in tree.packages.get("", ()):
        yield Complaint(
            file.at(),
            "The file has no package; name one below the syntax, such as 'acme.pay.v1'.",
        )


@rule("PACKAGE_DIRECTORY_MATCH", MINIMAL)
def package_directory_match(tree: Tree) -> Complaints:
    """A file of package a.b.v1 lies in the folder a/b/v1."""
    for file in tree.files:
        wanted = file.package.replace(".", "/")
        if file.package and file.folder != wanted:
            yield Complaint(
                file.at(_PACKAGE),
                f"A file of package '{file.package}' lies in '{file.folder}' below the root; "
                f"move it to '{wanted}'.",
            )


@rule("DIRECTORY_SAME_PACKAGE", MINIMAL)
def directory_same_package(tree: Tree) -> Complaints:
    """All files of a folder are in one package."""
    folders: dict[str, list[ProtoFile]] = {}
    for file in tree.files:
        folders.setdefault(file.folder, []).append(file)
    for folder, files in folders.items():
        packages = {file.package for file in files}
        if len(packages) > 1:
            listed = _listed(packages, "none")
            for file in files:
                yield Complaint(
                    file.at(_PACKAGE),
                    f"The files in '{folder}' are of several packages: {listed}; keep each in its own.",
                )


@rule("PACKAGE_SAME_DIRECTORY", MINIMAL)
def package_same_directory(tree: Tree) -> Complaints:
    """All files of a package lie in one folder."""
    for package, files in tree.packages.items():
        folders = {file.folder for file in files}
        if len(folders) > 1:
            for file in files:
                yield Complaint(
                    file.at(_PACKAGE),
                    f"The files {_of(package)} lie in {_listed(folders, '.')}; "
                    "keep them in one folder.",
                )


@rule("PACKAGE_LOWER_SNAKE_CASE", BASIC)
def package_lower_snake_case(tree: Tree) -> Complaints:
    """Packages are lower_snake.case."""
    for file in tree.files:
        wanted = ".".join(map(lower_snake_case, file.package.split(".")))
        if file.package != wanted:
            yield Complaint(
                file.at(_PACKAGE),
                f"Package '{file.package}' is not lower_snake.case; write '{wanted}'.",
            )


@rule("PACKAGE_VERSION_SUFFIX", STANDARD)
def package_version_suffix(tree: Tree) -> Complaints:
    """A package ends with its version: v1, v1beta1, v1p1alpha1, v1test."""
    for file in tree.files:
        if file.package and version_of(file.package) is None:
            yield Complaint(
                file.at(_PACKAGE),
                f"Package '{file.package}' has no version; write '{file.package}.v1'.",
            )


def _same_option(option: str) -> Rule:
    """The rule that all files of a package set a file option alike, or not at all."""
    number = FileOptions.DESCRIPTOR.fields_by_name[option].number

    def check(tree: Tree) -> Complaints:
        for package, files in tree.packages.items():
            values = {_shown(file.options.get(option, "")) for file in files}
            if len(values) > 1:
                listed = _listed(values, "none")
                for file in files:
                    yield Complaint(
                        file.at(_OPTIONS, number),
                        f"The files {_of(package)} have different values of {option}: "
                        f"{listed}; set one value in all of them.",
                    )

    purpose = f"All files of a package have the same {option}."
    return Rule(f"PACKAGE_SAME_{option.upper()}", BASIC, purpose, check)


package_same_csharp_namespace = _same_option("csharp_namespace")
package_same_go_package = _same_option("go_package")
package_same_java_multiple_files = _same_option("java_multiple_files")
package_same_java_package = _same_option("java_package")
package_same_php_namespace = _same_option("php_namespace")
package_same_ruby_package = _same_option("ruby_package")
package_same_swift_prefix = _same_option("swift_prefix")


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of(package: str) -> str:
    return f"of package '{package}'" if package else "without a package"


def _listed(names: Iterable[str], empty: str) -> str:
    return ", ".join(f"'{name}'" if name else empty for name in sorted(names))
