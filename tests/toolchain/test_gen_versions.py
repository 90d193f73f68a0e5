"""Version skew is said while generating, not found in production."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from paycli.errors import DocumentError
from paycli.toolchain.gen.runtime_skew import (
    demanded_versions,
    find_declared_skews,
    find_installed_skews,
    installed_version,
    release,
)

ROOT = Path(__file__).parents[2]
DEMANDED = {"grpcio": "1.85.1", "protobuf": "7.35.1"}


def project(folder: Path, *dependencies: str) -> Path:
    listed = "".join(f"  {dependency!r},\n" for dependency in dependencies)
    (folder / "pyproject.toml").write_text(f"[project]\ndependencies = [\n{listed}]\n")
    inside = folder / "src/package/generated"
    inside.mkdir(parents=True, exist_ok=True)
    return inside


def test_the_stamps_of_our_own_generated_code_are_read() -> None:
    code = [path.read_text() for path in (ROOT / "paycli/generated").glob("*.py")]
    demanded = demanded_versions(code)
    assert demanded.keys() == {"grpcio", "protobuf"}
    assert all(release(version) > (1,) for version in demanded.values())


def test_our_own_pyproject_declares_what_our_code_demands() -> None:
    code = [path.read_text() for path in (ROOT / "paycli/generated").glob("*.py")]
    assert find_declared_skews(demanded_versions(code), ROOT / "paycli/generated") == []


def test_the_newest_stamp_counts() -> None:
    stamps = ["# Protobuf Python Version: 7.4.1\n", "# Protobuf Python Version: 7.35.1\n"]
    assert demanded_versions(stamps) == {"protobuf": "7.35.1"}


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("protobuf>=6.30", "as old as 6.30"),
        ("protobuf >= 7.35, < 8", "as old as 7.35"),
        ("Protobuf", "of any age"),
        ("protobuf<8", "of any age"),
        ("protobuf==7.35.0", "as old as 7.35.0"),
        ("protobuf~=7.4", "as old as 7.4"),
        ("protobuf[extra] (>=7.2); python_version < '3.13'", "as old as 7.2"),
        ("protobuf>=7.35.1", None),
        ("protobuf>=7.36,!=7.40", None),
        ("protobuf==8.*", None),
        ("protobuf @ file:///somewhere", None),
        ("protobuf-stubs>=1", None),
    ],
)
def test_a_declaration_that_allows_too_old_a_version(
    tmp_path: Path, declared: str, said: str | None
) -> None:
    skews = find_declared_skews(DEMANDED, project(tmp_path, declared))
    if said is None:
        assert skews == []
        return
    [skew] = skews
    assert skew.requirement == "protobuf>=7.35.1"
    assert said in str(skew)
    assert str(tmp_path / "pyproject.toml") in str(skew)
    assert 'write "protobuf>=7.35.1" there' in str(skew)


def test_the_oldest_of_several_lines_is_what_some_user_gets(tmp_path: Path) -> None:
    lines = ("grpcio>=1.90; python_version>='3.13'", "grpcio>=1.60; python_version<'3.13'")
    [skew] = find_declared_skews(DEMANDED, project(tmp_path, *lines))
    assert "as old as 1.60" in str(skew)


@pytest.mark.parametrize("package", ["grpcio", "grpcio-tools", "protobuf", "pytest", "absent"])
def test_installed_versions_are_those_of_the_metadata(package: str) -> None:
    try:
        expected = metadata.version(package)
    except metadata.PackageNotFoundError:
        expected = None
    assert installed_version(package) == expected


def test_an_installed_version_that_is_too_old() -> None:
    installed = installed_version("protobuf")
    [skew] = find_installed_skews({"protobuf": "999.1"})
    assert f"{installed} is installed; run 'pip install protobuf>=999.1'" in str(skew)


@pytest.mark.parametrize("text", ["[project\n", "[project]\ndependencies = 5\n", "project = 1\n"])
def test_a_strange_pyproject_is_no_traceback(tmp_path: Path, text: str) -> None:
    inside = project(tmp_path)
    (tmp_path / "pyproject.toml").write_text(text)
    if text == "[project\n":
        with pytest.raises(DocumentError, match=r"pyproject\.toml: cannot be read"):
            find_declared_skews(DEMANDED, inside)
    else:
        assert find_declared_skews(DEMANDED, inside) == []


def test_versions_are_compared_as_numbers() -> None:
    assert release("1.100") > release("1.85.1") > release("1.85.0") == release("1.85")
    assert release("7.35.1rc1") == release("7.35.1")
