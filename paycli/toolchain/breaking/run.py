"""The comparison of a workspace with what it was, by the settings of a project."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from paycli.toolchain.breaking.catalogue import catalogue
from paycli.toolchain.breaking.compare import Breakage, find_breakages
from paycli.toolchain.breaking.former import Former
from paycli.toolchain.breaking.rules import FILE
from paycli.toolchain.protos.descriptors import ProtoFile
from paycli.toolchain.protos.package_version import Stability, version_of
from paycli.toolchain.protos.protoc import compile_descriptors
from paycli.toolchain.protos.schema import Schema
from paycli.toolchain.protos.workspace import Workspace
from paycli.toolchain.rules.buf_config import BufConfig, Module
from paycli.toolchain.rules.choice import Selection
from paycli.toolchain.rules.findings import Finding, as_displayed


class _Judge(NamedTuple):
    """What one module wants to know of its files."""

    module: Module
    selection: Selection

    def excuses(self, rule: str, file: ProtoFile, path: Path) -> bool:
        may_change = self.module.breaking.ignore_unstable_packages
        if may_change and version_of(file.package) == Stability.UNSTABLE:
            return True
        return self.selection.excuses(rule, path)


def find_breaking(workspace: Workspace, former: Former, config: BufConfig) -> list[Finding]:
    """What the workspace breaks of its former self. Raises InputError if it does not compile.

    A finding about a file that is gone stands at the path that it would have.
    """
    present = {name: path for name in workspace.names if (path := workspace.path_of(name))}
    paths = former.paths | present
    known = catalogue(config.version)
    judges = [
        _Judge(module, module.breaking.rules.select(known, FILE)) for module in config.modules
    ]
    old = Schema(former.descriptors, former.paths.keys())
    new = Schema(compile_descriptors(workspace), present.keys())
    chosen = frozenset[str]().union(*(judge.selection.rules for judge in judges))
    found: set[Finding] = set()
    for breakage in find_breakages(old, new, chosen):
        name = breakage.former.name
        for judge in judges:
            if judge.module.root / name == paths[name] and judge.module.covers(name):
                found |= _judged(judge, breakage, paths)
                break
    return as_displayed(found)


def _judged(judge: _Judge, breakage: Breakage, paths: dict[str, Path]) -> set[Finding]:
    rule, former, (place, message) = breakage
    if rule not in judge.selection.rules:
        return set()
    if any(judge.excuses(rule, file, paths[file.name]) for file in (former, place.file)):
        return set()
    line, column = place.position
    return {Finding(paths[place.file.name], line, column, rule, message)}
