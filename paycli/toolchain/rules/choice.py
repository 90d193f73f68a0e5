"""Which rules a project wants, and which files it excuses from them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from paycli.documents import Node, nearest

# Rule id → its categories.
Catalogue = Mapping[str, Collection[str]]

# v1's name for STANDARD, which v2 still takes.
_RENAMED: Final = {"DEFAULT": "STANDARD"}


@dataclass(frozen=True, slots=True)
class Selection:
    """The rules to run, and who is excused from them."""

    rules: frozenset[str]
    ignore: tuple[Path, ...]
    ignore_only: Mapping[str, tuple[Path, ...]]

    def excuses(self, rule: str, path: Path) -> bool:
        """Whether a file is excused from a rule."""
        excused = (*self.ignore, *self.ignore_only.get(rule, ()))
        return bool(excused) and any(map(path.resolve().is_relative_to, excused))


@dataclass(frozen=True, slots=True)
class RuleChoice:
    """What a file says about rules; `ignore_only` as written, since only rules explain its keys."""

    use: tuple[Node, ...] = ()
    excepted: tuple[Node, ...] = ()
    ignore: tuple[Path, ...] = ()
    ignore_only: Node | None = None
    folder: Path = Path()
    nothing: bool = False
    plugins: bool = False  # then names that are not known are rules of theirs

    def select(self, catalogue: Catalogue, default: str) -> Selection:
        """The choice among known rules; `default` is the category used when none is named.

        Raises DocumentError, at its line, for a name that is neither a rule nor a category.
        """
        members = _members(catalogue)
        rules = self._union(self.use, members) if self.use else members[default]
        if self.nothing:
            rules = frozenset()
        ignore_only: dict[str, tuple[Path, ...]] = {}
        if self.ignore_only is not None and not self.ignore_only.is_null:
            known = None if self.plugins else members.keys()
            for name, node in self.ignore_only.fields("ignore_only", known).items():
                for rule in members.get(name, ()):
                    paths = paths_of(node, f"ignore_only of {name}", self.folder)
                    ignore_only[rule] = (*ignore_only.get(rule, ()), *paths)
        return Selection(rules - self._union(self.excepted, members), self.ignore, ignore_only)

    def _union(
        self, nodes: Iterable[Node], members: Mapping[str, frozenset[str]]
    ) -> frozenset[str]:
        rules: frozenset[str] = frozenset()
        for node in nodes:
            name = node.text("a rule")
            if name not in members and not self.plugins:
                raise node.error(f"'{name}' is no rule and no category; {nearest(name, members)}")
            rules |= members.get(name, frozenset())
        return rules


def paths_of(node: Node | None, what: str, folder: Path) -> tuple[Path, ...]:
    """A list of paths relative to `folder`, made whole so that any spelling compares."""
    if node is None or node.is_null:
        return ()
    return tuple((folder / item.text(what)).resolve() for item in node.items(what))


def _members(catalogue: Catalogue) -> dict[str, frozenset[str]]:
    """Every name that a choice may use, and the rules that it means."""
    categories = {each for names in catalogue.values() for each in names}
    members = {
        category: frozenset(rule for rule, names in catalogue.items() if category in names)
        for category in categories
    }
    members |= {old: members[new] for old, new in _RENAMED.items() if new in members}
    return members | {rule: frozenset({rule}) for rule in catalogue}
