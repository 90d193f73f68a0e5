"""An existing `buf.yaml` (v1 and v2) or `buf.work.yaml`: modules, and what `lint` and `breaking` are to look at.

Keys that concern other jobs of buf (names, deps, plugins) are accepted and do nothing. Without a
file everything has buf's v2 defaults and the protos lie in `proto`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

from paycli.documents import Node, read
from paycli.errors import InputError
from paycli.toolchain.protos.workspace import Workspace, find_workspace
from paycli.toolchain.rules.choice import RuleChoice, paths_of

FILE_NAME: Final = "buf.yaml"
WORK_FILE_NAME: Final = "buf.work.yaml"
DEFAULT_ROOT: Final = Path("proto")

_TOP_KEYS: Final = {
    "v1": frozenset({"version", "name", "deps", "build", "lint", "breaking"}),
    "v2": frozenset(
        {"version", "name", "deps", "modules", "lint", "breaking", "plugins", "policies"}
    ),
}
_MODULE_KEYS: Final = frozenset({"path", "name", "includes", "excludes", "lint", "breaking"})
_CHOICE_KEYS: Final = frozenset({"use", "except", "ignore", "ignore_only", "disable_builtin"})
_LINT_KEYS: Final = _CHOICE_KEYS | {
    "enum_zero_value_suffix",
    "rpc_allow_same_request_response",
    "rpc_allow_google_protobuf_empty_requests",
    "rpc_allow_google_protobuf_empty_responses",
    "service_suffix",
}
_BREAKING_KEYS: Final = _CHOICE_KEYS | {"ignore_unstable_packages"}
# v2 turned the sense around: comments are honoured unless forbidden.
_COMMENT_KEY: Final = {"v1": "allow_comment_ignores", "v2": "disallow_comment_ignores"}


@dataclass(frozen=True, slots=True)
class LintSettings:
    """The `lint:` section."""

    rules: RuleChoice = field(default_factory=RuleChoice)
    enum_zero_value_suffix: str = "_UNSPECIFIED"
    service_suffix: str = "Service"
    rpc_allow_same_request_response: bool = False
    rpc_allow_google_protobuf_empty_requests: bool = False
    rpc_allow_google_protobuf_empty_responses: bool = False
    comment_ignores: bool = True


@dataclass(frozen=True, slots=True)
class BreakingSettings:
    """The `breaking:` section."""

    rules: RuleChoice = field(default_factory=RuleChoice)
    ignore_unstable_packages: bool = False


@dataclass(frozen=True, slots=True)
class Module:
    """A root of protos and its settings. Empty `includes` means all of it."""

    root: Path
    includes: tuple[Path, ...] = ()
    excludes: tuple[Path, ...] = ()
    lint: LintSettings = field(default_factory=LintSettings)
    breaking: BreakingSettings = field(default_factory=BreakingSettings)

    def covers(self, name: str) -> bool:
        """Whether a file of this root belongs to the module."""
        if not (self.includes or self.excludes):
            return True
        path = (self.root / name).resolve()
        within = not self.includes or any(map(path.is_relative_to, self.includes))
        return within and not any(map(path.is_relative_to, self.excludes))


@dataclass(frozen=True, slots=True)
class BufConfig:
    """The modules, in the order of the file; `version` decides which rules exist."""

    version: str
    modules: tuple[Module, ...]

    def workspace(self, protos: Sequence[Path]) -> Workspace:
        """The protos of all modules, or only the given ones. Raises InputError."""
        found = find_workspace([module.root for module in self.modules], protos)
        if protos:
            return found
        covered = tuple(name for name in found.names if self.module_of(found, name) is not None)
        if not covered:
            raise InputError(f"{FILE_NAME} leaves no .proto file: see its includes and excludes.")
        return Workspace(found.roots, covered)

    def covers(self, path: Path) -> bool:
        """Whether a file belongs to a module, or would if it were there."""
        return any(
            path.is_relative_to(module.root)
            and module.covers(path.relative_to(module.root).as_posix())
            for module in self.modules
        )

    def module_of(self, workspace: Workspace, name: str) -> Module | None:
        """The module that a file of the workspace comes from."""
        path = workspace.path_of(name)
        modules = (each for each in self.modules if each.root / name == path)
        return next((each for each in modules if each.covers(name)), None)


def load_buf_config(path: Path | None, roots: Sequence[Path]) -> BufConfig:
    """The settings in `path`, or in a buf.yaml of the working directory or of the first root.

    `roots` stand in for the modules of the file; one that is a module keeps its settings. Raises
    InputError.
    """
    path = path or _find(roots)
    if path is None and not roots and Path(WORK_FILE_NAME).is_file():
        return _read_work(Path(WORK_FILE_NAME))
    if path is None:
        return BufConfig("v2", tuple(Module(root) for root in roots or [DEFAULT_ROOT]))
    config, shared = _read(path)
    if not roots:
        return config
    own = {module.root.resolve(): module for module in config.modules}
    chosen = (replace(own.get(root.resolve(), shared), root=root) for root in roots)
    return replace(config, modules=tuple(chosen))


def _find(roots: Sequence[Path]) -> Path | None:
    places = [Path(), *(roots or [DEFAULT_ROOT])[:1]]
    return next((place / FILE_NAME for place in places if (place / FILE_NAME).is_file()), None)


def _read_work(path: Path) -> BufConfig:
    """v1's list of modules, each with a buf.yaml of its own, or with the defaults of v1."""
    fields = read(path).fields(WORK_FILE_NAME, {"version", "directories"})
    modules: list[Module] = []
    for item in _items(fields, "directories"):
        root = path.parent / item.text("a directory")
        if not root.is_dir():
            raise item.error(f"{root} is not a folder; mend the directory.")
        if (root / FILE_NAME).is_file():
            modules += _read(root / FILE_NAME)[0].modules
        else:
            modules.append(Module(root, lint=LintSettings(comment_ignores=False)))
    return BufConfig("v1", tuple(modules))


def _read(path: Path) -> tuple[BufConfig, Module]:
    """The file, and a module with the settings that its modules share."""
    document = read(path)
    version_node = document.fields("buf.yaml").get("version")
    version = version_node.text("version") if version_node else ""
    if version not in _TOP_KEYS:
        known = "'version: v1' or 'version: v2'"
        raise (version_node or document).error(
            f"paycli reads {known}, not '{version}'; 'buf config migrate' brings a file up to date."
            if version
            else f"the version is missing; begin the file with {known}."
        )
    fields = document.fields("buf.yaml", _TOP_KEYS[version])
    origin = _Origin(path.parent, version, "plugins" in fields or "policies" in fields)
    shared = _with_settings(Module(path.parent), fields, origin)
    build = _mapping(fields.get("build"), "build", {"excludes"})
    shared = replace(shared, excludes=paths_of(build.get("excludes"), "excludes", path.parent))
    modules = [_read_module(node, shared, origin) for node in _items(fields, "modules")]
    return BufConfig(version, tuple(modules or [shared])), replace(shared, excludes=())


class _Origin(NamedTuple):
    """What decides how the sections of a file are read."""

    folder: Path
    version: str
    has_plugins: bool


def _read_module(node: Node, shared: Module, origin: _Origin) -> Module:
    fields = node.fields("a module", _MODULE_KEYS)
    folder = origin.folder
    root = folder / fields["path"].text("path") if "path" in fields else folder
    if not root.is_dir():
        raise fields.get("path", node).error(f"{root} is not a folder; mend the module's path.")
    module = replace(
        shared,
        root=root,
        includes=paths_of(fields.get("includes"), "includes", folder),
        excludes=paths_of(fields.get("excludes"), "excludes", folder),
    )
    return _with_settings(module, fields, origin)


def _with_settings(module: Module, fields: Mapping[str, Node], origin: _Origin) -> Module:
    """The module with the sections that stand in `fields`; a section replaces the shared one."""
    lint = _mapping(fields.get("lint"), "lint", _LINT_KEYS | {_COMMENT_KEY[origin.version]})
    if lint or origin.version == "v1":  # v1 differs even in what it does when it says nothing
        module = replace(module, lint=_read_lint(lint, origin))
    breaking = _mapping(fields.get("breaking"), "breaking", _BREAKING_KEYS)
    if breaking:
        unstable = _flag(breaking, "ignore_unstable_packages")
        settings = BreakingSettings(_read_choice(breaking, origin), unstable)
        module = replace(module, breaking=settings)
    return module


def _read_lint(fields: Mapping[str, Node], origin: _Origin) -> LintSettings:
    defaults = LintSettings()
    return LintSettings(
        rules=_read_choice(fields, origin),
        enum_zero_value_suffix=_text(
            fields, "enum_zero_value_suffix", defaults.enum_zero_value_suffix
        ),
        service_suffix=_text(fields, "service_suffix", defaults.service_suffix),
        rpc_allow_same_request_response=_flag(fields, "rpc_allow_same_request_response"),
        rpc_allow_google_protobuf_empty_requests=_flag(
            fields, "rpc_allow_google_protobuf_empty_requests"
        ),
        rpc_allow_google_protobuf_empty_responses=_flag(
            fields, "rpc_allow_google_protobuf_empty_responses"
        ),
        comment_ignores=_flag(fields, _COMMENT_KEY[origin.version]) is (origin.version == "v1"),
    )


def _read_choice(fields: Mapping[str, Node], origin: _Origin) -> RuleChoice:
    return RuleChoice(
        use=tuple(_items(fields, "use")),
        excepted=tuple(_items(fields, "except")),
        ignore=paths_of(fields.get("ignore"), "ignore", origin.folder),
        ignore_only=fields.get("ignore_only"),
        folder=origin.folder,
        nothing=_flag(fields, "disable_builtin"),
        plugins=origin.has_plugins,
    )


def _mapping(
    node: Node | None, what: str, known: Collection[str] | None = None
) -> Mapping[str, Node]:
    return {} if node is None or node.is_null else node.fields(what, known)


def _items(fields: Mapping[str, Node], key: str) -> Sequence[Node]:
    node = fields.get(key)
    return [] if node is None or node.is_null else list(node.items(key))


def _text(fields: Mapping[str, Node], key: str, default: str) -> str:
    return (fields[key].text(key) if key in fields else "") or default


def _flag(fields: Mapping[str, Node], key: str) -> bool:
    if key not in fields:
        return False
    value = fields[key].typed()
    if not isinstance(value, bool):
        raise fields[key].error(f"{key} must be true or false, not '{value}'.")
    return value
