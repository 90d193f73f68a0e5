"""Rules about what a file imports."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from paycli.toolchain.lint.elements import Tree
from paycli.toolchain.lint.rules import BASIC, MINIMAL, ON_REQUEST, Complaint, Complaints, rule
from paycli.toolchain.protos.package_version import Stability, version_of

_IMPORT: Final = FileDescriptorProto.DEPENDENCY_FIELD_NUMBER


@rule("IMPORT_NO_PUBLIC", BASIC)
def import_no_public(tree: Tree) -> Complaints:
    """No import is public: who needs a file says so."""
    for file in tree.files:
        for index in file.proto.public_dependency:
            name = file.proto.dependency[index]
            yield Complaint(
                file.at(_IMPORT, index),
                f"Import '{name}' is public; import it where it is used instead.",
            )


@rule("IMPORT_USED", BASIC)
def import_used(tree: Tree) -> Complaints:
    """Every import is used."""
    for file in tree.files:
        if file.unused_imports:
            for place, name in file.imports:
                if name in file.unused_imports:
                    yield Complaint(place, f"Import '{name}' is not used; delete the line.")


@rule("PACKAGE_NO_IMPORT_CYCLE", MINIMAL)
def package_no_import_cycle(tree: Tree) -> Complaints:
    """Packages do not import each other in a circle, which most languages cannot build."""
    imported = _imported_packages(tree)
    ways = {
        (package, target): _way(target, package, imported)
        for package in tree.packages.keys() - {""}
        for target in imported[package]
    }
    for file in tree.files:
        for place, name in file.imports:
            target = tree.every_file[name].package
            way = ways.get((file.package, target))
            if way:
                circle = " → ".join([file.package, *way])
                yield Complaint(
                    place, f"Packages import each other: {circle}; move what they share out."
                )


@rule("STABLE_PACKAGE_NO_IMPORT_UNSTABLE", ON_REQUEST)
def stable_package_no_import_unstable(tree: Tree) -> Complaints:
    """What promises to stay does not build on what does not."""
    own = {file.name: file for file in tree.files}
    for file in tree.files:
        if version_of(file.package) is Stability.STABLE:
            for place, name in file.imports:
                if name in own and version_of(own[name].package) is Stability.UNSTABLE:
                    yield Complaint(
                        place,
                        f"Stable package '{file.package}' imports '{name}' of the unstable "
                        f"'{own[name].package}'; depend on a stable one.",
                    )


def _imported_packages(tree: Tree) -> dict[str, set[str]]:
    """Each package with the other ones that it imports; files without a package do not count."""
    found: dict[str, set[str]] = {}
    queue = [file.name for file in tree.files]
    seen = set(queue)
    for name in queue:
        proto = tree.every_file[name]
        imported = found.setdefault(proto.package, set())
        for dependency in proto.dependency:
            imported.add(tree.every_file[dependency].package)
            if dependency not in seen:
                seen.add(dependency)
                queue.append(dependency)
    return {package: imported - {package, ""} for package, imported in found.items()}


def _way(start: str, goal: str, imported: Mapping[str, AbstractSet[str]]) -> list[str]:
    """A shortest way through imports, both ends included; empty when there is none."""
    came_from = {start: ""}
    queue = [start]
    for package in queue:
        if package == goal:
            way = [goal]
            while came_from[way[0]]:
                way.insert(0, came_from[way[0]])
            return way
        for target in sorted(imported[package]):
            if target not in came_from:
                came_from[target] = package
                queue.append(target)
    return []
