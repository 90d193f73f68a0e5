"""An existing buf.yaml: what is read, what is refused and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from paycli.errors import InputError
from paycli.toolchain.rules.buf_config import BufConfig, load_buf_config

CATALOGUE = {"ONE": ["MINIMAL", "STANDARD"], "TWO": ["STANDARD"], "THREE": ["COMMENTS"]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("proto/a.proto", "proto/old/b.proto", "vendor/c.proto"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('syntax = "proto3";\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str, *roots: Path) -> BufConfig:
    Path("buf.yaml").write_text(text, encoding="utf-8")
    return load_buf_config(None, roots)


def test_without_a_file_the_protos_lie_in_proto(folder: Path) -> None:
    config = load_buf_config(None, [])
    (module,) = config.modules
    assert (config.version, module.root) == ("v2", Path("proto"))
    assert module.lint.comment_ignores
    assert config.workspace([]).names == ("a.proto", "old/b.proto")


def test_v2_modules_have_roots_and_a_section_of_their_own_replaces_the_shared_one(
    folder: Path,
) -> None:
    config = load(
        """version: v2
name: example.com/acme/pay
deps: [example.com/acme/common]
plugins: [{plugin: buf-plugin-foo}]
modules:
  - path: proto
    excludes: [proto/old]
  - path: vendor
    name: example.com/acme/vendor
    lint: {use: [MINIMAL], disallow_comment_ignores: true}
lint: {service_suffix: API, enum_zero_value_suffix: _NONE}
breaking: {use: [WIRE], ignore_unstable_packages: true}
"""
    )
    ours, vendor = config.modules
    assert config.workspace([]).names == ("a.proto", "c.proto")
    assert (ours.lint.service_suffix, ours.lint.enum_zero_value_suffix) == ("API", "_NONE")
    assert (vendor.lint.service_suffix, vendor.lint.comment_ignores) == ("Service", False)
    assert ours.breaking == vendor.breaking
    assert ours.breaking.ignore_unstable_packages
    workspace = config.workspace([])
    assert config.module_of(workspace, "c.proto") == vendor
    assert config.module_of(workspace, "old/b.proto") is None


def test_v1_has_one_module_and_comments_excuse_nothing_unless_allowed(folder: Path) -> None:
    config = load("version: v1\nbuild: {excludes: [proto/old]}\nlint: {use: [DEFAULT]}\n")
    (module,) = config.modules
    assert module.root == Path()
    assert not module.lint.comment_ignores
    assert config.workspace([]).names == ("proto/a.proto", "vendor/c.proto")
    (module,) = load("version: v1\n").modules
    assert not module.lint.comment_ignores
    (module,) = load("version: v1\nlint: {allow_comment_ignores: true}\n").modules
    assert module.lint.comment_ignores


def test_a_buf_yaml_in_the_only_root_is_found(folder: Path) -> None:
    Path("proto/buf.yaml").write_text("version: v1\nlint: {service_suffix: API}\n")
    (module,) = load_buf_config(None, []).modules
    assert (module.root, module.lint.service_suffix) == (Path("proto"), "API")


def test_a_workspace_of_v1_lists_modules_with_settings_of_their_own(folder: Path) -> None:
    work = Path("buf.work.yaml")
    work.write_text("version: v1\ndirectories: [proto, vendor]\n")
    Path("vendor/buf.yaml").write_text("version: v1\nlint: {allow_comment_ignores: true}\n")
    config = load_buf_config(None, [])
    assert config.version == "v1"
    assert [module.root for module in config.modules] == [Path("proto"), Path("vendor")]
    assert [module.lint.comment_ignores for module in config.modules] == [False, True]
    work.write_text("version: v1\ndirectories:\n  - proto\n  - nowhere\n")
    with pytest.raises(InputError, match=r"buf\.work\.yaml:4:5: nowhere is not a folder"):
        load_buf_config(None, [])


def test_given_roots_keep_the_settings_of_their_module(folder: Path) -> None:
    text = """version: v2
modules: [{path: proto, lint: {service_suffix: API}}]
lint: {service_suffix: Server}
"""
    ours, vendor = load(text, folder / "proto", Path("vendor")).modules
    assert (ours.root, ours.lint.service_suffix) == (folder / "proto", "API")
    assert vendor.lint.service_suffix == "Server"


def test_rules_are_chosen_by_id_or_category_and_excused_by_path(folder: Path) -> None:
    (module,) = load(
        """version: v2
lint:
  use: [DEFAULT, THREE]
  except: [MINIMAL]
  ignore: [vendor]
  ignore_only:
    TWO: [proto/old]
    STANDARD: [proto/a.proto]
"""
    ).modules
    chosen = module.lint.rules.select(CATALOGUE, "STANDARD")
    assert chosen.rules == {"TWO", "THREE"}
    assert chosen.excuses("THREE", Path("vendor/c.proto"))
    assert chosen.excuses("TWO", folder / "proto/old/b.proto")
    assert chosen.excuses("TWO", Path("proto/a.proto"))
    assert not chosen.excuses("THREE", Path("proto/a.proto"))
    assert not chosen.excuses("TWO", Path("proto/older/b.proto"))
    assert module.breaking.rules.select(CATALOGUE, "COMMENTS").rules == {"THREE"}


def test_names_may_be_those_of_plugins_where_there_are_some(folder: Path) -> None:
    text = "lint: {use: [TWO, X], except: [Y], ignore_only: {Z: [proto], TWO: [vendor]}}\n"
    (module,) = load(f"version: v2\nplugins: [{{plugin: buf-plugin-x}}]\n{text}").modules
    chosen = module.lint.rules.select(CATALOGUE, "STANDARD")
    assert chosen.rules == {"TWO"}
    assert chosen.ignore_only == {"TWO": (folder / "vendor",)}


def test_disable_builtin_leaves_no_rule(folder: Path) -> None:
    (module,) = load("version: v2\nlint: {disable_builtin: true}\n").modules
    assert module.lint.rules.select(CATALOGUE, "STANDARD").rules == set()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "version: v2\nlnt: {}\n",
            "buf.yaml:2:1: unknown key 'lnt' in buf.yaml; did you mean 'lint'",
        ),
        (
            "version: v2\nlint:\n  service_sufix: X\n",
            "buf.yaml:3:3: unknown key 'service_sufix' in lint; did you mean 'service_suffix'",
        ),
        ("version: v2\nlint: {allow_comment_ignores: true}\n", "'disallow_comment_ignores'"),
        ("version: v2\nbuild: {}\n", "buf.yaml:2:1: unknown key 'build'"),
        ("lint: {}\n", "buf.yaml:1:1: the version is missing"),
        ("version: v1beta1\n", "buf.yaml:1:10: paycli reads 'version: v1' or 'version: v2', not"),
        ("version: v2\nmodules:\n  - path: nowhere\n", "buf.yaml:3:11: nowhere is not a folder"),
        (
            "version: v2\nlint:\n  disable_builtin: perhaps\n",
            "buf.yaml:3:20: disable_builtin must be true or false, not 'perhaps'.",
        ),
        (
            "version: v2\nlint:\n  use:\n    - STANDRAD\n",
            "buf.yaml:4:7: 'STANDRAD' is no rule and no category; did you mean 'STANDARD'?",
        ),
        (
            "version: v2\nlint:\n  ignore_only:\n    TOW:\n      - proto\n",
            "buf.yaml:4:5: unknown key 'TOW' in ignore_only; did you mean 'TWO'?",
        ),
        ("version: v2\nmodules: [{path: proto, excludes: [proto]}]\n", "leaves no .proto file"),
    ],
)
def test_mistakes_are_named_with_file_and_line(folder: Path, text: str, said: str) -> None:
    def use() -> None:
        config = load(text)
        config.modules[0].lint.rules.select(CATALOGUE, "STANDARD")
        config.workspace([])

    with pytest.raises(InputError) as problem:
        use()
    assert said in str(problem.value)
