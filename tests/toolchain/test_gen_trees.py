"""Real trees, strange trees and random trees: all of it compiles, imports and works."""

from __future__ import annotations

import json
import keyword
import shutil
import subprocess
import sys
import tempfile
import warnings
from importlib.metadata import files as files_of
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paycli.errors import InputError
from paycli.toolchain.gen.generate import bring_up_to_date
from paycli.toolchain.gen.verify import find_import_failures
from paycli.toolchain.protos.workspace import find_workspace, installed_includes
from tests.conftest import run_paycli

# Imports every module from a package, makes one message of each kind with all fields set, and reads
# it again; makes every stub and servicer.
ROUND_TRIP = """
import importlib, json, pickle, sys
import grpc
from google.protobuf import message_factory


def fill(message, depth=0):
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            value = field.enum_type.values[0].number if field.enum_type else field.default_value
            if field.is_repeated:
                getattr(message, field.name).extend([field_value(field), field_value(field)])
            else:
                setattr(message, field.name, field_value(field))
        elif field.message_type.GetOptions().map_entry:
            continue
        elif depth < 3:
            into = getattr(message, field.name)
            fill(into.add() if field.is_repeated else into, depth + 1)
            if not field.is_repeated:
                into.SetInParent()
    return message


def field_value(field):
    if field.enum_type:
        return field.enum_type.values[-1].number
    return {"string": "ä", "bytes": b"x", "bool": True}.get(KINDS[field.type], 7)


KINDS = {9: "string", 12: "bytes", 8: "bool"} | {n: "number" for n in (1, 2, 3, 4, 5, 6, 7, 13, 15, 16, 17, 18)}
KINDS |= {14: "enum", 11: "message", 10: "group"}
channel = grpc.insecure_channel("localhost:1")
messages = services = 0
for name in json.load(sys.stdin):
    module = importlib.import_module(name)
    if name.endswith("_grpc"):
        continue
    stubs = importlib.import_module(name + "_grpc")
    waiting = list(module.DESCRIPTOR.message_types_by_name.values())
    while waiting:
        descriptor = waiting.pop()
        waiting += descriptor.nested_types
        if descriptor.GetOptions().map_entry:
            continue
        made = fill(message_factory.GetMessageClass(descriptor)())
        assert type(made).FromString(made.SerializePartialToString()) == made
        messages += 1
    for service in module.DESCRIPTOR.services_by_name.values():
        stub = getattr(stubs, service.name + "Stub")(channel)
        servicer = getattr(stubs, service.name + "Servicer")()
        for method in service.methods:
            called = method.name + "_" * KEYWORD(method.name)
            assert hasattr(stub, called) and hasattr(servicer, called), called
        services += 1
print(json.dumps([messages, services]))
""".replace("KEYWORD(", "__import__('keyword').iskeyword(")


def compile_and_use(root: Path, out: Path) -> tuple[int, int]:
    """Generate, import from three folders deep, round-trip; how many messages and services."""
    made = bring_up_to_date(find_workspace([root], []), out)
    assert not find_import_failures(out, made.after.files)
    for name, content in made.contents.items():
        if name.endswith(".py"):
            with warnings.catch_warnings(action="error"):
                compile(content, name, "exec")
    package = ".".join(out.relative_to(out.parents[2]).parts)
    modules = [
        f"{package}.{name.removesuffix('.py').replace('/', '.')}"
        for name in sorted(made.after.files)
        if name.endswith(("_pb2.py", "_pb2_grpc.py"))
    ]
    run = subprocess.run(
        [sys.executable, "-B", "-c", ROUND_TRIP],
        cwd=out.parents[2],
        input=json.dumps(modules),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    messages, services = json.loads(run.stdout)
    return messages, services


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "at/some/depth"


@pytest.mark.parametrize(
    ("distribution", "protos"), [("googleapis-common-protos", 60), ("grpc-google-iam-v1", 4)]
)
def test_all_protos_of_a_wheel(tmp_path: Path, out: Path, distribution: str, protos: int) -> None:
    found = [file for file in files_of(distribution) or [] if file.suffix == ".proto"]
    assert len(found) >= protos
    for file in found:
        path = tmp_path / "proto" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(str(file.locate()), path)
    messages, _ = compile_and_use(tmp_path / "proto", out)
    assert messages > protos
    assert not list(out.glob("google/**/__init__.py"))


def test_the_well_known_types_are_those_of_the_runtime(tmp_path: Path, out: Path) -> None:
    """All of them vendored, in another release than the runtime's: none is compiled twice."""
    shutil.copytree(installed_includes()[0] / "google", tmp_path / "proto/google")
    names = [path.relative_to(tmp_path / "proto").as_posix() for path in tmp_path.rglob("*.proto")]
    assert len(names) > 10
    fields = {
        "any.proto": "google.protobuf.Any any = 1;",
        "struct.proto": "google.protobuf.Struct struct = 2; google.protobuf.Value value = 3;",
        "timestamp.proto": "map<string, google.protobuf.Timestamp> times = 4;",
        "wrappers.proto": "google.protobuf.Int64Value wrapped = 5;",
    }
    text = ['syntax = "proto3"; package mine;', *(f'import "{name}";' for name in names)]
    text.append(f"message All {{ {' '.join(fields.values())} }}")
    (tmp_path / "proto/mine.proto").write_text("\n".join(text))
    messages, _ = compile_and_use(tmp_path / "proto", out)
    assert messages >= 1
    assert not (out / "google/protobuf/timestamp_pb2.py").exists()
    assert "\nfrom google.protobuf import any_pb2" in (out / "mine_pb2.py").read_text()
    alone = find_workspace([tmp_path / "proto"], [tmp_path / "proto/google/protobuf/any.proto"])
    with pytest.raises(InputError, match=r"google/protobuf/any\.proto: protobuf brings its own"):
        bring_up_to_date(alone, out, whole_tree=False)


STRANGE = {
    "a.proto": 'syntax = "proto3"; message A { int32 x = 1; }',
    "a/b.proto": 'syntax = "proto3"; package a; import public "a.proto"; message B { A x = 1; }',
    "a-b/c-d.proto": (
        'syntax = "proto3"; package ab; import "a/b.proto"; message C { A x = 1; a.B y = 2; }'
        "service X { rpc Y(C) returns (A); }"
    ),
    "import/v1/k.proto": (
        'syntax = "proto3"; package import.v1; import "a.proto"; import "options.proto";'
        "message K { string class = 1; int32 from = 2; A a = 3; string None = 4 [(mark) = 1]; }"
        "message None { enum class { UNSET = 0; None = 1; } class as = 1; message True {} }"
        "service True { rpc import(K) returns (None); rpc from(stream None.True) returns (K);"
        "  rpc is(K) returns (stream K); rpc pass(stream K) returns (stream K); rpc Ok(K) returns (K); }"
    ),
    "sp ace/x y.proto": (
        'syntax = "proto3"; package sp; import public "a-b/c-d.proto";'
        "message Sp { ab.C x = 1; } service X { rpc Y(ab.C) returns (Sp); }"
    ),
    "ünï/cödé.proto": (
        'syntax = "proto3"; package uni; import "sp ace/x y.proto"; // ä " \\d """ \'\n'
        "message U { sp.Sp x = 1; ab.C c = 2; }"
        '// Says: \\d """ and \'quotes\' \\\n service X { rpc Y(sp.Sp) returns (U); }'
    ),
    "class/v.1.proto": (
        'edition = "2023"; package kw; import public "import/v1/k.proto"; import "ünï/cödé.proto";'
        "message U { import.v1.K x = 1; uni.U u = 2; }"
        "service X { rpc Y(import.v1.K) returns (U); rpc Z(import.v1.None) returns (U); }"
    ),
    "class.proto": (
        'syntax = "proto2"; import "class/v.1.proto"; message Cl { required kw.U u = 1;'
        " optional import.v1.None k = 2; extensions 10 to 20; optional group Gr = 3 { optional int32 x = 1; } }"
        "extend Cl { optional int32 zz = 10; }"
        "service T { rpc from(Cl) returns (import.v1.None); }"
    ),
    "options.proto": (
        'syntax = "proto3"; import "google/protobuf/descriptor.proto";'
        "extend google.protobuf.FieldOptions { int32 mark = 50001; }"
    ),
    "grpc/health/v1/health.proto": (
        'syntax = "proto3"; package own.health; message Ping {} service H { rpc P(Ping) returns (Ping); }'
    ),
}


def test_strange_names_in_a_strange_place(tmp_path: Path) -> None:
    root, out = tmp_path / "my protos ü=1", tmp_path / "at/some/dépth"
    for name, text in STRANGE.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert compile_and_use(root, out) == (12, 7)
    program = """
import importlib
from at.some.dépth import a_pb2, a
from at.some.dépth.a import b_pb2
k = importlib.import_module("at.some.dépth.import.v1.k_pb2")
v = importlib.import_module("at.some.dépth.class.v.1_pb2")
assert b_pb2.A is a_pb2.A
assert k.DESCRIPTOR.name == "import/v1/k.proto"
assert getattr(v, "None") is getattr(k, "None")
assert k.K.DESCRIPTOR.fields_by_name["None"].GetOptions().Extensions[
    importlib.import_module("at.some.dépth.options_pb2").mark] == 1
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


def test_the_top_of_sys_path_keeps_what_is_installed(tmp_path: Path) -> None:
    """Whoever generates into a folder on sys.path still gets the real google and grpc."""
    for name in ("grpc/health/v1/h.proto", "google/type/mine.proto"):
        path = tmp_path / "proto" / name
        path.parent.mkdir(parents=True)
        path.write_text('syntax = "proto3"; import "google/type/money.proto";')
    assert run_paycli("gen", "--out", "src", cwd=tmp_path).returncode == 0
    program = (
        "import grpc, google.protobuf.message, google.type.money_pb2; assert grpc.insecure_channel"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path / "src", check=True)


WORDS = [
    *(word for word in keyword.kwlist),
    "Order",
    "money",
    "Zebra",
    "x1",
    "self",
    "grpc",
    "match",
]
SCALARS = ["int32", "sint64", "fixed64", "double", "float", "bool", "string", "bytes", "uint64"]


@st.composite
def trees(draw: st.DrawFn) -> dict[str, str]:
    """Files that import earlier ones, in every syntax, with words that Python keeps to itself."""
    files: dict[str, str] = {}
    known: list[str] = []  # messages that later files can use, fully named
    visible: dict[str, list[str]] = {}
    for number in range(draw(st.integers(1, 4))):
        syntax = draw(
            st.sampled_from(['syntax = "proto2"', 'syntax = "proto3"', 'edition = "2023"'])
        )
        folder = "/".join(draw(st.lists(st.sampled_from(WORDS), max_size=3)))
        name = f"{folder}/f{number}.proto".lstrip("/")
        package = f"p{number}." + draw(st.sampled_from(WORDS))
        imports = draw(st.lists(st.sampled_from(sorted(files)), unique=True)) if files else []
        lines = [f"{syntax};", f"package {package};"]
        usable: list[str] = []
        for imported in imports:
            public = draw(st.booleans())
            lines.append(f'import {"public " * public}"{imported}";')
            usable += visible[imported]
        own: list[str] = []
        label = "optional " if "proto2" in syntax else ""
        for message in draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3, unique=True)):
            own.append(f".{package}.{message}")
            types = SCALARS + usable + own
            fields = draw(st.lists(st.sampled_from(WORDS), max_size=4, unique_by=str.lower))
            lines.append(f"message {message} {{")
            for index, field in enumerate(fields, start=1):
                kind = draw(st.sampled_from([label, label, "repeated ", "map", "oneof"]))
                type_ = draw(st.sampled_from(types))
                written = {
                    "map": f"map<string, {type_}> {field} = {index};",
                    "oneof": f"oneof of{index} {{ {type_} {field} = {index}; }}",
                }.get(kind, f"{kind}{type_} {field} = {index};")
                lines.append(f"  {written}")
            lines.append("}")
        methods = draw(st.lists(st.sampled_from(WORDS), max_size=3, unique=True))
        for index, method in enumerate(methods):
            asked, answered = (draw(st.sampled_from(own + usable)) for _ in range(2))
            streams = draw(st.sampled_from(["", "stream "]))
            lines.append(
                f"service S{index} {{ rpc {method}({streams}{asked}) returns ({answered}); }}"
            )
        visible[name] = own
        known += own
        files[name] = "\n".join(lines)
    return files


def check_random_tree(tree: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in tree.items():
            path = Path(folder, "proto", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        messages, _ = compile_and_use(Path(folder, "proto"), Path(folder, "at/some/depth"))
        assert messages == sum(text.count("\nmessage ") for text in tree.values())


QUIETLY: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],
    "print_blob": True,
}


@settings(max_examples=8, **QUIETLY)
@given(trees())
def test_random_trees(tree: dict[str, str]) -> None:
    check_random_tree(tree)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@settings(max_examples=400, **QUIETLY)
@given(trees())
def test_many_random_trees(tree: dict[str, str]) -> None:
    check_random_tree(tree)
