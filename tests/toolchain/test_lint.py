"""`paycli lint`: every rule, against buf itself, and how the command answers."""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from paycli.toolchain.lint.catalogue import catalogue
from paycli.toolchain.lint.rules import BOOK
from paycli.toolchain.lint.run import lint
from paycli.toolchain.rules.buf_config import load_buf_config
from tests.conftest import run_paycli
from tests.toolchain.lint_cases import CASES, HEAD, Case

ROOT = Path(__file__).parents[2]
BUF = Path(sys.executable).with_name("buf")
CATEGORIES = ("MINIMAL", "BASIC", "STANDARD", "COMMENTS", "UNARY_RPC")

Place = tuple[str, int, int, str]


def write(folder: Path, case: Case) -> None:
    for name, text in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "buf.yaml").write_text(f"version: v2\n{case.config}", encoding="utf-8")


def found_by_paycli() -> list[Place]:
    """In the working directory: file, line, column, rule."""
    findings = lint(load_buf_config(None, []), [])
    return [(each.path.as_posix(), each.line, each.column, each.rule) for each in findings]


def found_by_buf() -> list[Place]:
    run = subprocess.run([BUF, "lint", "--error-format", "json"], capture_output=True, check=False)
    assert run.returncode in {0, 100}, run.stderr
    findings = [json.loads(line) for line in run.stdout.splitlines()]
    # buf leaves out the place of what is not in the source.
    return [
        (each["path"], each.get("start_line", 1), each.get("start_column", 1), each["type"])
        for each in findings
    ]


@pytest.mark.parametrize("name", CASES)
def test_findings_are_those_of_buf(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, CASES[name])
    monkeypatch.chdir(tmp_path)
    found = found_by_paycli()
    assert CASES[name].breaks <= {rule for *_, rule in found}
    assert Counter(found) == Counter(found_by_buf())


def test_every_rule_is_broken_by_a_case() -> None:
    assert set().union(*(case.breaks for case in CASES.values())) == BOOK.rules.keys()


def test_the_docs_list_every_rule() -> None:
    docs = (ROOT / "docs/lint.md").read_text(encoding="utf-8")
    for rule in BOOK.rules.values():
        category = (rule.categories or ("none",))[0]
        assert f"| `{rule.id}` | {category} | {rule.purpose.rstrip('.')} |\n" in docs


def test_rules_and_categories_are_those_of_buf() -> None:
    for version in ("v1", "v2"):
        run = subprocess.run(
            [BUF, "config", "ls-lint-rules", "--version", version, "--format", "json"],
            capture_output=True,
            check=True,
        )
        known = {rule: set(names) for rule, names in catalogue(version).items()}
        known.pop("IMPORT_NO_WEAK", None)  # not listed any more, but still taken
        listed = [json.loads(line) for line in run.stdout.splitlines()]
        assert known == {each["id"]: set(each["categories"]) for each in listed}


@pytest.mark.parametrize("category", CATEGORIES)
def test_googleapis_and_the_well_known_types_get_the_findings_of_buf(
    category: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package, root in (("google.rpc", 2), ("grpc_tools", 1)):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations is not None
        folder = Path(next(iter(spec.submodule_search_locations)))
        installed = folder.parents[1] if root == 2 else folder / "_proto"
        for path in (installed / "google").rglob("*.proto"):
            copy = tmp_path / path.relative_to(installed)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    assert len(list(tmp_path.rglob("*.proto"))) > 60
    (tmp_path / "buf.yaml").write_text(f"version: v2\nlint: {{use: [{category}]}}\n")
    monkeypatch.chdir(tmp_path)
    assert Counter(found_by_paycli()) == Counter(found_by_buf())


def test_every_spelling_is_judged_as_buf_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(6)
    letters = {"".join(dice.choices("aAbB1_", k=dice.randint(1, 7))) for _ in range(600)}
    names = sorted(name for name in letters if name[0] != "1")
    assert len(names) > 300
    parts = [HEAD]
    for i, name in enumerate(names):
        parts.append(f"message {name} {{}}\n")
        parts.append(f"message F{i} {{ string {name}_{i} = 1; oneof {name} {{ int32 x = 2; }} }}\n")
        parts.append(f"enum E{i}{name} {{ E{i}{name}_{i} = 0; }}\n")
    write(tmp_path, Case({"a/v1/a.proto": "".join(parts)}, set()))
    monkeypatch.chdir(tmp_path)
    assert Counter(found_by_paycli()) == Counter(found_by_buf())


def test_a_comment_in_the_line_of_what_it_explains_counts_here_and_not_in_buf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = HEAD + "// A.\nmessage A {\n  /* Why. */ string b = 1;\n  string c = 2;\n}\n"
    write(tmp_path, Case({"a/v1/a.proto": text}, set(), "lint: {use: [COMMENTS]}\n"))
    monkeypatch.chdir(tmp_path)
    assert found_by_paycli() == [("a/v1/a.proto", 6, 3, "COMMENT_FIELD")]
    assert Counter(found_by_buf()) - Counter(found_by_paycli()) == Counter(
        {("a/v1/a.proto", 5, 14, "COMMENT_FIELD"): 1}
    )


def test_v1_leaves_comments_and_some_rules_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for config in ("", "lint: {allow_comment_ignores: true, ignore: [b]}\n"):
        write(tmp_path, CASES["excused"])
        write(tmp_path, CASES["imports"])
        (tmp_path / "buf.yaml").write_text(f"version: v1\n{config}", encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        assert Counter(found_by_paycli()) == Counter(found_by_buf())


def test_a_workspace_of_v1_is_read_as_buf_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, CASES["modules in a circle"])
    (tmp_path / "buf.yaml").unlink()
    (tmp_path / "buf.work.yaml").write_text("version: v1\ndirectories: [one, two]\n")
    (tmp_path / "two/buf.yaml").write_text(
        "version: v1\nlint: {use: [PACKAGE_NO_IMPORT_CYCLE, COMMENTS], ignore: [b/v1/b.proto]}\n"
    )
    monkeypatch.chdir(tmp_path)
    found = found_by_paycli()
    assert len(found) == 6
    assert Counter(found) == Counter(found_by_buf())


def test_a_finding_has_its_line_and_a_caret_and_exits_1(tmp_path: Path) -> None:
    write(tmp_path, CASES["places"])
    run = run_paycli("lint", cwd=tmp_path)
    assert run.returncode == 1
    assert "a/v1/a.proto:3:17: MESSAGE_PASCAL_CASE Message 'tab_message' is not" in run.stdout
    lines = run.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if "Field 'C'" in line)
    assert lines[at + 2].index("^") == lines[at + 1].index("C")
    assert "findings in 1 file." in run.stderr


def test_a_clean_tree_exits_0_in_every_format(tmp_path: Path) -> None:
    write(tmp_path, CASES["clean"])
    for form in ("text", "json", "github"):
        run = run_paycli("lint", "--format", form, cwd=tmp_path)
        assert (run.returncode, run.stdout, run.stderr) == (0, "", "No findings.\n")
    junit = run_paycli("lint", "--format", "junit", cwd=tmp_path)
    assert 'failures="0"' in junit.stdout


def test_json_is_the_short_way_to_say_format_json(tmp_path: Path) -> None:
    write(tmp_path, CASES["places"])
    short = run_paycli("lint", "--json", cwd=tmp_path)
    assert json.loads(short.stdout.splitlines()[0])["path"] == "a/v1/a.proto"
    assert short.stdout == run_paycli("lint", "--format", "json", cwd=tmp_path).stdout


def test_one_file_alone_and_a_root_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, CASES["modules"])
    (tmp_path / "buf.yaml").unlink()
    run = run_paycli("lint", "-I", "one", "-I", "two", "two/b/v1/b.proto", "--json", cwd=tmp_path)
    assert run.returncode == 1
    assert {json.loads(line)["path"] for line in run.stdout.splitlines()} == {"two/b/v1/b.proto"}


def test_a_broken_proto_or_config_exits_2(tmp_path: Path) -> None:
    write(tmp_path, Case({"a/v1/a.proto": "message {"}, set()))
    broken = run_paycli("lint", cwd=tmp_path)
    assert (broken.returncode, broken.stdout) == (2, "")
    assert "a/v1/a.proto:1:9: Expected" in broken.stderr
    (tmp_path / "buf.yaml").write_text("version: v2\nlint: {use: [STANDRAD]}\n")
    wrong = run_paycli("lint", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "buf.yaml:2:14: 'STANDRAD' is no rule" in wrong.stderr
    missing = run_paycli("lint", "--config", "no.yaml", cwd=tmp_path)
    assert (missing.returncode, "no.yaml: no such file" in missing.stderr) == (2, True)


def test_rules_of_plugins_are_left_to_buf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = "plugins: [{plugin: buf-plugin-x}]\nlint: {use: [BASIC, X_RULE], except: [X_TWO]}\n"
    write(tmp_path, Case({"a/v1/a.proto": HEAD + "message m {}\n"}, set(), config))
    monkeypatch.chdir(tmp_path)
    assert [rule for *_, rule in found_by_paycli()] == ["MESSAGE_PASCAL_CASE"]


def test_our_own_protos_are_clean() -> None:
    run = run_paycli("lint", cwd=ROOT)
    assert (run.returncode, run.stdout) == (0, ""), run.stdout
