"""`paycli gen`: compile protos to Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import options, output
from paycli.errors import CheckFailed, InputError, PaycliError

if TYPE_CHECKING:
    from paycli.toolchain.gen.run import Done, Job


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

    from paycli.toolchain.gen import run
    from paycli.toolchain.gen.out_folder import default_out

    searched = tuple(roots or [Path("proto")])
    job = run.Job(searched, tuple(protos or ()), out or default_out(), descriptor_set, verify)
    if check:
        output.progress(f"{_report(run.check(job), job)}: current.")
    elif watch:
        _watch(job)
    else:
        output.progress(_bring(job))


def _watch(job: Job) -> None:
    """Compile now and after every change, until Ctrl-C; a mistake is said and waited out."""
    import time

    from paycli.toolchain.gen.watch import changes

    def once(what: str) -> None:
        started = time.perf_counter()
        try:
            done = _bring(job)
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


def _bring(job: Job) -> str:
    """Bring the code up to date, and say in one line what was done."""
    from paycli.toolchain.gen.run import bring

    done = bring(job)
    drift = done.generated.drift
    for name in drift.edited:
        output.progress(f"Warning: {job.out / name} was edited by hand: replaced.")
    for name in drift.kept:
        output.progress(f"Warning: {job.out / name} is left over, but was edited by hand: kept.")
    changed = f"{output.counted(done.changed, 'file')} changed"
    return f"{_report(done, job)}: {changed if done.changed else 'nothing changed'}."


def _report(done: Done, job: Job) -> str:
    """Warn of what will refuse the code, and say how much there is. Raises CheckFailed."""
    for skew in done.skews:
        output.progress(f"Warning: {skew}")
    if done.import_failures:
        failed = done.import_failures.items()
        listed = "\n  ".join(f"{job.out / name}: {why}" for name, why in failed)
        raise CheckFailed(f"The generated code does not import.\n  {listed}")
    after = done.generated.after
    protos, files = output.counted(len(after.protos), "proto"), len(after.files)
    return f"{protos}, {output.counted(files, 'file')} in {job.out}"
