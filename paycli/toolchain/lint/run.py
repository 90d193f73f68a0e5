"""Lint: compile, apply each module's rules to its files, and say where what was found stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from paycli.toolchain.lint.catalogue import RULES, catalogue
from paycli.toolchain.lint.comment_ignores import is_excused
from paycli.toolchain.lint.elements import Place, ProtoFile, Tree
from paycli.toolchain.protos.protoc import describe
from paycli.toolchain.protos.workspace import Workspace
from paycli.toolchain.rules.buf_config import BufConfig, LintSettings
from paycli.toolchain.rules.choice import Selection
from paycli.toolchain.rules.findings import Finding, as_displayed

DEFAULT_CATEGORY: Final = "STANDARD"


def lint(config: BufConfig, protos: Sequence[Path]) -> list[Finding]:
    """What is wrong with the given protos, or with all of the modules, in reading order.

    Raises InputError for a broken proto, and for a rule in the config that there is not.
    """
    known = catalogue(config.version)
    chosen = [module.lint.rules.select(known, DEFAULT_CATEGORY) for module in config.modules]
    workspace = config.workspace(protos)
    description = describe(workspace)
    every_file = {proto.name: proto for proto in description.files.file}
    module_of = {name: config.module_of(workspace, name) for name in workspace.names}
    found: list[Finding] = []
    for module, selection in zip(config.modules, chosen, strict=True):
        files = [
            ProtoFile(every_file[name], description.unused_imports.get(name, ()))
            for name in workspace.names
            if module_of[name] is module
        ]
        found += _check(Tree(files, every_file, module.lint), selection, workspace)
    return as_displayed(found)


def _check(tree: Tree, selection: Selection, workspace: Workspace) -> Iterator[Finding]:
    for rule_id in selection.rules & RULES.keys():
        for place, message in RULES[rule_id].check(tree):
            finding = _finding(place, rule_id, message, workspace)
            if not _is_excused(finding, place, tree.settings, selection):
                yield finding


def _is_excused(
    finding: Finding, place: Place, settings: LintSettings, selection: Selection
) -> bool:
    return selection.excuses(finding.rule, finding.path) or (
        settings.comment_ignores and is_excused(place, finding.rule)
    )


def _finding(place: Place, rule_id: str, message: str, workspace: Workspace) -> Finding:
    """At the beginning of the place; of the file, when the place is not in the source."""
    path = workspace.path_of(place.file.name)
    assert path is not None, f"{place.file.name} was compiled from this workspace"
    location = place.file.locations.get(place.path) if place.path else None
    line, column = location.span[:2] if location is not None else (0, 0)
    return Finding(path, line + 1, column + 1, rule_id, message)
