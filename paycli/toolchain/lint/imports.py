"""Rules about what a file imports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from paycli.toolchain.lint.elements import Elements
from paycli.toolchain.lint.rules import BASIC, MINIMAL, MODULES, ON_REQUEST
from paycli.toolchain.protos.descriptors import ProtoFile
from paycli.toolchain.protos.package_version import Stability, version_of
from paycli.toolchain.protos.places import Place
from paycli.toolchain.rules.rule import Complaint, Complaints

_IMPORT: Final = FileDescriptorProto.DEPENDENCY_FIELD_NUMBER


@MODULES.rule("IMPORT_NO_PUBLIC", *BASIC)
def import_no_public(module: Elements) -> Complaints:
    """No import is public: who needs a file says so."""
    for file in module.files:
        for index in file.proto.public_dependency:
            name = file.proto.dependency[index]
            yield Complaint(
                file.at(_IMPORT, index),
                f"Import '{name}' is public; import it where it is used instead.",
            )


@MODULES.rule("IMPORT_USED", *BASIC)
def import_used(module: Elements) -> Complaints:
    """Every import is used."""
    for file in module.files:
        if unused := module.unused_imports.get(file.name):
            for place, name in _imports(file):
                if name in unused:
                    yield Complaint(place, f"Import '{name}' is not used; delete the line.")


@MODULES.rule("PACKAGE_NO_IMPORT_CYCLE", *MINIMAL)
def package_no_import_cycle(module: Elements) -> Complaints:
    """Packages do not import each other in a circle, which most languages cannot build."""
    imported = _imported_packages(module)
    ways = {
        (package, target): _way(target, package, imported)
        for package in module.packages.keys() - {""}
        for target in imported[package]
    }
    for file in module.files:
        for place, name in _imports(file):
            target = module.schema.everything[name].package
            way = ways.get((file.package, target))
            if way:
                circle = " → ".join([file.package, *way])
                yield Complaint(
                    place, f"Packages import each other: {circle}; move what they share out."
                )


@MODULES.rule("STABLE_PACKAGE_NO_IMPORT_UNSTABLE", *ON_REQUEST)
def stable_package_no_import_unstable(module: Elements) -> Complaints:
    """What promises to stay does not build on what does not."""
    own = {file.name: file for file in module.files}
    for file in module.files:
        if version_of(file.package) is Stability.STABLE:
            for place, name in _imports(file):
                if name in own and version_of(own[name].package) is Stability.UNSTABLE:
                    yield Complaint(
                        place,
                        f"Stable package '{file.package}' imports '{name}' of the unstable "
                        f"'{own[name].package}'; depend on a stable one.",
                    )


def _imports(file: ProtoFile) -> Iterator[tuple[Place, str]]:
    """Where each import stands, and what it names."""
    for index, name in enumerate(file.proto.dependency):
        yield file.at(_IMPORT, index), name


def _imported_packages(module: Elements) -> dict[str, set[str]]:
    """Each package with the other ones that it imports; files without a package do not count."""
    found: dict[str, set[str]] = {}
    queue = [file.name for file in module.files]
    seen = set(queue)
    for name in queue:
        proto = module.schema.everything[name].proto
        imported = found.setdefault(proto.package, set())
        for dependency in proto.dependency:
            imported.add(module.schema.everything[dependency].package)
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
