"""What protoc says when it fails, made into what a person needs: where it is, and what to do.

protoc goes on after a mistake and then complains of its consequences as well; those are left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from paycli.toolchain.excerpt import display_column, excerpt, source_lines
from paycli.toolchain.workspace import Workspace

_POSITION: Final = re.compile(r"(?P<name>[^:\n]+):(?:(?P<line>\d+):(?P<column>\d+):)? (?P<text>.*)")
_LOG: Final = re.compile(r"WARNING: All log messages|[IWEF]\d{4} ")
_NOT_FOUND: Final = "File not found."
_FAILED_IMPORT: Final = re.compile(r'Import "(?P<imported>[^"]+)" was not found or had errors\.')
_IN_FILE: Final = re.compile(r'in file "(?P<name>[^"]+)"')
_NOT_ASCII: Final = "non ascii codepoint"
_CONSEQUENCES: Final = ("is not defined", "seems to be defined in")

# Where the protos that people import most are to be had; only the first ships its .proto files.
_GOOGLEAPIS: Final = (
    "run 'pip install --upgrade googleapis-common-protos', or name its root with -I"
)
_SOURCES: Final = {
    "google/protobuf/": "the well-known types come with grpcio-tools, and none has this name",
    **dict.fromkeys(
        (f"google/{part}/" for part in ("api", "rpc", "type", "logging", "longrunning", "cloud")),
        _GOOGLEAPIS,
    ),
    **{
        folder: f"it belongs to {package}, whose wheel has the code but no .proto: copy the file "
        f"from {source} below a root"
        for folder, package, source in (
            ("grpc/health/", "grpcio-health-checking", "github.com/grpc/grpc-proto"),
            ("grpc/reflection/", "grpcio-reflection", "github.com/grpc/grpc-proto"),
            ("grpc/channelz/", "grpcio-channelz", "github.com/grpc/grpc-proto"),
            ("buf/validate/", "protovalidate", "github.com/bufbuild/protovalidate"),
            ("opentelemetry/", "opentelemetry-proto", "github.com/open-telemetry"),
            ("envoy/", "xds-protos", "github.com/envoyproxy/envoy"),
            ("xds/", "xds-protos", "github.com/cncf/xds"),
        )
    },
}
_ELSEWHERE: Final = "name the root that has it with -I DIR"


class _Complaint(NamedTuple):
    name: str
    line: int
    column: int
    text: str


def explain(said: str, workspace: Workspace) -> str:
    """The causes among protoc's complaints, each at file:line:column with its line and a caret."""
    lines = [line for line in said.splitlines() if line.strip()]
    lines = [line for line in lines if "warning:" not in line and not _LOG.match(line)]
    found = [(line, _parse(line)) for line in lines]
    complaints = [complaint for _, complaint in found if complaint]
    missing = {each.name for each in complaints if not each.line and each.text == _NOT_FOUND}
    causes = list(dict.fromkeys(_causes(complaints, missing, workspace.names)))
    shown = [_place(each, workspace) for each in causes]
    shown += [line for line, complaint in found if complaint is None]
    return "\n".join(shown or lines) or "protoc failed without a word."


def show(path: Path, line: int, column: int, message: str) -> str:
    """The message at its place, `line` and `column` as protoc counts, and the line with a caret."""
    lines = source_lines(path)
    if 0 < line <= len(lines):
        column = display_column(lines[line - 1], column)
    return f"{path}:{line}:{column}: {message}\n{excerpt(path, line, column)}".rstrip("\n")


def _parse(line: str) -> _Complaint | None:
    found = _POSITION.fullmatch(line)
    if found is None or not found["name"].endswith(".proto"):
        return None
    return _Complaint(
        found["name"], int(found["line"] or 0), int(found["column"] or 0), found["text"]
    )


def _causes(
    complaints: list[_Complaint], missing: set[str], names: Collection[str]
) -> Iterator[_Complaint]:
    import_failed = any(_FAILED_IMPORT.match(each.text) for each in complaints)
    not_ascii: set[tuple[str, int]] = set()
    for each in complaints:
        failed = _FAILED_IMPORT.match(each.text)
        if failed:
            if failed["imported"] in missing:
                hint = _hint(failed["imported"], names)
                yield each._replace(text=f'Import "{failed["imported"]}" was not found: {hint}.')
        elif _NOT_ASCII in each.text:
            if (each.name, each.line) not in not_ascii:
                yield each._replace(text="outside of strings and comments, only ASCII is allowed.")
            not_ascii.add((each.name, each.line))
        elif not _is_consequence(each, import_failed, not_ascii):
            yield each


def _is_consequence(
    complaint: _Complaint, import_failed: bool, not_ascii: Collection[tuple[str, int]]
) -> bool:
    """A failed import explains every name that is then not defined."""
    if not complaint.line:
        return complaint.text == _NOT_FOUND
    if (complaint.name, complaint.line) in not_ascii:
        return True
    return import_failed and any(text in complaint.text for text in _CONSEQUENCES)


def _hint(name: str, names: Collection[str]) -> str:
    file = name.rpartition("/")[2]
    alike = [other for other in names if other.rpartition("/")[2] == file]
    if alike:
        return f'the tree has "{alike[0]}"; imports are written from the root'
    return next((hint for folder, hint in _SOURCES.items() if name.startswith(folder)), _ELSEWHERE)


def _on_disk(name: str) -> Path | None:
    """protoc says the path for what it parsed, and the name for what it then linked."""
    path = Path(name)
    return path if path.is_file() else None


def _place(complaint: _Complaint, workspace: Workspace) -> str:
    path = workspace.imported_path(complaint.name) or _on_disk(complaint.name)
    other = _IN_FILE.search(complaint.text)
    text = complaint.text
    if other and (defined := workspace.imported_path(other["name"])):
        text = text.replace(other[0], f"in {defined}")
    if path is None:
        return f"{complaint.name}: {text}"
    if not complaint.line:
        return f"{path}: {text}"
    return show(path, complaint.line, complaint.column, text)
