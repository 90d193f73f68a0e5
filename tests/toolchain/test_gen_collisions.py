"""Names that are two in a proto and one in Python are refused at their line, and only these."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paycli.errors import InputError
from paycli.toolchain.gen.generate import bring_up_to_date
from paycli.toolchain.protos.workspace import find_workspace

GET = "rpc Get(In) returns (In);"


def make(tree: Path, body: str) -> None:
    (tree / "proto").mkdir(exist_ok=True)
    text = f'syntax = "proto2";\npackage p;\nmessage In {{ extensions 1 to 9; }}\n{body}\n'
    (tree / "proto/my_file.proto").write_text(text)
    bring_up_to_date(find_workspace([tree / "proto"], []), tree / "out")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "message A { optional int32 foo = 1; ^message FOO_FIELD_NUMBER {} }",
            'message "FOO_FIELD_NUMBER" would take the place of the number of field "foo"',
        ),
        (
            "message A { message B { optional int32 foo = 1; ^enum FOO_FIELD_NUMBER { X = 0; } } }",
            'enum "FOO_FIELD_NUMBER" would take the place of the number of field "foo"',
        ),
        (
            "message A { repeated A foo = 1; enum E { X = 0; ^FOO_FIELD_NUMBER = 7; } }",
            'enum value "FOO_FIELD_NUMBER" would take the place of the number of field "foo"',
        ),
        (
            "message A { extend In { optional int32 foo = 1; } ^message FOO_FIELD_NUMBER {} }",
            'message "FOO_FIELD_NUMBER" would take the place of the number of field "foo"',
        ),
        (
            "extend In { optional int32 foo = 1; }\n^enum FOO_FIELD_NUMBER { X = 0; }",
            'enum "FOO_FIELD_NUMBER" would take the place of the number of field "foo"',
        ),
        (
            f"service One {{ {GET} }}\n^service OneStub {{ {GET} }}",
            'service "OneStub" would take the place of service "One": both are OneStub in Python',
        ),
        (
            f"service OneServicer {{ {GET} }}\n^service One {{ {GET} }}",
            'service "One" would take the place of service "OneServicer"',
        ),
        ("service None {}\n^service None_ {}", "both are None_ in Python"),
        (
            "service S { rpc from(In) returns (In);\n  ^rpc from_(In) returns (In); }",
            'rpc "from_" would take the place of rpc "from": both are from_ in Python',
        ),
        (
            "service S { ^rpc __init__(In) returns (In); }",
            'rpc "__init__" would take the place of what Python itself calls, or renames',
        ),
        (
            f"^service grpc {{ {GET} }}",
            'service "grpc" would take the place of what all gRPC code uses',
        ),
        (f"^service my__file__pb2 {{ {GET} }}", "what all gRPC code uses: both are my__file__pb2"),
    ],
)  # fmt: skip
def test_a_name_that_takes_the_place_of_another(tmp_path: Path, body: str, said: str) -> None:
    before = body.partition("^")[0].split("\n")
    with pytest.raises(InputError) as refused:
        make(tmp_path, body.replace("^", ""))
    first = str(refused.value).splitlines()[0]
    line, column = 3 + len(before), len(before[-1]) + 1
    assert first.startswith(f"{tmp_path}/proto/my_file.proto:{line}:{column}: ")
    assert said in first
    assert first.endswith(" Rename one of them.")
    assert not (tmp_path / "out").exists()


def test_a_name_that_takes_no_place_is_left_alone(tmp_path: Path) -> None:
    body = (
        "message FOO_FIELD_NUMBER { optional int32 foo = 1; optional int32 FOO = 2; }"
        "message A { optional FOO_FIELD_NUMBER FOO_FIELD_NUMBER = 1; }"
        f"service Two {{ {GET} rpc Two(In) returns (In); rpc _Stub(In) returns (In); }}"
        f"service TwoStubs {{ {GET} }} service Stub {{ {GET} }} service warnings {{ {GET} }}"
    )
    make(tmp_path, body)
    program = (
        "import out.my_file_pb2 as m, out.my_file_pb2_grpc as g, grpc;"
        "assert m.FOO_FIELD_NUMBER(foo=3).foo == 3;"
        "channel = grpc.insecure_channel('localhost:1');"
        "[getattr(g, s + 'Stub')(channel).Get for s in ('Two', 'TwoStubs', 'Stub', 'warnings')]"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=tmp_path, check=True)
