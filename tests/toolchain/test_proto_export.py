"""`paycli proto export`: our contracts for compilers of other languages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import run_paycli


def exported(folder: Path, *words: str) -> tuple[int, str, str]:
    run = run_paycli("proto", "export", folder, *words)
    return run.returncode, run.stdout, run.stderr


def files_of(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_protoc_needs_nothing_else(tmp_path: Path) -> None:
    folder, out = tmp_path / "there/protos", tmp_path / "out"
    out.mkdir()
    code, said, _ = exported(folder)
    assert (code, said) == (0, f"4 protos in {folder}.\n")
    assert (folder / "payment.proto").read_bytes() == Path("proto/payment.proto").read_bytes()
    # Not with -m grpc_tools.protoc in a process that finds installed protos: -I is all it has, and
    # the well-known types that come with every protoc.
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"--python_out={out}"]
    subprocess.run([*command, *files_of(folder)], check=True)
    assert len(files_of(out)) == 4


def test_what_somebody_changed_is_not_replaced_unasked(tmp_path: Path) -> None:
    exported(tmp_path)
    first = files_of(tmp_path)
    assert exported(tmp_path) == (0, f"Nothing to do: 4 protos in {tmp_path}.\n", "")
    changed = tmp_path / "google/rpc/status.proto"
    changed.write_text("mine")
    (tmp_path / "payment.proto").unlink()
    code, said, why = exported(tmp_path)
    assert (code, said) == (2, "")
    assert f"Other files are there already: {changed}." in why
    assert files_of(tmp_path) == {
        **{name: content for name, content in first.items() if name != "payment.proto"},
        "google/rpc/status.proto": b"mine",
    }
    code, said, why = exported(tmp_path, "--force", "--json")
    assert code == 0
    assert '"written": ["google/rpc/status.proto", "payment.proto"]' in said
    assert files_of(tmp_path) == first


def test_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, said, why = exported(tmp_path / "file")
    assert (code, said) == (2, "")
    assert why.startswith(f"Error: {tmp_path}/file/")
    assert why.count("\n") == 1
