"""Who imports what changed is compiled again only when it must, and is then, or left, the same bytes."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paycli.errors import InputError
from paycli.toolchain.gen.generate import Generated, bring_up_to_date, generate
from paycli.toolchain.protos.workspace import find_workspace
from tests.toolchain.test_gen_trees import trees

MONEY = """syntax = "proto2";
package acme;
message Money {
  optional int64 minor = 1;
  extensions 100 to 199;
  message Inner {}
}
enum Kind { NONE = 0; SOME = 1; }
service Bank { rpc Open(Money) returns (Money); }
"""
CART = """syntax = "proto2";
package acme;
import "money.proto";
message Cart { optional Money sum = 1; optional Kind kind = 2 [default = SOME]; }
extend Money { optional string note = 100; }
"""
SHOP = 'syntax = "proto2"; package acme; import "cart.proto"; message Shop { optional Cart c = 1; }'
MARKED = """syntax = "proto2";
package acme;
import "money.proto";
import "google/protobuf/descriptor.proto";
extend google.protobuf.FieldOptions { optional Money price = 50000; }
"""
USER = """syntax = "proto2";
package acme;
import "marked.proto";
message User { optional string name = 1 [(price) = { minor: 5 }]; }
"""
TREE = {"money.proto": MONEY, "cart.proto": CART, "shop.proto": SHOP}


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / "proto" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def make(root: Path, out: str = "out", *protos: str) -> Generated:
    workspace = find_workspace([root / "proto"], [root / "proto" / name for name in protos])
    return bring_up_to_date(workspace, root / out, whole_tree=not protos)


def outcome(root: Path, out: str) -> dict[str, bytes] | str:
    """All that is in the output folder, or what was said."""
    try:
        make(root, out)
    except InputError as problem:
        return str(problem)
    return {str(p.relative_to(root / out)): p.read_bytes() for p in (root / out).rglob("*.*")}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("minor = 1", "minor = 2"),
        ("optional int64 minor", "repeated string minors"),
        ("int64 minor = 1;", "int64 minor = 1; oneof one { Money more = 2; Kind kind = 3; }"),
        ("package acme;", "package acme; // said"),
        ("rpc Open(Money)", "rpc Shut(Money) returns (Money); rpc Open(stream Money)"),
    ],
)  # fmt: skip
def test_fields_and_methods_are_nobody_elses_business(tmp_path: Path, old: str, new: str) -> None:
    put(tmp_path, TREE)
    make(tmp_path)
    assert old in MONEY
    put(tmp_path, {"money.proto": MONEY.replace(old, new)})
    assert make(tmp_path).compiled == ("money.proto",)
    assert outcome(tmp_path, "out") == outcome(tmp_path, "fresh")


@pytest.mark.parametrize(
    ("old", "new", "fails"),
    [
        ("message Inner {}", "message Other {}", ""),
        ("message Inner {}", "message Inner {} map<string, string> m = 3;", ""),
        ("SOME = 1", "SOME = 2", ""),
        ("SOME = 1", "FEW = 1", 'no value named "SOME"'),
        ("100 to 199", "101 to 199", 'does not declare 100 as an extension number'),
        ("optional int64 minor = 1;", "option message_set_wire_format = true;", "MessageSet"),
        ("service Bank", "service Safe", ""),
        ("package acme;", "package other;", "is not defined"),
        ("message Money", "message Cash {} message Money", ""),
    ],
)  # fmt: skip
def test_what_importers_go_by_takes_them_along(
    tmp_path: Path, old: str, new: str, fails: str
) -> None:
    put(tmp_path, TREE)
    make(tmp_path)
    assert old in MONEY
    put(tmp_path, {"money.proto": MONEY.replace(old, new)})
    if fails:
        with pytest.raises(InputError, match=fails):
            make(tmp_path)
    else:
        assert len(make(tmp_path).compiled) == 3
    assert outcome(tmp_path, "out") == outcome(tmp_path, "fresh")


def test_custom_options_are_written_by_fields(tmp_path: Path) -> None:
    put(tmp_path, {**TREE, "marked.proto": MARKED, "user.proto": USER})
    make(tmp_path)
    put(tmp_path, {"money.proto": MONEY.replace("minor = 1", "minor = 7")})
    assert make(tmp_path).compiled == ("marked.proto", "money.proto", "user.proto")
    assert outcome(tmp_path, "out") == outcome(tmp_path, "fresh")
    put(tmp_path, {"money.proto": MONEY.replace("minor", "major")})
    with pytest.raises(InputError, match='no field named "minor"'):
        make(tmp_path)


def test_code_that_cannot_be_compared_is_not_believed(tmp_path: Path) -> None:
    put(tmp_path, TREE)
    make(tmp_path)
    (tmp_path / "out/money_pb2.py").unlink()
    put(tmp_path, {"money.proto": MONEY.replace("minor = 1", "minor = 2")})
    assert len(make(tmp_path).compiled) == 3


def test_a_file_compiled_alone_leaves_the_rest_to_the_next_run(tmp_path: Path) -> None:
    put(tmp_path, TREE)
    make(tmp_path)
    put(tmp_path, {"money.proto": MONEY.replace("Money", "Cash")})
    assert make(tmp_path, "out", "money.proto").compiled == ("money.proto",)
    with pytest.raises(InputError, match='"Money" is not defined'):
        generate(find_workspace([tmp_path / "proto"], []), tmp_path / "out")
    put(tmp_path, {"money.proto": MONEY, "cart.proto": CART})
    make(tmp_path)
    assert outcome(tmp_path, "out") == outcome(tmp_path, "fresh")


EDITS: dict[str, tuple[str, str]] = {
    "a field less": (r"\n  [^\n{}]* = \d+;", ""),
    "another number": (r" = (\d);", r" = 5\1;"),
    "another type": (r"\n  (optional |repeated |)(int32|string|bytes|bool) ", r"\n  \1double "),
    "a field more": (r"(message \w+ \{)", r"\1 repeated int32 zz = 77;"),
    "a map more": (r"(message \w+ \{)", r"\1 map<string, int32> zz = 77;"),
    "a oneof more": (r"(message \w+ \{)", r"\1 oneof zz { int32 yy = 77; }"),
    "a type more": (r"(message \w+ \{)", r"message Zz {} \1"),
    "a type inside": (r"(message \w+ \{)", r"\1 message Zz {} enum None { ZZ = 0; }"),
    "another name": (r"message (\w+) \{", r"message \1x {"),
    "a method more": (r"(service \w+ \{)", r"\1 rpc Zz(In) returns (In);"),
    "a service more": (r"\Z", r"\nmessage In {} service Zz { rpc from(In) returns (In); }"),
    "another package": (r"package (\w+)\.", r"package \1x."),
    "an import that is public": (r"import (public )?", r"import public "),
    "an import that is not": (r"import (public )?", r"import "),
    "no import": (r'import [^\n]*\n', ""),
    "another syntax": (r'syntax = "proto3"', 'edition = "2023"'),
    "closed enums": (r"(package [^\n]*\n)", r"\1option features.enum_type = CLOSED;\n"),
    "a comment": (r"(message \w+ \{)", r"// \\said\n\1"),
}  # fmt: skip


def check_edit(tree: dict[str, str], edits: list[tuple[int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        put(root, tree)
        outcome(root, "out")
        for number, kind in edits:
            name = sorted(tree)[number % len(tree)]
            pattern, new = EDITS[kind]
            tree = tree | {name: re.sub(pattern, new, tree[name], count=1)}
            put(root, tree)
        found, fresh = outcome(root, "out"), outcome(root, "fresh")
        assert found == fresh or (isinstance(found, str) and isinstance(fresh, str))


QUIETLY: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],
    "print_blob": True,
}
EDITED = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(sorted(EDITS))), min_size=1, max_size=2
)


@settings(max_examples=25, **QUIETLY)
@given(trees(), EDITED)
def test_an_edited_tree_is_as_if_made_afresh(
    tree: dict[str, str], edits: list[tuple[int, str]]
) -> None:
    check_edit(tree, edits)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@settings(max_examples=2000, **QUIETLY)
@given(trees(), EDITED)
def test_many_edited_trees_are_as_if_made_afresh(
    tree: dict[str, str], edits: list[tuple[int, str]]
) -> None:
    check_edit(tree, edits)
