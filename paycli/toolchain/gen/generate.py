"""From protos to code: what has to be compiled, what comes of it, and what stays as it is.

Mostly nothing has changed, and hashes say so without protoc. A changed file is compiled, and if it
offers something else to its importers, together with them; the rest of the tree is taken from the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from paycli.errors import InputError
from paycli.toolchain.gen.manifest import Manifest, Source, note, note_some, read_manifest
from paycli.toolchain.gen.module_names import refuse_unfit_names, stem_of
from paycli.toolchain.gen.out_folder import Drift, Present, digest_of, find_drift, write
from paycli.toolchain.gen.package_markers import EMPTY, own_markers
from paycli.toolchain.protos.protoc import compile_python
from paycli.toolchain.protos.workspace import Workspace, comes_with_protobuf

if TYPE_CHECKING:
    from paycli.toolchain.gen.modules import Code


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
        refuse_unfit_names(names, workspace)
        made = _Run(workspace, out, before, names, whole_tree).generate(everything=everything)
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


class _Compiled(NamedTuple):
    """What came of protoc; nothing, where it had nothing to do."""

    sources: Mapping[str, Source] = MappingProxyType({})
    names: frozenset[str] = frozenset()
    contents: Mapping[str, bytes] = MappingProxyType({})
    descriptors: bytes = b""


class _Run:
    """The protos `names` of a workspace and what is there of their code, at one moment."""

    def __init__(
        self,
        workspace: Workspace,
        out: Path,
        before: Manifest,
        names: frozenset[str],
        whole_tree: bool,
    ) -> None:
        self._workspace = workspace
        self._before = before
        self._names = names
        self._whole_tree = whole_tree
        self._present = Present(out)
        self._digests: dict[str, str | None] = {}

    @cached_property
    def _generated(self) -> AbstractSet[str]:
        """All protos that have code in the output folder, or will have."""
        return self._names if self._whole_tree else self._names | self._before.protos.keys()

    def generate(self, *, everything: bool) -> Generated:
        """Compile what has to be, and compare what comes of it with what is there."""
        certain, perhaps = set(self._names), set[str]()
        if not everything:
            certain, perhaps = self._before.changed(
                self._names, self._generated, self._source_digest
            )
        names = certain & self._names
        names |= self._damaged(self._names - names)
        if not names:
            return self._compare(_Compiled(), certain)
        compiled, altered = self._compile(names, perhaps & self._names)
        return self._compare(compiled, certain | self._before.dependants(altered))

    def _source_digest(self, name: str) -> str | None:
        """Read once, and before protoc reads it: an edit in between shows in the next run."""
        if name not in self._digests:
            path = self._workspace.imported_path(name)
            self._digests[name] = digest_of(path) if path else None
        return self._digests[name]

    def _damaged(self, names: AbstractSet[str]) -> set[str]:
        """Protos whose code is not on the disk as it was written."""
        files = self._before.files_by_stem
        return {
            name
            for name in names
            if any(
                self._present.digest(file) != hashed
                for file, hashed in files.get(stem_of(name), {"": ""}).items()
            )
        }

    def _compile(self, names: set[str], perhaps: set[str]) -> tuple[_Compiled, set[str]]:
        """Compile, and say which protos now offer something else to their importers."""
        for name in names:
            self._source_digest(name)
        code, altered = self._make_code(names, perhaps)
        sources = {
            name: Source(self._source_digest(name) or "", imports)
            for name, imports in code.imports.items()
        }
        return _Compiled(sources, code.names, code.contents, code.descriptors), altered

    def _make_code(self, names: set[str], perhaps: set[str]) -> tuple[Code, set[str]]:
        """Code of `names` and of those `perhaps` that import what now exports something else.

        protoc does not see the others, so a name that one of them defines already would go
        unnoticed; then everything is compiled, and protoc explains.
        """
        place = {name: self._present.out / f"{stem_of(name)}.py" for name in self._generated}
        others = self._generated - names
        beside = {name: place[name] for name in others if self._workspace.path_of(name)}
        former = {name: place[name] for name in names if self._is_as_written(name)}
        with compile_python(self._workspace, sorted(names)) as made:
            from paycli.toolchain.gen.exports import differences
            from paycli.toolchain.gen.modules import make_code  # loads protobuf beside protoc

            descriptors = made.descriptors()
            altered, clash = differences(descriptors, names, former, beside.values())
            more = set(beside) if clash else self._before.dependants(altered) & perhaps
            if not more:
                return make_code(made, names, self._generated, descriptors), altered
        return self._make_code(names | more, perhaps - more)

    def _is_as_written(self, name: str) -> bool:
        """Whether the messages of a proto are on the disk as the last run wrote them."""
        file = f"{stem_of(name)}.py"
        written = self._before.files.get(file, "")
        return name in self._before.protos and self._present.digest(file) == written

    def _compare(self, compiled: _Compiled, overdue: AbstractSet[str]) -> Generated:
        """`overdue` are protos to compile now; or in the next run, if they are not in this one."""
        before, contents = self._before, dict(compiled.contents)
        after = note(before, self._names, compiled.sources, contents)
        if not self._whole_tree:
            after = note_some(before, after, self._names, overdue)
        markers = own_markers(after.files, before, self._present)
        after = after._replace(files={**after.files, **dict.fromkeys(markers, EMPTY)})
        contents |= dict.fromkeys(markers, b"")
        wanted, known = after.files, before
        if not self._whole_tree:
            wanted = {name: after.files[name] for name in contents}
            known = before._replace(files={n: d for n, d in before.files.items() if n in contents})
        drift = find_drift(wanted, known, self._present)
        names = tuple(sorted(compiled.names))
        return Generated(names, contents, compiled.descriptors, before, after, drift)
