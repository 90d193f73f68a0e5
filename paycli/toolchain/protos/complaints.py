"""What protoc says when it fails, made into what a person needs: where it is, and what to do.

protoc goes on after a mistake and then complains of its consequences as well; those are left out.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from paycli.toolchain.protos.excerpt import display_column, excerpt, source_lines
from paycli.toolchain.protos.workspace import Workspace, count_shared

_POSITION: Final = re.compile(r"(?P<name>[^:\n]*):(?:(?P<line>\d+):(?P<column>\d+):)? (?P<text>.*)")
_LOG: Final = re.compile(r"WARNING: All log messages|[IWEF]\d{4} ")
_NOT_FOUND: Final = "File not found."
_NO_PATH: Final = "are not allowed in the virtual path"
# Said of an import, in which anything may stand; of nothing else.
_UNFOUND: Final = re.compile(rf"(?P<name>.*): (?P<text>{re.escape(_NOT_FOUND)}|.*{_NO_PATH}.*)")
_FAILED_IMPORT: Final = re.compile(r'Import "(?P<imported>[^"]*)" was not found or had errors\.')
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
    causes = list(dict.fromkeys(_causes(complaints, workspace)))
    shown = [_place(each, workspace) for each in causes]
    shown += [line for line, complaint in found if complaint is None]
    return "\n".join(shown or lines) or "protoc ended without saying why; was it killed?"


def show(path: Path, line: int, column: int, message: str) -> str:
    """The message at its place, `line` and `column` as protoc counts, and the line with a caret."""
    lines = source_lines(path)
    if 0 < line <= len(lines):
        column = display_column(lines[line - 1], column)
    return f"{path}:{line}:{column}: {message}\n{excerpt(path, line, column)}".rstrip("\n")


def _parse(line: str) -> _Complaint | None:
    if unfound := _UNFOUND.fullmatch(line):
        return _Complaint(unfound["name"], 0, 0, unfound["text"])
    found = _POSITION.fullmatch(line)
    if found is None or not found["name"].endswith(".proto"):
        return None
    return _Complaint(
        found["name"], int(found["line"] or 0), int(found["column"] or 0), found["text"]
    )


def _causes(complaints: list[_Complaint], workspace: Workspace) -> Iterator[_Complaint]:
    # What is wrong with a file as a whole is said of it, and then at the line that imports it.
    wrong = {each.name: each.text for each in complaints if not each.line}
    imports = [(each, _FAILED_IMPORT.match(each.text)) for each in complaints]
    imported = {failed["imported"] for _, failed in imports if failed}
    failed_in = {each.name for each, failed in imports if failed}
    not_ascii: set[tuple[str, int]] = set()
    for each, failed in imports:
        if failed:
            if why := wrong.get(failed["imported"]):
                text = _import_error(failed["imported"], why, each.name, workspace)
                yield each._replace(text=text)
        elif _NOT_ASCII in each.text:
            if (each.name, each.line) not in not_ascii:
                yield each._replace(text="outside of strings and comments, only ASCII is allowed.")
            not_ascii.add((each.name, each.line))
        elif not _is_consequence(each, imported, failed_in, not_ascii):
            yield each


def _is_consequence(
    complaint: _Complaint,
    imported: Collection[str],
    failed_in: Collection[str],
    not_ascii: Collection[tuple[str, int]],
) -> bool:
    """A failed import explains every name that is then not defined in the same file."""
    if not complaint.line:
        return complaint.name in imported  # said at the line of the import
    if (complaint.name, complaint.line) in not_ascii:
        return True
    return complaint.name in failed_in and any(text in complaint.text for text in _CONSEQUENCES)


def _import_error(name: str, why: str, importer: str, workspace: Workspace) -> str:
    if not name:
        return "This import names no file."
    if _NO_PATH in why or name.startswith("/") or "\\" in name:
        straight = posixpath.normpath(name.replace("\\", "/")).lstrip("/")
        known = straight.split("/")[0] != ".." and workspace.imported_path(straight)
        written = (
            f'write "{straight}"' if known else 'write its path below the root, without "." or ".."'
        )
        return f'Import "{name}" does not say where the file is from the root: {written}.'
    if why != _NOT_FOUND:
        return f'Import "{name}" cannot be read: {why}'
    if not name.endswith(".proto") and workspace.imported_path(f"{name}.proto"):
        return f'Import "{name}" was not found: the tree has "{name}.proto".'
    return f'Import "{name}" was not found: {_hint(name, importer, workspace)}.'


def _hint(name: str, importer: str, workspace: Workspace) -> str:
    """What the name was to be: the file of the tree whose path ends most like it."""
    wanted = name.split("/")

    def likeness(other: str) -> tuple[int, int]:
        place = str(workspace.path_of(other))
        alike = count_shared(wanted[::-1], other.split("/")[::-1])
        return alike, count_shared(place.split("/"), importer.split("/"))

    best = max(sorted(workspace.names), key=likeness, default="")
    alike = likeness(best)[0] if best else 0
    source = next((hint for folder, hint in _SOURCES.items() if name.startswith(folder)), None)
    path = workspace.path_of(best) if alike else None
    if path is None or (alike == 1 < len(wanted) and source):
        return source or _ELSEWHERE
    if alike < len(wanted):
        return f'the tree has "{best}"; imports are written from the root'
    roots = [*workspace.roots, path.parents[len(wanted) - 1]]
    command = " ".join(f"-I {shlex.quote(str(root))}" for root in roots)
    return f'the tree has "{best}"; import that, or name the root it is written from: {command}'


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
