"""`paycli breaking` says what buf says: the same rules at the same places, for each category.

buf is only ever run here. Where the two differ, docs/breaking.md says why, and `_canonical` and
`_buf_misses` below are all that is pardoned.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from itertools import count, cycle
from pathlib import Path
from typing import NamedTuple

import pytest
from google.rpc import status_pb2
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from paycli.toolchain.breaking.catalogue import catalogue
from paycli.toolchain.breaking.rules import BOOK
from tests.toolchain.breaking_cases import CASES, write_side
from tests.toolchain.breaking_trees import versions
from tests.toolchain.test_breaking_rules import breaking

BUF = Path(sys.executable).with_name("buf")
FOUR = ("FILE", "PACKAGE", "WIRE_JSON", "WIRE")
FOUND_SOMETHING = 100  # buf's exit code
CALM = settings(deadline=None, suppress_health_check=list(HealthCheck))


class Said(NamedTuple):
    """A finding of either; no path when what it is about is gone with its file."""

    rule: str
    path: str | None
    line: int
    column: int
    package: str | None  # of which something was deleted


def buf(*arguments: str, cwd: Path) -> str:
    environment = os.environ | {"BUF_CACHE_DIR": str(cwd.parent / "buf-cache")}
    run = subprocess.run(
        [BUF, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode in (0, FOUND_SOMETHING), run.stderr
    return run.stdout


def said_by_buf(before: Path, after: Path, categories: Iterable[str]) -> list[Said]:
    config = json.dumps({"version": "v2", "breaking": {"use": list(categories)}})
    wanted = ("--error-format", "json", "--exclude-imports", "--config", config)
    printed = buf("breaking", "--against", str(before), *wanted, cwd=after)
    found = [json.loads(line) for line in printed.splitlines()]
    assert "COMPILE" not in {each["type"] for each in found}, printed
    return [
        Said(
            each["type"],
            each.get("path"),
            each["start_line"],
            each["start_column"],
            _package(each["message"]),
        )
        for each in found
    ]


def said_by_us(before: Path, after: Path, categories: Iterable[str]) -> list[Said]:
    section = f"{{use: [{', '.join(categories)}]}}"
    config = after.parent / "ours/buf.yaml"  # beside the trees, buf would read it too
    config.parent.mkdir(exist_ok=True)
    found = breaking(before, after, section, config)
    return [
        Said(
            each.rule,
            None if _is_gone(each.rule, each.path) else str(each.path.relative_to(after)),
            each.line,
            each.column,
            _package(each.message),
        )
        for each in found
    ]


def _is_gone(rule: str, path: Path) -> bool:
    return rule in ("FILE_NO_DELETE", "PACKAGE_NO_DELETE") or not path.exists()


def _package(message: str) -> str | None:
    found = re.search(r'deleted from package "([^"]*)"', message)
    return found[1] if found else None


def _canonical(said: Said, after: Path) -> Said:
    """The compilers place two things differently; both are moved to the word that begins them.

    A default stands for protoc at its value, for buf at the word `default`. Of features in braces
    protoc knows the whole, buf each one.
    """
    if said.path is None:
        return said
    before = (after / said.path).read_text(encoding="utf-8").splitlines()[said.line - 1]
    before = before[: said.column - 1]
    if said.rule == "FIELD_SAME_DEFAULT" and before.endswith("default = "):
        return said._replace(column=len(before) - len("default = ") + 1)
    if found := re.search(r"(option )?features(\.\(pb\.cpp\))? = \{[^}]*$", before):
        return said._replace(column=found.start() + 1)
    return said._replace(column=len(before) + 1)


def _buf_misses(said: Said, by_buf: Counter[Said]) -> bool:
    """buf is silent once a package has no message, no enum or no extension left at all."""
    if not re.fullmatch("PACKAGE_(MESSAGE|ENUM|EXTENSION)_NO_DELETE", said.rule):
        return False
    return (said.rule, said.package) not in {(each.rule, each.package) for each in by_buf}


def differences(before: Path, after: Path, categories: Iterable[str]) -> tuple[Counter[Said], ...]:
    """What only buf says, and what only we say, canonically and without what is argued."""
    chosen = list(categories)
    theirs = Counter(_canonical(each, after) for each in said_by_buf(before, after, chosen))
    ours = Counter(_canonical(each, after) for each in said_by_us(before, after, chosen))
    only_ours = Counter(
        {each: n for each, n in (ours - theirs).items() if not _buf_misses(each, theirs)}
    )
    return theirs - ours, only_ours


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """All cases as two trees."""
    folder = tmp_path_factory.mktemp("cases")
    for name, case in CASES.items():
        write_side(folder / "before", name, case.before)
        write_side(folder / "after", name, case.after)
    return folder / "before", folder / "after"


@pytest.mark.parametrize("category", FOUR)
def test_each_category_finds_what_buf_finds(category: str, cases: tuple[Path, Path]) -> None:
    assert differences(*cases, [category]) == (Counter(), Counter())


def test_every_rule_fires_in_buf_too(cases: tuple[Path, Path]) -> None:
    assert {each.rule for each in said_by_buf(*cases, FOUR)} == BOOK.rules.keys()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_rules_and_categories_are_those_of_buf(version: str, tmp_path: Path) -> None:
    wanted = ("ls-breaking-rules", "--include-deprecated", "--version", version, "--format", "json")
    rules = [json.loads(line) for line in buf("config", *wanted, cwd=tmp_path).splitlines()]
    theirs = {rule["id"]: set(rule["categories"]) & set(FOUR) for rule in rules}
    for former in (rule for rule in rules if rule["replacements"]):
        for rule_id in former["replacements"]:
            theirs[rule_id].add(former["id"])
        del theirs[former["id"]]
    ours = {rule_id: set(categories) for rule_id, categories in catalogue(version).items()}
    assert ours == theirs


def _compare_random(pairs: list[tuple[str, str]], folder: Path) -> None:
    for number, (before, after) in enumerate(pairs):
        write_side(folder / "before", f"p{number}", {"it.proto": before})
        write_side(folder / "after", f"p{number}", {"it.proto": after})
    assert differences(folder / "before", folder / "after", FOUR) == (Counter(), Counter())


def test_googleapis_with_every_third_field_changed(tmp_path: Path) -> None:
    """Real protos, in both directions: what one way is deleted is added on the way back."""
    scalar = re.compile(r"^  +(string|int32|int64|bool|bytes) (\w+) = (\d\d?);$", re.MULTILINE)
    changes = cycle(["", r"  double \2 = \3;", r"  uint64 \2 = \3;", r"  \1 new_\2 = \3;"])
    turns = count()

    def change(field: re.Match[str]) -> str:
        return field[0] if next(turns) % 3 else field.expand(next(changes))

    root = Path(status_pb2.__file__).parents[2]
    for path in sorted(root.glob("google/*/**/*.proto")):
        text = path.read_text(encoding="utf-8")
        changed = text if "api" in path.parts else scalar.sub(change, text)  # options are used
        for side, body in (("before", text), ("after", changed)):
            copy = tmp_path / side / path.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(body, encoding="utf-8")
    before, after = tmp_path / "before", tmp_path / "after"
    assert len(said_by_us(before, after, FOUR)) > 100
    assert differences(before, after, FOUR) == (Counter(), Counter())
    assert differences(after, before, FOUR) == (Counter(), Counter())


@settings(CALM, max_examples=12, derandomize=True, phases=[Phase.generate])
@given(st.lists(versions(), min_size=3, max_size=3))
def test_random_changes_of_random_trees(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]
) -> None:
    _compare_random(pairs, tmp_path_factory.mktemp("random"))


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@settings(CALM, max_examples=500)
@given(st.lists(versions(), min_size=1, max_size=3))
def test_very_many_random_changes(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]
) -> None:
    _compare_random(pairs, tmp_path_factory.mktemp("random"))
