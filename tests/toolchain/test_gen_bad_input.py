"""Mistakes are shown where they are, with what to do; the former output stays byte for byte."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from paycli.errors import InputError
from paycli.toolchain.protos.protoc import Compilation
from paycli.toolchain.protos.workspace import find_workspace
from tests.conftest import run_paycli

GOOD = 'syntax = "proto3";\nmessage Good { int32 x = 1; }\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "proto").mkdir()
    (tmp_path / "proto/good.proto").write_text(GOOD)
    assert gen(tmp_path).returncode == 0
    return tmp_path


def gen(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_paycli("gen", "--out", "out", *arguments, cwd=tree)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(tree: Path, *arguments: str) -> str:
    """What is said, after checking that it is a user's mistake and nothing was touched."""
    before = snapshot(tree / "out")
    run = gen(tree, *arguments)
    assert (run.returncode, run.stdout) == (2, ""), run.stderr
    assert snapshot(tree / "out") == before
    assert "Traceback" not in run.stderr
    return run.stderr


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {
                "a.proto": 'syntax = "proto3";\nimport "buf/validate/validate.proto";\nmessage A { B b = 1; }'
            },
            (
                'Error: proto/a.proto:2:1: Import "buf/validate/validate.proto" was not found: it belongs '
                "to protovalidate, whose wheel has the code but no .proto: copy the file from "
                'github.com/bufbuild/protovalidate below a root.\n    import "buf/validate/validate.proto";\n    ^\n'
            ),
        ),
        (
            {
                "x/a.proto": 'syntax = "proto3";\n  import "b.proto";',
                "x/b.proto": 'syntax = "proto3";',
            },
            (
                'Error: proto/x/a.proto:2:3: Import "b.proto" was not found: the tree has "x/b.proto"; '
                "import that, or name the root it is written from: -I proto -I proto/x.\n"
                '      import "b.proto";\n      ^\n'
            ),
        ),
        (
            {"a.proto": 'syntax = "proto3";\nimport "google/api/annotation.proto";'},
            (
                'Error: proto/a.proto:2:1: Import "google/api/annotation.proto" was not found: run '
                "'pip install --upgrade googleapis-common-protos', or name its root with -I.\n"
                '    import "google/api/annotation.proto";\n    ^\n'
            ),
        ),
        (
            {
                "a.proto": 'syntax = "proto3";\nimport "b.proto";\nmessage A { B b = 1; }',
                "b.proto": 'syntax = "proto3";\nimport "a.proto";\nmessage B {}',
            },
            (
                "Error: proto/a.proto:2:1: File recursively imports itself: a.proto -> b.proto -> "
                'a.proto\n    import "b.proto";\n    ^\n'
            ),
        ),
        (
            {"a.proto": 'syntax = "proto3";\nmessage A {}\n\n\tmessage Good {}'},
            (
                'Error: proto/good.proto:2:9: "Good" is already defined in proto/a.proto.\n'
                "    message Good { int32 x = 1; }\n            ^\n"
            ),
        ),
        (
            {"a.proto": 'syntax = "proto3";\nmessage A {\n\tstring\ta = ;\n}'},
            (
                "Error: proto/a.proto:3:17: Expected field number.\n"
                "        string  a = ;\n                    ^\n"
            ),
        ),
        (
            {"a.proto": 'syntax = "proto3";\nmessage Größe {}'},
            (
                "Error: proto/a.proto:2:11: outside of strings and comments, only ASCII is allowed.\n"
                "    message Größe {}\n              ^\n"
            ),
        ),
        (
            {"a-b.proto": 'syntax = "proto3";', "a_b.proto": 'syntax = "proto3";'},
            (
                "Error: proto/a_b.proto: proto/a-b.proto becomes the same Python module, a_b_pb2.py. "
                "Rename one of them.\n"
            ),
        ),
        (
            {"a.proto": 'edition = "2999";'},
            'Error: proto/a.proto:1:11: Unknown edition "2999".\n    edition = "2999";\n              ^\n',
        ),
    ],
)
def test_a_mistake_in_a_proto(tree: Path, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        (tree / "proto" / name).parent.mkdir(exist_ok=True)
        (tree / "proto" / name).write_text(text, encoding="utf-8")
    assert refused(tree) == said


@pytest.mark.parametrize(
    ("imported", "said"),
    [
        ("./x/b.proto", 'does not say where the file is from the root: write "x/b.proto".'),
        ("x/../x/b.proto", 'does not say where the file is from the root: write "x/b.proto".'),
        ("x//b.proto", 'does not say where the file is from the root: write "x/b.proto".'),
        ("/x/b.proto", 'does not say where the file is from the root: write "x/b.proto".'),
        ("../b.proto", 'root: write its path below the root, without "." or "..".'),
        ("../../../../b.proto", 'root: write its path below the root, without "." or "..".'),
        ("..", 'root: write its path below the root, without "." or "..".'),
        (".", 'root: write its path below the root, without "." or "..".'),
        ("http://x/b.proto", "does not say where the file is from the root: write"),
        ("a:1:2: b", "was not found: name the root that has it with -I DIR."),
        ("x/b", 'was not found: the tree has "x/b.proto".'),
        ("", "This import names no file."),
        ("y/b.proto", 'was not found: the tree has "x/y/b.proto"; import that, or name the root'),
        ("z/y/b.proto", 'was not found: the tree has "x/y/b.proto"; imports are written from'),
        ("google/type/b.proto", "run 'pip install --upgrade googleapis-common-protos'"),
        ("none.proto", "was not found: name the root that has it with -I DIR."),
    ],
)
def test_an_import_that_leads_nowhere(tree: Path, imported: str, said: str) -> None:
    """Said at the line of the importer, with the file of the tree that is most alike."""
    files = {
        "a.proto": f'syntax = "proto3";\n\nimport "{imported}";',
        "a/b.proto": 'syntax = "proto3";',  # has the name too, and comes first
        "x/b.proto": 'syntax = "proto3";',
        "x/y/b.proto": 'syntax = "proto3";',
    }
    for name, text in files.items():
        (tree / "proto" / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / "proto" / name).write_text(text, encoding="utf-8")
    shown = refused(tree)
    assert shown.startswith("Error: proto/a.proto:3:1: ")
    assert said in shown.splitlines()[0]
    assert len(shown.splitlines()) == 3


def test_the_root_that_is_named_repairs_it(tree: Path) -> None:
    (tree / "proto/my protos/y").mkdir(parents=True)
    (tree / "proto/a.proto").write_text('syntax = "proto3";\nimport "y/b.proto";')
    (tree / "proto/my protos/y/b.proto").write_text('syntax = "proto3";')
    command = refused(tree).partition("written from: ")[2].partition(".\n")[0]
    assert gen(tree, *shlex.split(command)).returncode == 0


def test_a_failed_import_does_not_hide_why_it_failed(tree: Path) -> None:
    (tree / "proto/a.proto").write_text(
        'syntax = "proto3";\nimport "b.proto";\nmessage A { B b = 1; }'
    )
    (tree / "proto/b.proto").write_text('syntax = "proto3";\nmessage B { None x = 1; }')
    assert refused(tree).startswith('Error: proto/b.proto:2:13: "None" is not defined.\n')


def test_a_file_that_is_not_utf8(tree: Path) -> None:
    (tree / "proto/a.proto").write_bytes(b'syntax = "proto3";\n// caf\xe9\n')
    assert refused(tree).startswith(
        "Error: proto/a.proto:2:7: byte 0xe9 is not UTF-8; save the file as UTF-8.\n    // caf"
    )


def test_folders_where_files_are_expected(tree: Path) -> None:
    (tree / "proto/folder.proto").mkdir()
    assert "proto/folder.proto is a folder; name .proto files" in refused(
        tree, "proto/folder.proto"
    )
    assert gen(tree).returncode == 0  # in the tree it is a folder like any other
    (tree / "proto/a.txt").write_text(GOOD)
    assert "proto/a.txt does not end in .proto" in refused(tree, "proto/a.txt")


def test_links(tree: Path) -> None:
    outside = tree / "outside"
    outside.mkdir()
    (outside / "o.proto").write_text(GOOD.replace("Good", "Other"))
    link = tree / "proto/link.proto"
    link.symlink_to(outside / "o.proto")
    assert "proto/link.proto is a link out of the tree, to " in refused(tree)
    link.unlink()
    link.symlink_to(tree / "nowhere")
    assert "nowhere, which does not exist." in refused(tree)
    link.unlink()
    (tree / "proto/sub").symlink_to(outside)
    assert "proto/sub is a link out of the tree, to " in refused(tree)
    (tree / "proto/sub").unlink()
    (tree / "proto/round").symlink_to(tree / "proto")
    (tree / "proto/circle").symlink_to(tree / "proto/circle")
    (tree / "proto/inside.proto").symlink_to(tree / "proto/good.proto")
    assert '"Good" is already defined in' in refused(tree)
    (tree / "proto/inside.proto").unlink()
    assert "nothing changed" in gen(tree).stderr


def test_an_output_that_is_in_the_way(tree: Path) -> None:
    (tree / "file").write_text("mine")
    assert "file is a file, where a folder is to go" in refused(tree, "--out", "file")
    assert "file is a file, where a folder is to go" in refused(tree, "--out", "file/below")
    assert "Cannot write into /proc/nowhere" in refused(tree, "--out", "/proc/nowhere")
    (tree / "proto/a").mkdir()
    (tree / "proto/a/a.proto").write_text(GOOD.replace("Good", "A"))
    (tree / "out/a").write_text("mine")
    assert "out/a is a file, where a folder is to go" in refused(tree)
    (tree / "out/a").unlink()
    (tree / "elsewhere").mkdir()
    (tree / "out/a").symlink_to(tree / "elsewhere")
    assert "out/a is a link out of out, to " in refused(tree)
    (tree / "out/a").unlink()
    (tree / "out/a/a_pb2.py").mkdir(parents=True)
    assert "out/a/a_pb2.py is a folder, where a file is to go" in refused(tree)
    assert not list((tree / "elsewhere").iterdir())


def test_a_foreign_output_folder(tree: Path) -> None:
    foreign = tree / "foreign"
    foreign.mkdir()
    (foreign / "good_pb2.py").write_text("precious = True\n")
    (foreign / "other.txt").write_text("mine\n")
    before = snapshot(foreign)
    assert "foreign/good_pb2.py was not written by gen" in refused(tree, "--out", "foreign")
    checked = gen(tree, "--out", "foreign", "--check")
    assert checked.returncode == 1
    assert "in the way, not written by gen: foreign/good_pb2.py" in checked.stderr
    assert snapshot(foreign) == before


def in_a_full_folder(tree: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run with a TMPDIR of a few KB, which nobody else sees."""
    (tree / "small").mkdir(exist_ok=True)
    shell = (
        f"mount -t tmpfs -o size=4k tmpfs small || exit 99; TMPDIR=small exec {shlex.join(command)}"
    )
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", shell],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["gen --out out", "gen --out out --verify", "lint"])
def test_a_folder_for_temporary_files_that_is_full(tree: Path, command: str) -> None:
    if in_a_full_folder(tree, ["true"]).returncode:
        pytest.skip("no mounts here")
    text = "".join(f"message M{number} {{ string name = 1; }}\n" for number in range(200))
    if "--verify" not in command:  # which is then the first to need room
        (tree / "proto/large.proto").write_text(f'syntax = "proto3";\n{text}')
    run = in_a_full_folder(tree, [sys.executable, "-m", "paycli", *command.split()])
    assert run.returncode == 2, run.stderr
    assert run.stderr == (
        f"Error: Cannot write temporary files into {tree}/small: No space left on device. "
        "Make room, or name another folder with TMPDIR.\n"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission(tree: Path) -> None:
    (tree / "out").chmod(0o500)
    (tree / "proto/good.proto").write_text(GOOD.replace("x", "y"))
    try:
        assert "Cannot write into out: no permission." in refused(tree)
    finally:
        (tree / "out").chmod(0o700)


@pytest.mark.parametrize("text", ["", "{", '{"files": 5}', '{"files": {}, "protos": {"a": 5}}'])
def test_a_damaged_manifest(tree: Path, text: str) -> None:
    (tree / "out/.paycli-gen.json").write_text(text)
    assert "out/.paycli-gen.json is damaged. Delete it and run 'paycli gen'." in refused(tree)
    (tree / "out/.paycli-gen.json").unlink()
    assert gen(tree).returncode == 0


def test_a_manifest_reaches_nothing_outside(tree: Path) -> None:
    manifest = tree / "out/.paycli-gen.json"
    victim = tree / "victim_pb2.py"
    victim.write_text("")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for name in ("../victim_pb2.py", str(victim)):
        entry = f'"files": {{\n    "{name}": "{empty}",'
        manifest.write_text(manifest.read_text().replace('"files": {', entry))
    assert gen(tree).returncode == 0
    assert victim.exists()


def test_a_file_that_goes_while_the_code_is_made(tmp_path: Path) -> None:
    (tmp_path / "good.proto").write_text(GOOD)
    workspace = find_workspace([tmp_path], [])
    with tempfile.TemporaryFile() as said:
        compilation = Compilation(workspace, ["gone.proto"], str(tmp_path), said)
        with pytest.raises(InputError, match=r"gone\.proto"):
            compilation.code()
        compilation.end()
