"""Lint: compile, apply each module's rules to its files, and say where what was found stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from paycli.toolchain.lint.catalogue import catalogue
from paycli.toolchain.lint.comment_ignores import is_excused
from paycli.toolchain.lint.elements import Elements
from paycli.toolchain.lint.rules import MODULES
from paycli.toolchain.protos.protoc import describe
from paycli.toolchain.protos.schema import Schema
from paycli.toolchain.protos.workspace import Workspace
from paycli.toolchain.rules.buf_config import BufConfig
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
    schema = Schema(description.files, frozenset(workspace.names))
    module_of = {name: config.module_of(workspace, name) for name in workspace.names}
    found: list[Finding] = []
    for module, selection in zip(config.modules, chosen, strict=True):
        files = [file for name, file in schema.files.items() if module_of[name] is module]
        elements = Elements(files, schema, description.unused_imports, module.lint)
        found += _check(elements, selection, workspace)
    return as_displayed(found)


def _check(module: Elements, selection: Selection, workspace: Workspace) -> Iterator[Finding]:
    for rule in MODULES.among(selection.rules):
        for place, message in rule.check(module):
            path = workspace.path_of(place.file.name)
            assert path is not None, f"{place.file.name} was compiled from this workspace"
            excused = selection.excuses(rule.id, path)
            if not excused and not (module.settings.comment_ignores and is_excused(place, rule.id)):
                line, column = place.position
                yield Finding(path, line, column, rule.id, message)
