"""Every YAML mistake gets one sentence with file:line."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paycli import documents
from paycli.errors import DocumentError


def read(tmp_path: Path, text: str) -> documents.Node:
    path = tmp_path / "d.yaml"
    path.write_text(text, encoding="utf-8")
    return documents.read(path)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", None, "empty"),
        ("# nothing\n", None, "empty"),
        ("a: 1\n\tb: 2\n", 2, "a tab indents"),
        ("a: [1, 2\n", 2, "not YAML"),
        ("a: 1\na: 2\n", 2, "duplicate key 'a'"),
        ("a: &x {b: 1}\n<<: *x\n", 2, "keys are not merged ('<<'); write them out"),
        ("amont: 1\n", 1, "did you mean 'amount'?"),
        ("zzz: 1\n", 1, "known are a, amount."),
        ("- 1\n", 1, "must be a mapping"),
        ("just words\n", 1, "must be a mapping"),
        ("a: 1\n---\nb: 2\n", 3, "a second document begins here"),
        ("a: &x [*x]\n", None, "to be meant"),
        ("[" * 100 + "]" * 100, None, "nested too deeply"),
        ("[" * 200_000, 1, "nested too deeply"),
        ("a: \x01\n", None, "not YAML"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, text: str, line: int | None, said: str
) -> None:
    with pytest.raises(DocumentError, match=r"d\.yaml") as mistake:
        read(tmp_path, text).fields("it", ("a", "amount"))
    assert said in str(mistake.value)
    if line is not None:
        assert mistake.value.line == line
        assert f"d.yaml:{line}" in str(mistake.value)
    assert "\n" not in str(mistake.value)


def test_a_billion_laughs_are_refused_quickly(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(DocumentError, match="too many values"):
        read(tmp_path, "\n".join(lines))


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as stream:
        stream.truncate(1024**3)
    with pytest.raises(DocumentError, match="16 MiB"):
        documents.read(path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.write_bytes(b"a: \xff\xfe"), "not UTF-8"),
        (lambda path: path.write_text("a: é\nb: \x07"), ":2:4: not YAML: control characters"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, make: object, said: str) -> None:
    path = tmp_path / "d.yaml"
    assert callable(make)
    make(path)
    with pytest.raises(DocumentError, match=said):
        documents.read(path)


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    node = read(tmp_path, "a: 99.90\nb: 12\nc: true\nd: ~\ne: {f: [1, 2.50]}\n")
    assert node.typed() == {"a": "99.90", "b": 12, "c": True, "d": None, "e": {"f": [1, "2.50"]}}
    assert node.fields("it")["a"].text("a") == "99.90"


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_document_or_an_error(tmp_path_factory: object, data: bytes) -> None:
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(data)
    with contextlib.suppress(DocumentError):
        documents.read(path).typed()
