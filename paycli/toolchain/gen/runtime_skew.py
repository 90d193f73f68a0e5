"""Version skew: what generated code demands of grpcio and protobuf, and what it will meet.

protoc stamps its code with its own version, and the code refuses to be imported under an older
runtime. Whoever only declares an older one finds out in production, so it is said when generating.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from paycli.errors import DocumentError

# Both stand near the top; a serialized descriptor of a megabyte may follow.
_STAMP_WITHIN: Final = 4096
_STAMPED: Final = ("_pb2.py", "_pb2_grpc.py")
_STAMPS: Final = {
    "protobuf": re.compile(r"^# Protobuf Python Version: ([\d.]+)", re.MULTILINE),
    "grpcio": re.compile(r"^GRPC_GENERATED_VERSION = '([\d.]+)", re.MULTILINE),
}
_REQUIREMENT: Final = re.compile(
    r"\s*(?P<name>[\w.-]+)\s*(?:\[[^\]]*\])?\s*\(?(?P<versions>[^;)]*)"
)
_LOWER_BOUND: Final = re.compile(r"(?:>=?|===?|~=)\s*v?(?P<version>\d[\w.*+!-]*)")


class Skew(NamedTuple):
    """One package that is older than the generated code takes, or allowed to be."""

    package: str
    demanded: str
    found: str

    @property
    def requirement(self) -> str:
        """What to declare or to install."""
        return f"{self.package}>={self.demanded}"

    def __str__(self) -> str:
        return f"The generated code needs {self.requirement}, but {self.found}."


def demanded_versions(code: Iterable[str]) -> dict[str, str]:
    """The newest stamp of each package in the texts of generated modules."""
    newest: dict[str, str] = {}
    for text in code:
        for package, stamp in _STAMPS.items():
            found = stamp.search(text, 0, _STAMP_WITHIN)
            if found and release(found[1]) > release(newest.get(package, "0")):
                newest[package] = found[1]
    return newest


def find_skews(generated: Iterable[str], folder: Path) -> list[Skew]:
    """What is too old for the code of one compiler in `folder`: declared around it, or installed.

    Raises DocumentError if the pyproject.toml cannot be read.
    """
    one_of_each = {
        ending: name for name in generated for ending in _STAMPED if name.endswith(ending)
    }
    paths = (folder / name for name in one_of_each.values())
    demanded = demanded_versions(path.read_text(encoding="utf-8") for path in paths)
    return find_declared_skews(demanded, folder) + find_installed_skews(demanded)


def find_declared_skews(demanded: Mapping[str, str], folder: Path) -> list[Skew]:
    """What the pyproject.toml around `folder` allows, but is too old. Raises DocumentError."""
    project = _project_around(folder)
    declared = _lower_bounds(project) if project else {}
    skews: list[Skew] = []
    for package, version in sorted(demanded.items()):
        if package in declared and release(declared[package]) < release(version):
            allowed = f"as old as {declared[package]}" if declared[package] != "0" else "of any age"
            found = f'{project} allows one {allowed}; write "{package}>={version}" there'
            skews.append(Skew(package, version, found))
    return skews


def find_installed_skews(demanded: Mapping[str, str]) -> list[Skew]:
    """What is installed here, but is too old."""
    skews: list[Skew] = []
    for package, version in sorted(demanded.items()):
        installed = installed_version(package)
        if installed is not None and release(installed) < release(version):
            found = f"{installed} is installed; run 'pip install {package}>={version}'"
            skews.append(Skew(package, version, found))
    return skews


def installed_version(package: str) -> str | None:
    """The version of a distribution in this environment.

    By the name of its metadata folder: importlib.metadata takes as long to load as a whole run that
    finds nothing to do.
    """
    prefix = package.replace("-", "_") + "-"
    for folder in filter(os.path.isdir, sys.path):
        for name in os.listdir(folder):  # noqa: PTH208 - names, not paths
            if name.startswith(prefix) and name.endswith((".dist-info", ".egg-info")):
                return name.removeprefix(prefix).rpartition(".")[0].partition("-")[0]
    return None


def release(version: str) -> tuple[int, ...]:
    """The numbers of a version, for comparing; a pre-release counts as its release."""
    leading = re.match(r"[\d.]*", version.rpartition("!")[2])
    assert leading is not None
    numbers = [int(part) for part in leading[0].split(".") if part]
    while numbers and numbers[-1] == 0:  # 1.85 and 1.85.0 are one version
        numbers.pop()
    return tuple(numbers)


def _project_around(folder: Path) -> Path | None:
    around = (parent / "pyproject.toml" for parent in (folder, *folder.absolute().parents))
    return next((path for path in around if path.is_file()), None)


def _lower_bounds(project: Path) -> dict[str, str]:
    """Each declared package with the oldest version allowed, "0" if there is no bound."""
    import tomllib  # start-up time: not every folder with code lies in a project

    try:
        declared = tomllib.loads(project.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise DocumentError(project, f"cannot be read: {problem}.") from problem
    bounds: dict[str, str] = {}
    for requirement in _dependencies(declared):
        found = _REQUIREMENT.match(requirement)
        if found is None or found["versions"].lstrip().startswith("@"):
            continue
        lower = (bound["version"] for bound in _LOWER_BOUND.finditer(found["versions"]))
        oldest = max(lower, key=release, default="0")
        name = re.sub(r"[-_.]+", "-", found["name"]).lower()
        # Several lines with markers: the oldest of them is what some user gets.
        bounds[name] = min(bounds.get(name, oldest), oldest, key=release)
    return bounds


def _dependencies(declared: Mapping[str, object]) -> list[str]:
    project = declared.get("project")
    listed = project.get("dependencies", []) if isinstance(project, dict) else []
    return [entry for entry in listed if isinstance(entry, str)] if isinstance(listed, list) else []
