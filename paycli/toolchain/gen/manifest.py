"""The manifest: what `gen` wrote, from what, and how it knows its own.

It lies in the output folder and is committed with the code, so it holds names and hashes only: the
same bytes on every machine. A run first notes what it is about to write; a manifest with such
unfinished files is not believed until a next run has written them all.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from json.encoder import encode_basestring as quoted  # as dumps quotes it, without its overhead
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from paycli import __version__
from paycli.errors import InputError
from paycli.toolchain.gen.module_names import stem_of

MANIFEST: Final = ".paycli-gen.json"
_OPTIONS: Final = "google/protobuf/descriptor.proto"
_BY: Final = "paycli gen; do not edit"


class Source(NamedTuple):
    """A proto as it was when it was compiled: the hash of its text, and what it imports."""

    digest: str
    imports: tuple[str, ...]


class Manifest(NamedTuple):
    """What the last run wrote. `imported` are protos from outside of the tree."""

    made_with: str = ""
    protos: Mapping[str, Source] = MappingProxyType({})
    imported: Mapping[str, Source] = MappingProxyType({})
    files: Mapping[str, str] = MappingProxyType({})
    unfinished: Mapping[str, str] = MappingProxyType({})

    def is_own(self, name: str, digest: str) -> bool:
        """Whether gen wrote this content, in the last run or in one that was interrupted."""
        return digest in (self.files.get(name), self.unfinished.get(name))

    @property
    def files_by_stem(self) -> dict[str, dict[str, str]]:
        """All that is made of one proto: `a_pb2.py`, `a_pb2.pyi` and `a_pb2_grpc.py` under `a_pb2`."""
        return _by_stem(self.files)

    def changed(
        self,
        names: AbstractSet[str],
        generated: AbstractSet[str],
        digest_of: Callable[[str], str | None],
    ) -> tuple[set[str], set[str]]:
        """What is to be compiled again, and what perhaps is; not only of `names`.

        They changed, or they import what did, or what is now `generated` and was not, or no longer
        is: that decides how it is imported. Who only imports texts that changed is compiled again
        if these offer something else than before, or for the custom options that it may have.
        """
        if self.unfinished or self.made_with != toolchain_stamp():
            return set(names), set()
        known = {**self.imported, **self.protos}
        changed = {name for name in known if digest_of(name) != known[name].digest}
        texts = changed & names & self.protos.keys()
        certain = texts | _with_dependants(
            (changed - texts) | generated ^ self.protos.keys(), known
        )
        perhaps = _with_dependants(texts, known) - certain
        certain |= perhaps & _with_dependants({_OPTIONS}, known)
        return certain, perhaps - certain

    def dependants(self, names: Iterable[str]) -> set[str]:
        """Whatever imported one of `names`, directly or not."""
        return _with_dependants(names, {**self.imported, **self.protos}) - set(names)


def note(
    before: Manifest,
    names: AbstractSet[str],
    sources: Mapping[str, Source],
    contents: Mapping[str, bytes],
) -> Manifest:
    """What to note of a tree of the protos `names`, when some were compiled again."""
    known = {**before.imported, **before.protos, **sources}
    made = {name: digest(content) for name, content in contents.items()}
    files = before.files_by_stem | _by_stem(made)
    protos = {name: known[name] for name in names}
    return Manifest(
        made_with=toolchain_stamp(),
        protos=protos,
        imported=_imported_by(protos, known),
        files={file: d for name in protos for file, d in files.get(stem_of(name), {}).items()},
    )


def note_some(
    before: Manifest, after: Manifest, names: AbstractSet[str], overdue: AbstractSet[str]
) -> Manifest:
    """What to note when only the protos `names` were looked at, and `after` is of these.

    The others stay as they were; those that are `overdue` are compiled by the next run of all.
    """
    known = {**before.imported, **before.protos, **after.imported, **after.protos}
    others = before.protos.keys() - names
    kept = others - overdue if before.made_with == after.made_with else set[str]()
    protos = {
        **after.protos,
        **{n: known[n] if n in kept else known[n]._replace(digest="") for n in others},
    }
    files = before.files_by_stem
    theirs = {file: d for name in others for file, d in files.get(stem_of(name), {}).items()}
    return after._replace(
        protos=protos,
        imported=_imported_by(protos, known),
        files={**after.files, **theirs},
        unfinished={n: d for n, d in before.unfinished.items() if n not in after.files},
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


def _by_stem(files: Mapping[str, str]) -> dict[str, dict[str, str]]:
    grouped: dict[str, dict[str, str]] = {}
    for name, hashed in files.items():
        grouped.setdefault(name.partition(".")[0].removesuffix("_grpc"), {})[name] = hashed
    return grouped


def toolchain_stamp() -> str:
    """What makes the code: another version of it may make other code."""
    tools = importlib.util.find_spec("grpc_tools")
    assert tools is not None
    assert tools.origin is not None
    # Read, not imported: mostly there is nothing to compile, and the answer is to be quick.
    text = Path(tools.origin).with_name("grpc_version.py").read_text(encoding="utf-8")
    version = text.rpartition("=")[2].strip(" \n'\"")
    return f"paycli {__version__}, grpcio-tools {version}"


def digest(content: bytes) -> str:
    """The hash by which contents are compared."""
    return hashlib.sha256(content).hexdigest()


def read_manifest(out: Path) -> Manifest:
    """The manifest in `out`; an empty one if there is none. Raises InputError."""
    path = out / MANIFEST
    if not path.exists():
        return Manifest()
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return Manifest(
            made_with=str(body.get("made_with", "")),
            protos=dict(_sources(body.get("protos", {}))),
            imported=dict(_sources(body.get("imported", {}))),
            files=dict(_inside(body["files"])),
            unfinished=dict(_inside(body.get("unfinished", {}))),
        )
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror}.") from problem
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise InputError(f"{path} is damaged. Delete it and run 'paycli gen'.") from problem


def render(manifest: Manifest) -> str:
    """The manifest as text: one entry a line, so that changes are easy to read and to merge."""
    parts = {
        "by": quoted(_BY),
        "made_with": quoted(manifest.made_with),
        "protos": _lines(_lists(manifest.protos)),
        "imported": _lines(_lists(manifest.imported)),
        "files": _lines(_strings(manifest.files)),
    }
    if manifest.unfinished:
        parts["unfinished"] = _lines(_strings(manifest.unfinished))
    body = ",\n".join(f"  {quoted(key)}: {text}" for key, text in parts.items())
    return f"{{\n{body}\n}}\n"


def _with_dependants(changed: Iterable[str], known: Mapping[str, Source]) -> set[str]:
    importers: dict[str, list[str]] = {}
    for name, source in known.items():
        for imported in source.imports:
            importers.setdefault(imported, []).append(name)
    reached = set(changed)
    waiting = list(reached)
    while waiting:
        further = set(importers.get(waiting.pop(), ())) - reached
        reached |= further
        waiting += further
    return reached


def _sources(entries: Mapping[str, list[str]]) -> Iterator[tuple[str, Source]]:
    for name, (hashed, *imports) in entries.items():
        yield name, Source(hashed, tuple(imports))


def _inside(files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Only what lies in the output folder: nothing else is ever read, written or removed."""
    for name, hashed in files.items():
        if not name.startswith("/") and ".." not in name.split("/"):
            yield name, hashed


def _lists(sources: Mapping[str, Source]) -> dict[str, str]:
    return {
        name: f"[{', '.join(map(quoted, (source.digest, *source.imports)))}]"
        for name, source in sources.items()
    }


def _strings(entries: Mapping[str, str]) -> dict[str, str]:
    return {name: quoted(entry) for name, entry in entries.items()}


def _lines(entries: Mapping[str, str]) -> str:
    lines = [f"    {quoted(name)}: {entry}" for name, entry in sorted(entries.items())]
    return "{\n" + ",\n".join(lines) + "\n  }" if lines else "{}"
