"""`paycli gen`: compile protos to Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from paycli.cli import options, output
from paycli.errors import CheckFailed, InputError, PaycliError

if TYPE_CHECKING:
    from paycli.toolchain.gen.generate import Generated


def gen(
    protos: Annotated[
        list[Path] | None, typer.Argument(metavar="[PROTO]...", help="Default: all of the tree.")
    ] = None,
    *,
    roots: Annotated[
        list[Path] | None,
        typer.Option("-I", "--proto-path", help="Root of the protos; repeatable. Default: proto."),
    ] = None,
    out: options.GeneratedOut = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if the code is not current.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Import all of it in a fresh interpreter; 1 if not.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Compile again whenever a proto is saved.")
    ] = False,
    descriptor_set: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write a FileDescriptorSet, with source positions."),
    ] = None,
) -> None:
    """Compile protos to typed Python that imports inside any package."""
    if check and (watch or descriptor_set):
        raise InputError("--check writes nothing; leave out --watch and --descriptor-set.")

    from paycli.toolchain.gen.out_folder import default_out

    searched = tuple(roots or [Path("proto")])
    job = _Job(searched, tuple(protos or ()), out or default_out(), descriptor_set, verify)
    if check:
        _check(job)
    elif watch:
        _watch(job)
    else:
        output.progress(_compile(job))


class _Job(NamedTuple):
    """What the flags say."""

    roots: tuple[Path, ...]
    protos: tuple[Path, ...]
    out: Path
    descriptor_set: Path | None
    verify: bool

    @property
    def whole_tree(self) -> bool:
        return not self.protos


def _check(job: _Job) -> None:
    from paycli.toolchain.gen.generate import generate
    from paycli.toolchain.protos.workspace import find_workspace

    workspace = find_workspace(job.roots, job.protos)
    made = generate(workspace, job.out, whole_tree=job.whole_tree)
    lines = _describe(made, job.out)
    if lines:
        listed = "\n  ".join(lines)
        raise CheckFailed(f"The generated code is not current; run 'paycli gen'.\n  {listed}")
    _finish(made, job)
    output.progress(f"{_size(made, job)}: current.")


def _compile(job: _Job) -> str:
    """Bring the output up to date, and say in one line what was done."""
    from paycli.toolchain.gen.generate import bring_up_to_date
    from paycli.toolchain.gen.out_folder import write_whole
    from paycli.toolchain.protos.workspace import find_workspace

    workspace = find_workspace(job.roots, job.protos)
    made = bring_up_to_date(
        workspace, job.out, whole_tree=job.whole_tree, everything=job.descriptor_set is not None
    )
    if job.descriptor_set is not None:
        write_whole(job.descriptor_set, made.descriptors)
    for name in (*made.drift.edited, *made.drift.kept):
        kept = name in made.drift.kept
        what = (
            "is left over, but was edited by hand: kept" if kept else "was edited by hand: replaced"
        )
        output.progress(f"Warning: {job.out / name} {what}.")
    _finish(made, job)
    changed = sum(len(names) for _, names in made.drift.named()) + made.drift.interrupted
    what = f"{output.counted(changed, 'file')} changed" if changed else "nothing changed"
    return f"{_size(made, job)}: {what}."


def _watch(job: _Job) -> None:
    """Compile now and after every change, until Ctrl-C; a mistake is said and waited out."""
    import time

    from paycli.toolchain.gen.watch import changes

    def once(what: str) -> None:
        started = time.perf_counter()
        try:
            done = _compile(job)
        except PaycliError as problem:
            output.error(problem, as_json=False)
        else:
            output.progress(f"{what}{done[:-1]} in {time.perf_counter() - started:.2f} s.")

    saved = changes(job.roots, job.protos)
    once("")
    output.progress("Watching; stop with Ctrl-C.")
    for names in saved:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        once(f"{names[0]}{more} → ")


def _finish(made: Generated, job: _Job) -> None:
    """Warn of runtimes that will refuse the code; prove that it imports, if wanted."""
    from paycli.toolchain.gen.runtime_skew import find_skews

    for skew in find_skews(made.after.files, job.out):
        output.progress(f"Warning: {skew}")
    if job.verify:
        from paycli.toolchain.gen.verify import find_import_failures

        failed = find_import_failures(job.out, made.after.files)
        if failed:
            listed = "\n  ".join(f"{job.out / name}: {why}" for name, why in failed.items())
            raise CheckFailed(f"The generated code does not import.\n  {listed}")


def _size(made: Generated, job: _Job) -> str:
    protos = output.counted(len(made.after.protos), "proto")
    return f"{protos}, {output.counted(len(made.after.files), 'file')} in {job.out}"


def _describe(made: Generated, out: Path) -> list[str]:
    lines = [f"{what}: {out / name}" for what, names in made.drift.named() for name in names]
    if made.drift.interrupted:
        lines.append(f"an interrupted run left {out} unfinished")
    if made.drift.line_ends:
        lines.append(
            "To keep line ends as gen writes them, put '* text eol=lf' into "
            f"{out / '.gitattributes'}."
        )
    return lines
