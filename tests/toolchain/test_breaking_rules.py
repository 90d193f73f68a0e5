"""`paycli breaking`: each rule fires where it should, in the categories that it should."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from paycli.toolchain.breaking.former import read_former
from paycli.toolchain.breaking.rules import BOOK
from paycli.toolchain.breaking.run import find_breaking
from paycli.toolchain.protos.protoc import compile_descriptors
from paycli.toolchain.protos.workspace import find_workspace
from paycli.toolchain.rules.buf_config import load_buf_config
from paycli.toolchain.rules.findings import Finding
from tests.toolchain.breaking_cases import CASES, write_side

ROOT = Path(__file__).parents[2]


def breaking(before: Path, after: Path, breaking_section: str, config: Path) -> list[Finding]:
    """What `after` breaks, by a buf.yaml with that section."""
    config.write_text(f"version: v2\nbreaking: {breaking_section}\n", encoding="utf-8")
    settings = load_buf_config(config, [after])
    workspace = settings.workspace([])
    return find_breaking(workspace, read_former(str(before), workspace, settings), settings)


def one_file(folder: Path, before: str, after: str, section: str = "{}") -> list[Finding]:
    """What the change of one file, `pay/it.proto`, breaks."""
    for side, body in (("before", before), ("after", after)):
        write_side(folder / side, "pay", {"it.proto": body})
    return breaking(folder / "before", folder / "after", section, folder / "buf.yaml")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Case → the rules that fire, with all rules on, from one comparison of all cases."""
    folder = tmp_path_factory.mktemp("cases")
    for name, case in CASES.items():
        write_side(folder / "before", name, case.before)
        write_side(folder / "after", name, case.after)
    everything = "{use: [FILE, PACKAGE, WIRE_JSON, WIRE]}"
    fired: dict[str, set[str]] = {name: set() for name in CASES}
    for each in breaking(folder / "before", folder / "after", everything, folder / "buf.yaml"):
        fired[each.path.relative_to(folder / "after").parts[0]].add(each.rule)
    return fired


@pytest.mark.parametrize("name", CASES)
def test_exactly_the_expected_rules_fire(name: str, found: dict[str, set[str]]) -> None:
    assert found[name] == CASES[name].fires


def test_every_rule_fires_somewhere() -> None:
    assert set().union(*(case.fires for case in CASES.values())) == BOOK.rules.keys()


def test_the_docs_list_every_rule() -> None:
    docs = (ROOT / "docs/breaking.md").read_text(encoding="utf-8")
    for rule in BOOK.rules.values():
        assert rule.purpose, f"{rule.id} has no docstring"
        row = f"| `{rule.id}` | {', '.join(rule.categories)} | {rule.purpose.rstrip('.')} |\n"
        assert row in docs


def test_a_finding_says_where_what_and_to_whom(tmp_path: Path) -> None:
    [finding] = one_file(
        tmp_path,
        "message M { string currency = 3; }",
        "message M { reserved 3; }",
    )
    assert str(finding.path.relative_to(tmp_path)) == "after/pay/it.proto"
    assert (finding.line, finding.column, finding.rule) == (3, 1, "FIELD_NO_DELETE")
    assert finding.message == (
        'Field 3 "currency" of "M" was deleted: '
        "what a client still sends as field 3 is dropped unread."
    )


def test_a_file_that_is_gone_is_named_where_it_was(tmp_path: Path) -> None:
    write_side(tmp_path / "before", "pay", {"a.proto": "", "b.proto": ""})
    write_side(tmp_path / "after", "pay", {"a.proto": ""})
    [finding] = breaking(tmp_path / "before", tmp_path / "after", "{}", tmp_path / "buf.yaml")
    place = (finding.path, finding.line, finding.column)
    assert place == (tmp_path / "after/pay/b.proto", 1, 1)


def test_an_import_that_is_no_longer_used_is_no_loss(tmp_path: Path) -> None:
    use = 'import "google/protobuf/empty.proto";\nservice S { rpc R(google.protobuf.Empty) '
    before = f"{use}returns (google.protobuf.Empty); }}\nmessage M {{}}"
    after = "service S { rpc R(M) returns (M); }\nmessage M {}"
    rules = {finding.rule for finding in one_file(tmp_path, before, after)}
    assert rules == {"RPC_SAME_REQUEST_TYPE", "RPC_SAME_RESPONSE_TYPE"}


def test_a_set_without_json_names_and_imports_is_like_the_protos(tmp_path: Path) -> None:
    """As reflection serves it and other tools write it."""
    body = (
        'import "google/protobuf/any.proto";\n'
        "message M { string a_b_ = 1; google.protobuf.Any __c_2d = 2; E e = 3; map<int32, M> m = 4; }"
        "\nenum E { E_ZERO = 0; }"
    )
    write_side(tmp_path / "proto", "pay", {"it.proto": body})
    workspace = find_workspace([tmp_path / "proto"], [])
    descriptors = compile_descriptors(workspace)
    [file] = [each for each in descriptors.file if each.name == "pay/it.proto"]
    file.ClearField("source_code_info")
    for message in (file.message_type[0], *file.message_type[0].nested_type):
        for field in message.field:
            field.ClearField("json_name")
    old = tmp_path / "old.binpb"
    old.write_bytes(FileDescriptorSet(file=[file]).SerializeToString())
    everything = "{use: [FILE, PACKAGE, WIRE_JSON, WIRE]}"
    assert breaking(old, tmp_path / "proto", everything, tmp_path / "buf.yaml") == []


RENAMED = ("message M { string a = 1; }", "message M { string b = 1; }")


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("{}", {"FIELD_SAME_NAME", "FIELD_SAME_JSON_NAME"}),
        ("{use: [WIRE]}", set()),
        ("{use: [FIELD_SAME_NAME]}", {"FIELD_SAME_NAME"}),
        ("{except: [FIELD_SAME_NAME]}", {"FIELD_SAME_JSON_NAME"}),
        ("{ignore: [after/pay]}", set()),
        ("{ignore: [after/other]}", {"FIELD_SAME_NAME", "FIELD_SAME_JSON_NAME"}),
        ("{ignore_only: {FIELD_SAME_NAME: [after/pay/it.proto]}}", {"FIELD_SAME_JSON_NAME"}),
        ("{ignore_only: {WIRE_JSON: [after/pay/it.proto]}}", set()),
    ],
)
def test_a_buf_yaml_chooses_rules_and_excuses_files(
    section: str, expected: set[str], tmp_path: Path
) -> None:
    assert {finding.rule for finding in one_file(tmp_path, *RENAMED, section)} == expected


@pytest.mark.parametrize(
    ("package", "unstable"),
    [
        ("acme.v1", False),
        ("acme.v1alpha", True),
        ("acme.v1beta2", True),
        ("acme.v1p1beta1", True),
        ("acme.v2test", True),
        ("acme.v2testing.pay", False),
        ("v1beta1", False),
        ("acme.v0beta1", False),
    ],
)
def test_unstable_packages_may_break_where_that_is_said(
    package: str, unstable: bool, tmp_path: Path
) -> None:
    before, after = (f'syntax = "proto3";\npackage {package};\n{body}' for body in RENAMED)
    found = one_file(tmp_path, before, after, "{ignore_unstable_packages: true}")
    assert bool(found) is not unstable


@pytest.mark.parametrize("ignored", ["old", "new"])
def test_either_file_of_what_moved_may_be_excused(ignored: str, tmp_path: Path) -> None:
    write_side(tmp_path / "before", "pay", {"old.proto": RENAMED[0], "new.proto": ""})
    write_side(tmp_path / "after", "pay", {"old.proto": "", "new.proto": RENAMED[1]})
    sides = (tmp_path / "before", tmp_path / "after")
    config = tmp_path / "buf.yaml"
    assert len(breaking(*sides, "{use: [FIELD_SAME_NAME]}", config)) == 1
    excuse = f"ignore: [after/pay/{ignored}.proto]"
    assert breaking(*sides, f"{{use: [FIELD_SAME_NAME], {excuse}}}", config) == []


def test_what_a_module_leaves_out_may_break(tmp_path: Path) -> None:
    for side, body in zip(("before", "after"), RENAMED, strict=True):
        for name in ("pay", "drafts"):
            write_side(tmp_path / side, name, {"it.proto": body})
    config = tmp_path / "buf.yaml"
    config.write_text(
        "version: v2\nmodules: [{path: after, excludes: [after/drafts]}]\n", encoding="utf-8"
    )
    settings = load_buf_config(config, [])
    workspace = settings.workspace([])
    found = find_breaking(
        workspace, read_former(str(tmp_path / "before"), workspace, settings), settings
    )
    assert {finding.path for finding in found} == {tmp_path / "after/pay/it.proto"}


def test_each_module_has_its_own_say(tmp_path: Path) -> None:
    for side, body in (("before", RENAMED[0]), ("a", RENAMED[1]), ("b", RENAMED[1])):
        for name in ("x", "y"):
            if side in ("before", {"x": "a", "y": "b"}[name]):
                write_side(tmp_path / side, name, {"it.proto": body})
    config = tmp_path / "buf.yaml"
    config.write_text(
        "version: v2\nmodules:\n  - {path: a, breaking: {use: [WIRE]}}\n"
        "  - {path: b, breaking: {use: [FIELD_SAME_NAME]}}\n",
        encoding="utf-8",
    )
    settings = load_buf_config(config, [])
    workspace = settings.workspace([])
    former = read_former(str(tmp_path / "before"), workspace, settings)
    [finding] = find_breaking(workspace, former, settings)
    assert (finding.path, finding.rule) == (tmp_path / "b/y/it.proto", "FIELD_SAME_NAME")
