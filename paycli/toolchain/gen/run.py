"""A run of gen as it is asked for: see whether the code is current, or bring it up to date."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from paycli.errors import CheckFailed
from paycli.toolchain.gen.generate import Generated, bring_up_to_date, generate
from paycli.toolchain.gen.out_folder import Drift, write_whole
from paycli.toolchain.gen.runtime_skew import Skew, find_skews
from paycli.toolchain.protos.workspace import find_workspace


class Job(NamedTuple):
    """What is asked for: the trees below `roots`, or `protos` of them alone, as code in `out`."""

    roots: tuple[Path, ...]
    protos: tuple[Path, ...]
    out: Path
    descriptor_set: Path | None = None
    verify: bool = False

    @property
    def whole_tree(self) -> bool:
        """Whether code that no proto stands behind is left over."""
        return not self.protos


class Done(NamedTuple):
    """What was made; runtimes here, or allowed here, that are too old for it; what does not import.

    `import_failures` are files by name with the reason, if the job was to look for them.
    """

    generated: Generated
    skews: list[Skew]
    import_failures: dict[str, str]

    @property
    def changed(self) -> int:
        """How many files were not as they should be."""
        drift = self.generated.drift
        return sum(len(names) for _, names in drift.named()) + drift.interrupted


def check(job: Job) -> Done:
    """Look, and write nothing. Raises CheckFailed if the code is not current, InputError."""
    workspace = find_workspace(job.roots, job.protos)
    made = generate(workspace, job.out, whole_tree=job.whole_tree)
    if lines := _describe(made.drift, job.out):
        listed = "\n  ".join(lines)
        raise CheckFailed(f"The generated code is not current; run 'paycli gen'.\n  {listed}")
    return _done(made, job)


def bring(job: Job) -> Done:
    """Bring the output up to date. Raises InputError."""
    workspace = find_workspace(job.roots, job.protos)
    everything = job.descriptor_set is not None
    made = bring_up_to_date(workspace, job.out, whole_tree=job.whole_tree, everything=everything)
    if job.descriptor_set is not None:
        write_whole(job.descriptor_set, made.descriptors)
    return _done(made, job)


def _done(made: Generated, job: Job) -> Done:
    failures: dict[str, str] = {}
    if job.verify:
        from paycli.toolchain.gen.verify import find_import_failures

        failures = find_import_failures(job.out, made.after.files)
    return Done(made, find_skews(made.after.files, job.out), failures)


def _describe(drift: Drift, out: Path) -> list[str]:
    lines = [f"{what}: {out / name}" for what, names in drift.named() for name in names]
    if drift.interrupted:
        lines.append(f"an interrupted run left {out} unfinished")
    if drift.line_ends:
        lines.append(
            "To keep line ends as gen writes them, put '* text eol=lf' into "
            f"{out / '.gitattributes'}."
        )
    return lines
