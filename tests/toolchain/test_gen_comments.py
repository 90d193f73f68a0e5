"""A comment in a proto is text: it is shown as it was written, and never becomes code."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paycli.errors import InputError
from paycli.toolchain.gen.generate import bring_up_to_date
from paycli.toolchain.protos.workspace import find_workspace
from tests.conftest import run_paycli

# One comment for each @: service, rpc, message, fields, oneof's field, enums, value, extension.
TEMPLATE = """syntax = "proto2";
package talk;
@
service Talk {
  @
  rpc Say(M) returns (M);
  rpc Quiet(M) returns (stream M);
}
@
message M {
  @
  optional string text = 1;
  @
  repeated M more = 2;
  oneof one {
    @
    int32 number = 3;
  }
  extensions 10 to 20;
  @
  enum Inner { NOTHING = 0; }
}
@
enum Outer {
  @
  ZERO = 0;
}
extend M {
  @
  optional string extra = 10;
}
"""
PLACES = TEMPLATE.count("@")
IN_GRPC = 2  # of these, those in the gRPC code: service and rpc
HOSTILE = [
    '"""',
    '"""\nimport os\nos.abort()\n"""',
    "'''",
    '"',
    'ends in "',
    'ends in ""',
    '"""""""',
    "\\",
    "ends in \\",
    '\\"""',
    "\\N{x}",
    "\\N{DIGIT ONE}",
    "\\x",
    "\\u12",
    "\\U0010",
    "\\d \\s \\0",
    "{0} %s {name!r}",
    "a\rimport os",
    "a\r\nb\r",
    "\x0c\x0b\x1c\x1d\x1e\x85",
    "a\u2028import os\u2029b",
    "\u202e right to left \u200b",
    "    all\n    of it\n    indented",
    "first\n    then\n    indented",
    "    first indented\nthen not",
    "\ttabs\tin\n\t\tbetween",
    "blank lines\n\n\n\naround\n",
    "ünï 漢字 \U0001f600 \u3000",
    "x" * 100_000,
    '"' * 10_000,
    "def import(self): servicer.from, class None:",
    "Missing associated documentation comment in .proto file.",
    '"""Missing associated documentation comment in .proto file."""',
]
COMMENTS = st.sampled_from(HOSTILE) | st.text(
    st.sampled_from("\"\\'{}nNxuUd0\n\r\t\x0b\x0c\x1c\x7f\x85\u2028\u202e aé#*/")
    | st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    max_size=60,
)


def proto(comments: Sequence[str]) -> str:
    """The template with each comment in lines of `//`."""
    parts = TEMPLATE.split("@")
    written = ["\n".join(f"// {line}" for line in comment.split("\n")) for comment in comments]
    return parts[0] + "".join(map(str.__add__, written, parts[1:]))


def wanted(comment: str) -> str:
    """What is to be shown; blanks at the ends of lines and empty lines around are no text."""
    lines = [line.rstrip(" \t\r").expandtabs(4) for line in comment.split("\n")]
    return "\n".join(lines).strip("\n")


def generate(root: Path, text: str) -> dict[str, str]:
    (root / "proto").mkdir(exist_ok=True)
    (root / "proto/talk.proto").write_bytes(text.encode())
    made = bring_up_to_date(find_workspace([root / "proto"], []), root / "out")
    return {name: content.decode() for name, content in made.contents.items() if content}


def bare(text: str) -> str:
    """The code alone: no string stands for itself, and a body that is empty is."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not is_shown(each)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def is_shown(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and (isinstance(node.value.value, str) or node.value.value is ...)
    )


def shown(text: str) -> Iterator[str]:
    """What the strings that stand for themselves say, without the indentation of the code."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            said, indent = node.value.value, "\n" + " " * node.col_offset
            if isinstance(said, str):
                yield said.replace(indent, "\n").strip("\n")


def check(comments: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        silent = generate(Path(folder), proto([""] * PLACES))
        talking = generate(Path(folder), proto(comments))
        assert silent.keys() == talking.keys()
        for name, text in talking.items():
            with warnings.catch_warnings(action="error"):
                compile(text, name, "exec")
            assert bare(text) == bare(silent[name]), name
            said = {"_pb2.py": [], "_pb2.pyi": comments[IN_GRPC:]}.get(
                name.removeprefix("talk"), comments[:IN_GRPC]
            )
            expected = {wanted(each) for each in said} - {""}
            assert expected <= set(shown(text)), name
            assert set(shown(text)) <= expected | set(shown(silent[name])), name


@pytest.mark.parametrize("comment", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_comments(comment: str) -> None:
    check([comment] * PLACES)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(COMMENTS, min_size=PLACES, max_size=PLACES))
def test_any_comment_is_shown_as_written(comments: list[str]) -> None:
    check(comments)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(COMMENTS, min_size=PLACES, max_size=PLACES))
def test_many_comments_are_shown_as_written(comments: list[str]) -> None:
    check(comments)


def test_nothing_of_a_comment_runs_on_import(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    attack = f'"""\n    open({str(mark)!r}, "w")\n    """\\'
    generate(tmp_path, proto([attack] * PLACES))
    program = "import out.talk_pb2_grpc as t, inspect; print(inspect.getdoc(t.TalkServicer.Say))"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == attack + "\n"
    assert not mark.exists()
    made = run_paycli("gen", "--out", "out", "--verify", cwd=tmp_path)
    assert (made.returncode, mark.exists()) == (0, False)


@pytest.mark.parametrize("text", ["first\n    then\n    more", "    first\nthen", "one", "a\n\n b"])
def test_readers_of_docstrings_see_the_shape(tmp_path: Path, text: str) -> None:
    code = generate(tmp_path, proto([text] * PLACES))["talk_pb2_grpc.py"]
    classes = (node for node in ast.parse(code).body if isinstance(node, ast.ClassDef))
    said = ast.get_docstring(next(classes), clean=False)
    assert said is not None
    assert inspect.cleandoc(said) == text


def test_a_comment_behind_is_shown_after_the_one_before(tmp_path: Path) -> None:
    text = 'syntax = "proto3";\n// Before.\nservice S { // Behind.\n}\n'
    code = generate(tmp_path, text)["talk_pb2_grpc.py"]
    assert '    """Before.\n\n    Behind.\n    """\n' in code


def test_checkouts_with_other_line_ends_make_the_same_code(tmp_path: Path) -> None:
    text = proto(["two\nlines"] * PLACES)
    made = generate(tmp_path, text)
    assert generate(tmp_path, text.replace("\n", "\r\n")) == made


@pytest.mark.parametrize(
    "name", ["it's", 'say"', "back\\slash", "{1+1}", "new\nline", "car\rriage", "line\u2028sep"]
)
def test_a_path_that_means_something_in_code_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "proto" / name).mkdir(parents=True)
    (tmp_path / "proto" / name / "a.proto").write_text('syntax = "proto3"; message A {}')
    with pytest.raises(InputError, match="becomes text in Python code") as refused:
        bring_up_to_date(find_workspace([tmp_path / "proto"], []), tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()
