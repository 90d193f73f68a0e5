"""From protos to code: what has to be compiled, what comes of it, and what stays as it is.

Mostly nothing has changed, and hashes say so without protoc. A changed file is compiled, and if it
offers something else to its importers, together with them; the rest of the tree is taken from the disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from paycli.errors import InputError
from paycli.toolchain.gen.manifest import Manifest, Source, digest, read_manifest, toolchain_stamp
from paycli.toolchain.gen.out_folder import INIT, Drift, Present, digest_of, find_drift, write
from paycli.toolchain.protos.protoc import compile_python
from paycli.toolchain.protos.python_names import module_of
from paycli.toolchain.protos.workspace import Workspace, comes_with_protobuf

if TYPE_CHECKING:
    from paycli.toolchain.gen.modules import Code

# Folders that installed packages share or own (grpc/health/v1 is one): an __init__.py of ours in
# them would hide the installed ones wherever the output folder is on sys.path.
_SHARED: Final = {"google", "grpc", "opentelemetry", "buf"}
_EMPTY: Final = digest(b"")
_UNSAFE: Final = re.compile(r"""['"\\{}\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]""")


class Generated(NamedTuple):
    """What the output folder should be, and how far it is from that.

    `contents` are the files that were made again, `after.files` all of them. `descriptors` is a
    serialized FileDescriptorSet of what was compiled and its imports; empty if nothing was.
    """

    compiled: tuple[str, ...]
    contents: Mapping[str, bytes]
    descriptors: bytes
    before: Manifest
    after: Manifest
    drift: Drift


def generate(
    workspace: Workspace, out: Path, *, whole_tree: bool = True, everything: bool = False
) -> Generated:
    """Compile what is not current in `out`, or `everything`; write nothing.

    `whole_tree` False looks at the files of the workspace and what they import, and says nothing
    of others. Raises InputError.
    """
    before = read_manifest(out)
    names = frozenset(name for name in workspace.names if not comes_with_protobuf(name))
    if not names:
        raise InputError(f"No code is made of {workspace.names[0]}: protobuf brings its own.")
    while True:
        made = _generate(workspace, out, before, names, whole_tree, everything)
        also = {
            name
            for name in made.after.imported
            if workspace.path_of(name) and not comes_with_protobuf(name)
        }
        if not also:
            return made
        names |= also  # files that were named alone need what they import from the tree


def bring_up_to_date(
    workspace: Workspace, out: Path, *, whole_tree: bool = True, everything: bool = False
) -> Generated:
    """Generate, and bring `out` in line. Raises InputError; `out` is then as it was."""
    while True:
        made = generate(workspace, out, whole_tree=whole_tree, everything=everything)
        if made.drift.empty and made.before == made.after:
            return made
        if write(made.contents, made.drift, made.before, made.after, out):
            return made


def _generate(
    workspace: Workspace,
    out: Path,
    before: Manifest,
    names: frozenset[str],
    whole_tree: bool,
    everything: bool,
) -> Generated:
    _refuse_unsafe_names(names)
    _refuse_one_module_for_two(names, workspace)

    @cache  # read once, and before protoc reads it: an edit in between shows in the next run
    def source_digest(name: str) -> str | None:
        path = workspace.imported_path(name)
        return digest_of(path) if path else None

    present = Present(out)
    generated = names if whole_tree else names | before.protos.keys()
    certain, perhaps = set(names), set[str]()
    if not everything:
        certain, perhaps = before.changed(names, generated, source_digest)
    compiled = certain & names
    compiled |= _damaged(names - compiled, before, present)
    for name in compiled:
        source_digest(name)
    contents: dict[str, bytes] = {}
    descriptors = b""
    sources: dict[str, Source] = {}
    if compiled:
        code, altered = _compile(workspace, compiled, perhaps & names, generated, before, present)
        certain |= before.dependants(altered)
        compiled, contents, descriptors = set(code.names), code.contents, code.descriptors
        sources = {
            name: Source(source_digest(name) or "", imports)
            for name, imports in code.imports.items()
        }
    after = _manifest_after(before, names, sources, contents, None if whole_tree else certain)
    markers = {
        name
        for name in _package_markers(after.files)
        if _is_ours(name, after.files, before, present)
    }
    after = after._replace(files={**after.files, **dict.fromkeys(markers, _EMPTY)})
    contents |= dict.fromkeys(markers, b"")
    wanted, known = after.files, before
    if not whole_tree:
        wanted = {name: after.files[name] for name in contents}
        known = before._replace(files={n: d for n, d in before.files.items() if n in contents})
    drift = find_drift(wanted, known, present)
    return Generated(tuple(sorted(compiled)), contents, descriptors, before, after, drift)


def _compile(
    workspace: Workspace,
    names: AbstractSet[str],
    perhaps: AbstractSet[str],
    generated: AbstractSet[str],
    before: Manifest,
    present: Present,
) -> tuple[Code, set[str]]:
    """Code of `names` and of those `perhaps` that import what now exports something else: that too.

    protoc does not see the others, so a name that one of them defines already would go unnoticed;
    then everything is compiled, and protoc explains.
    """
    place = {name: present.out / f"{_stem_of(name)}.py" for name in generated}
    beside = {name: place[name] for name in generated - names if workspace.path_of(name)}
    former = {
        name: place[name]
        for name in names & before.protos.keys()
        if present.digest(f"{_stem_of(name)}.py") == before.files.get(f"{_stem_of(name)}.py", "")
    }
    with compile_python(workspace, sorted(names)) as made:
        from paycli.toolchain.gen.exports import differences
        from paycli.toolchain.gen.modules import make_code  # loads protobuf while protoc is at work

        descriptors = made.descriptors()
        altered, clash = differences(descriptors, names, former, beside.values())
        more = set(beside) if clash else before.dependants(altered) & perhaps
        if not more:
            return make_code(made, names, generated, descriptors), altered
    return _compile(workspace, names | more, perhaps - more, generated, before, present)


def _damaged(names: Iterable[str], before: Manifest, present: Present) -> set[str]:
    """Protos whose code is not on the disk as it was written."""
    files = _files_by_stem(before.files)
    return {
        name
        for name in names
        if any(
            present.digest(file) != hashed
            for file, hashed in files.get(_stem_of(name), {"": ""}).items()
        )
    }


def _manifest_after(
    before: Manifest,
    names: AbstractSet[str],
    sources: Mapping[str, Source],
    contents: Mapping[str, bytes],
    overdue: AbstractSet[str] | None,
) -> Manifest:
    """What to note; `overdue` are the protos to compile in the next run, if this is of some alone."""
    known = {**before.imported, **before.protos, **sources}
    files = _files_by_stem(before.files) | _files_by_stem(
        {name: digest(content) for name, content in contents.items()}
    )
    protos = {name: known[name] for name in names}
    unfinished: dict[str, str] = {}
    if overdue is not None:
        same = before.made_with == toolchain_stamp()
        others = before.protos.keys() - names
        kept = others - overdue if same else set[str]()
        protos |= {n: known[n] if n in kept else known[n]._replace(digest="") for n in others}
        own = {file for name in names for file in files[_stem_of(name)]}
        unfinished = {n: d for n, d in before.unfinished.items() if n not in own}
    return Manifest(
        made_with=toolchain_stamp(),
        protos=protos,
        imported=_imported_by(protos, known),
        files={f: d for name in protos for f, d in files.get(_stem_of(name), {}).items()},
        unfinished=unfinished,
    )


def _imported_by(protos: Mapping[str, Source], known: Mapping[str, Source]) -> dict[str, Source]:
    """What the protos import, directly or not, from outside of them."""
    imported: dict[str, Source] = {}
    waiting = list(protos.values())
    while waiting:
        for name in waiting.pop().imports:
            if name not in protos and name not in imported and name in known:
                imported[name] = known[name]
                waiting.append(known[name])
    return imported


def _stem_of(proto_name: str) -> str:
    return module_of(proto_name).replace(".", "/")


def _files_by_stem(files: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """All that is made of one proto: `a_pb2.py`, `a_pb2.pyi` and `a_pb2_grpc.py` under `a_pb2`."""
    grouped: dict[str, dict[str, str]] = {}
    for name, hashed in files.items():
        grouped.setdefault(name.partition(".")[0].removesuffix("_grpc"), {})[name] = hashed
    return grouped


def _package_markers(files: Iterable[str]) -> set[str]:
    folders = {name.rpartition("/")[0] for name in files}
    for folder in list(folders):
        while folder:
            folder = folder.rpartition("/")[0]
            folders.add(folder)
    return {
        f"{folder}/{INIT}" if folder else INIT
        for folder in folders
        if folder.partition("/")[0] not in _SHARED
    }


def _is_ours(marker: str, files: Iterable[str], before: Manifest, present: Present) -> bool:
    """An __init__.py that somebody else wrote, or wrote into, is left to them.

    Without a manifest (it is deleted to end a merge conflict) an empty one in a folder with nothing
    but generated code is ours again.
    """
    found = present.digest(marker)
    if found is None:
        return True
    if found != _EMPTY or before.files:
        return found == _EMPTY and before.is_own(marker, _EMPTY)
    folder = marker.rpartition("/")[0]
    inside = f"{folder}/" if folder else ""
    ours = {
        name.removeprefix(inside).partition("/")[0] for name in files if name.startswith(inside)
    }
    return present.names_in(folder) <= ours | {INIT, "__pycache__"}


def _refuse_unsafe_names(names: Iterable[str]) -> None:
    """protoc writes paths into comments and strings of its code as they are."""
    for name in sorted(names):
        if unsafe := _UNSAFE.search(name):
            raise InputError(
                f"{name!r}: the path of a proto becomes text in Python code, where {unsafe[0]!r} "
                "has a meaning. Rename the file or the folder."
            )


def _refuse_one_module_for_two(names: Iterable[str], workspace: Workspace) -> None:
    seen: dict[str, str] = {}
    for name in sorted(names):
        other = seen.setdefault(module_of(name), name)
        if other != name:
            raise InputError(
                f"{workspace.path_of(name)}: {workspace.path_of(other)} becomes the same Python "
                f"module, {_stem_of(name)}.py. Rename one of them."
            )
