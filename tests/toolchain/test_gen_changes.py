"""What is compiled again and what is not, whose files are whose, and what each flag does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from paycli.errors import InputError
from paycli.toolchain.gen.generate import Generated, bring_up_to_date, generate
from paycli.toolchain.gen.manifest import MANIFEST
from paycli.toolchain.gen.out_folder import default_out, write
from paycli.toolchain.protos.workspace import find_workspace
from tests.conftest import run_paycli

FILES = {
    "acme/money.proto": "package acme; message Money { int64 minor = 1; }",
    "acme/cart.proto": 'package acme; import "acme/money.proto"; message Cart { Money sum = 1; }',
    "acme/shop.proto": (
        'package acme; import "acme/cart.proto"; import "google/rpc/status.proto";'
        "message Shop { Cart cart = 1; google.rpc.Status status = 2; }"
        "service Buys { rpc Buy(Shop) returns (Cart); }"
    ),
    "alone.proto": "message Alone {}",
}


def put(tree: Path, name: str, text: str) -> None:
    path = tree / "proto" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'syntax = "proto3";\n{text}\n', encoding="utf-8")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        put(tmp_path, name, text)
    return tmp_path


def look(tree: Path, *roots: str) -> Generated:
    return generate(find_workspace([tree / root for root in roots or ("proto",)], []), tree / "out")


def make(tree: Path, *protos: str) -> Generated:
    workspace = find_workspace([tree / "proto"], [tree / "proto" / name for name in protos])
    return bring_up_to_date(workspace, tree / "out", whole_tree=not protos)


def gen(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_paycli("gen", "--out", "out", *arguments, cwd=tree)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_nothing_changed_is_answered_without_protoc(tree: Path) -> None:
    make(tree)
    program = (
        "import sys; from paycli.cli.app import run; code = run(['gen', '--out', 'out']);"
        "sys.exit(str([m for m in sys.modules if m in ('grpc_tools', 'google.protobuf')]) + str(code))"
    )
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert run.stderr.splitlines() == ["4 protos, 18 files in out: nothing changed.", "[]0"]


@pytest.mark.parametrize(
    ("changed", "compiled"),
    [
        ("acme/money.proto", ("acme/cart.proto", "acme/money.proto", "acme/shop.proto")),
        ("acme/shop.proto", ("acme/shop.proto",)),
        ("alone.proto", ("alone.proto",)),
    ],
)
def test_a_change_takes_only_its_dependants_along(
    tree: Path, changed: str, compiled: tuple[str, ...]
) -> None:
    make(tree)
    put(tree, changed, FILES[changed].replace("message ", "message Extra {} message ", 1))
    assert make(tree).compiled == compiled
    assert make(tree).compiled == ()
    incremental = snapshot(tree / "out")
    shutil.rmtree(tree / "out")
    make(tree)
    assert snapshot(tree / "out") == incremental


@pytest.mark.parametrize(
    ("recorded", "compiled"),
    [
        ('"made_with": "paycli', 4),
        ('"google/rpc/status.proto": ["', 1),
        ('"alone_pb2.py": "', 1),
    ],
)
def test_whatever_differs_from_what_was_recorded_is_compiled_again(
    tree: Path, recorded: str, compiled: int
) -> None:
    make(tree)
    before = snapshot(tree / "out")
    manifest = tree / "out" / MANIFEST
    text = manifest.read_text()
    assert recorded in text
    manifest.write_text(text.replace(recorded, recorded + "0"))
    assert len(make(tree).compiled) == compiled
    assert snapshot(tree / "out") == before


def test_a_file_in_the_tree_takes_the_place_of_an_installed_one(tree: Path) -> None:
    make(tree)
    installed = find_workspace([tree / "proto"], []).imported_path("google/rpc/status.proto")
    assert installed is not None
    (tree / "proto/google/rpc").mkdir(parents=True)
    shutil.copy(installed, tree / "proto/google/rpc")
    assert make(tree).compiled == ("acme/shop.proto", "google/rpc/status.proto")
    assert "from ..google.rpc import status_pb2" in (tree / "out/acme/shop_pb2.py").read_text()
    assert not (tree / "out/google/__init__.py").exists()
    shutil.rmtree(tree / "proto/google")
    assert make(tree).compiled == ("acme/shop.proto",)
    assert "\nfrom google.rpc import status_pb2" in (tree / "out/acme/shop_pb2.py").read_text()
    assert not (tree / "out/google").exists()


def test_the_manifest_is_the_same_bytes_everywhere(tree: Path) -> None:
    make(tree)
    elsewhere = tree / "else where"
    shutil.copytree(tree / "proto", elsewhere / "proto")
    make(elsewhere)
    manifest = (tree / "out" / MANIFEST).read_text()
    assert manifest == (elsewhere / "out" / MANIFEST).read_text()
    assert str(tree) not in manifest
    assert json.loads(manifest)["protos"].keys() == FILES.keys()


def test_a_name_taken_in_an_unchanged_file_is_found(tree: Path) -> None:
    make(tree)
    before = snapshot(tree / "out")
    put(tree, "acme/new.proto", "package acme; enum E { Money = 0; }")
    with pytest.raises(InputError, match=r'"acme.Money" is already defined in .*money\.proto'):
        make(tree)
    put(tree, "acme/new.proto", "message acme {}")
    with pytest.raises(InputError, match=r'"acme" is already defined'):
        make(tree)
    assert snapshot(tree / "out") == before


def test_files_edited_by_hand_are_named_and_only_left_over_ones_are_kept(tree: Path) -> None:
    make(tree)
    (tree / "out/alone_pb2.py").write_text("mine = True\n")
    (tree / "out/acme/money_pb2.pyi").write_text("mine: bool\n")
    (tree / "proto/alone.proto").unlink()
    checked = gen(tree, "--check")
    assert checked.returncode == 1
    assert "edited by hand: out/acme/money_pb2.pyi" in checked.stderr
    assert "left over, but edited by hand: out/alone_pb2.py" in checked.stderr
    assert "left over: out/alone_pb2_grpc.py" in checked.stderr
    made = gen(tree)
    assert made.returncode == 0
    assert "out/acme/money_pb2.pyi was edited by hand: replaced" in made.stderr
    assert "out/alone_pb2.py is left over, but was edited by hand: kept" in made.stderr
    assert (tree / "out/alone_pb2.py").read_text() == "mine = True\n"
    assert not (tree / "out/alone_pb2_grpc.py").exists()
    assert gen(tree, "--check").returncode == 0


def test_an_init_file_that_the_user_fills_becomes_theirs(tree: Path) -> None:
    make(tree)
    init = tree / "out/acme/__init__.py"
    init.write_text("from . import money_pb2\n")
    assert gen(tree, "--check").returncode == 0
    assert make(tree).drift.empty
    for name in ("shop", "cart", "money"):
        (tree / f"proto/acme/{name}.proto").unlink()
    make(tree)
    assert init.read_text() == "from . import money_pb2\n"
    assert gen(tree, "--check").returncode == 0


def test_a_deleted_manifest_comes_back_the_same(tree: Path) -> None:
    """That is how a merge conflict in it ends."""
    make(tree)
    before = snapshot(tree / "out")
    (tree / "out" / MANIFEST).unlink()
    make(tree)
    assert snapshot(tree / "out") == before
    (tree / "out" / MANIFEST).unlink()
    (tree / "out/acme/mine.py").touch()  # now that folder is not only ours
    make(tree)
    assert json.loads((tree / "out" / MANIFEST).read_text())["files"].keys() == (
        before.keys() - {"acme/__init__.py", MANIFEST}
    )


def test_named_files_bring_what_they_import_from_the_tree(tree: Path) -> None:
    assert make(tree, "acme/shop.proto").compiled == (
        "acme/cart.proto",
        "acme/money.proto",
        "acme/shop.proto",
    )
    assert not (tree / "out/alone_pb2.py").exists()
    assert "alone.proto" not in make(tree, "acme/shop.proto").after.protos
    put(tree, "acme/cart.proto", FILES["acme/cart.proto"] + " message More {}")
    assert make(tree, "alone.proto").compiled == ("alone.proto",)
    assert not look(tree).drift.empty  # the change of cart.proto is not forgotten
    assert make(tree).compiled == ("acme/cart.proto", "acme/shop.proto")


def test_after_an_update_of_the_compiler_named_files_do_not_vouch_for_the_rest(tree: Path) -> None:
    make(tree)
    manifest = tree / "out" / MANIFEST
    manifest.write_text(manifest.read_text().replace('"made_with": "', '"made_with": "old '))
    assert make(tree, "alone.proto").compiled == ("alone.proto",)
    assert len(make(tree).compiled) == 3


def test_several_roots(tree: Path) -> None:
    (tree / "proto/inner/deep").mkdir(parents=True)
    (tree / "proto/inner/deep/d.proto").write_text('syntax = "proto3"; import "alone.proto";')
    assert "deep/d.proto" in look(tree, "proto", "proto/inner").compiled
    assert "inner/deep/d.proto" in look(tree).compiled
    (tree / "other").mkdir()
    shutil.copy(tree / "proto/alone.proto", tree / "other")
    assert len(look(tree, "proto", "other").compiled) == 5
    (tree / "other/alone.proto").write_text('syntax = "proto3"; message Other {}')
    with pytest.raises(InputError, match="has the same name below its root but other content"):
        look(tree, "proto", "other")


def test_hidden_folders_and_virtual_environments_are_not_searched(tree: Path) -> None:
    for folder in (".git", "node_modules/x", "env/lib"):
        (tree / "proto" / folder).mkdir(parents=True)
        (tree / "proto" / folder / "no.proto").write_text("not a proto")
    (tree / "proto/env/pyvenv.cfg").touch()
    assert set(look(tree).compiled) == FILES.keys()


def test_a_run_that_was_overtaken_writes_nothing(tree: Path) -> None:
    late = look(tree)  # has looked, and then another run is faster, with newer protos
    put(tree, "alone.proto", "message Newer {}")
    make(tree)
    before = snapshot(tree / "out")
    assert not write(late.contents, late.drift, late.before, late.after, tree / "out")
    assert snapshot(tree / "out") == before


# Stands in the middle of its writing until another run, in its own process, is done or waits.
HALFWAY = """
import os, sys
from pathlib import Path
from paycli.toolchain.gen.generate import bring_up_to_date
from paycli.toolchain.gen.out_folder import default_out
from paycli.toolchain.protos.workspace import find_workspace


def stand(event, args):
    global moved
    if event == "os.rename" and str(args[1]).endswith("_pb2.py"):
        moved += 1
        if moved == 2:
            print("halfway", flush=True)
            sys.stdin.readline()


moved = 0
sys.addaudithook(stand)
bring_up_to_date(find_workspace([Path("proto")], []), Path("out"))
"""


def test_a_run_waits_for_another_that_is_writing(tree: Path) -> None:
    def start(program: list[str]) -> subprocess.Popen[str]:
        command = [sys.executable, *program]
        return subprocess.Popen(
            command, cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    with start(["-c", HALFWAY]) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "halfway\n"
        put(tree, "alone.proto", "message Newer {}")  # the other run has other files to write
        halfway = snapshot(tree / "out")
        with start(["-m", "paycli", "gen", "--out", "out"]) as second:
            wait_for_lock(second.pid, tree / "out")
            assert snapshot(tree / "out") == halfway
            assert first.communicate("go on\n", timeout=60)[0] == ""
            assert second.wait(60) == 0
    assert first.returncode == 0
    found = snapshot(tree / "out")
    shutil.rmtree(tree / "out")
    make(tree)
    assert found == snapshot(tree / "out")


def wait_for_lock(pid: int, folder: Path) -> None:
    """Until the process waits for the lock of the folder; fails if it does not."""
    found = folder.stat()
    wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino} "
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for line in Path("/proc/locks").read_text().splitlines():
            if "->" in line and f" {pid} " in line and wanted in line:
                return
        time.sleep(0.02)
    pytest.fail("nobody waits for the lock")


def test_code_checked_out_with_other_line_ends_is_called_that(tree: Path) -> None:
    make(tree)
    before = snapshot(tree / "out")
    for path in (tree / "out").rglob("*.*"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (tree / "out/alone_pb2.py").write_bytes(before["alone_pb2.py"] + b"mine = True\r\n")
    checked = gen(tree, "--check")
    assert checked.returncode == 1
    said = [line.strip() for line in checked.stderr.splitlines()]
    assert "the same but for its line ends: out/acme/money_pb2.py" in said
    assert "edited by hand: out/alone_pb2.py" in said
    assert said.count("edited by hand: out/alone_pb2.py") == sum("by hand" in line for line in said)
    assert (
        said[-1]
        == "To keep line ends as gen writes them, put '* text eol=lf' into out/.gitattributes."
    )
    made = gen(tree)
    assert made.stderr.count("edited by hand") == 1
    assert snapshot(tree / "out") == before
    assert gen(tree, "--check").returncode == 0


def test_code_that_was_repaired_is_not_called_unfinished(tree: Path) -> None:
    make(tree)
    before = snapshot(tree / "out")
    (tree / "out/alone_pb2.py").write_text("mine = True\n")
    assert gen(tree).returncode == 0
    assert snapshot(tree / "out") == before
    assert gen(tree).stderr == "4 protos, 18 files in out: nothing changed.\n"


def test_a_project_of_somebody_else_gets_no_paycli(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "paycli").mkdir()  # of whatever kind
    assert run_paycli("gen", cwd=tree).stderr.startswith("4 protos, 18 files in generated: ")
    assert not list((tree / "paycli").iterdir())
    (tree / "paycli/generated").mkdir()  # was made by an earlier paycli
    assert " in paycli/generated: " in run_paycli("gen", cwd=tree).stderr
    (tree / "paycli/generated").rename(tree / "elsewhere")
    (tree / "paycli/__init__.py").touch()
    monkeypatch.chdir(tree)
    assert default_out() == Path("paycli/generated")


def test_one_is_one(tree: Path) -> None:
    shutil.rmtree(tree / "proto/acme")
    assert gen(tree).stderr == "1 proto, 5 files in out: 5 files changed.\n"


def test_the_descriptor_set_has_imports_and_positions_though_nothing_changed(tree: Path) -> None:
    make(tree)
    assert gen(tree, "--descriptor-set", "set.binpb").returncode == 0
    files = FileDescriptorSet.FromString((tree / "set.binpb").read_bytes()).file
    assert {file.name for file in files} >= {*FILES, "google/rpc/status.proto"}
    assert all(file.source_code_info.location for file in files)
    refused = gen(tree, "--check", "--descriptor-set", "set.binpb")
    assert (refused.returncode, "writes nothing" in refused.stderr) == (2, True)


def test_verify_imports_everything_and_names_what_does_not(tree: Path) -> None:
    assert gen(tree, "--verify").returncode == 0
    # Another google.rpc.Status than the installed one, which operations_proto_pb2 brings.
    put(tree, "google/rpc/status.proto", "package google.rpc; message Status { int32 code = 1; }")
    put(tree, "acme/zebra.proto", 'import "google/longrunning/operations_proto.proto";')
    wrong = gen(tree, "--verify")
    assert wrong.returncode == 1
    assert "Error: The generated code does not import." in wrong.stderr
    assert "out/acme/zebra_pb2.py: TypeError: " in wrong.stderr
    assert "duplicate file name" in wrong.stderr


def test_messages_can_be_pickled_where_they_are(tree: Path) -> None:
    make(tree)
    program = (
        "import pickle; from out.acme.cart_pb2 import Cart; cart = Cart(sum={'minor': 5});"
        "assert Cart.__module__ == 'out.acme.cart_pb2', Cart.__module__;"
        "assert pickle.loads(pickle.dumps(cart)) == cart"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tree, check=True)


def test_a_declared_runtime_that_is_too_old_is_named_before_anybody_meets_it(tree: Path) -> None:
    (tree / "pyproject.toml").write_text('[project]\ndependencies = ["protobuf>=6", "grpcio"]\n')
    for _ in range(2):  # also when nothing changed
        said = gen(tree).stderr
        assert "Warning: The generated code needs protobuf>=" in said
        assert 'allows one as old as 6; write "protobuf>=' in said
        assert "needs grpcio>=" in said


def test_watch_compiles_what_is_saved_survives_mistakes_and_ends_on_ctrl_c(tree: Path) -> None:
    command = [sys.executable, "-m", "paycli", "gen", "--out", "out", "--watch"]
    with subprocess.Popen(command, cwd=tree, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert "18 files changed in" in process.stderr.readline()
            assert process.stderr.readline() == "Watching; stop with Ctrl-C.\n"
            put(tree, "alone.proto", "message Alone { int32 x = 1; }")
            assert process.stderr.readline().startswith("alone.proto → 4 protos")
            put(tree, "alone.proto", "message Alone { int32 x = ; }")
            assert "alone.proto:2:27: Expected field number." in process.stderr.readline()
            assert process.stderr.readline().startswith("    message Alone")
            assert process.stderr.readline().strip() == "^"
            put(tree, "alone.proto", "message Alone { int32 y = 1; }")
            assert "2 files changed in" in process.stderr.readline()
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
        finally:
            process.kill()
