"""Killed at any step, `paycli gen` leaves a tree that is known to be unfinished, and mends it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import run_paycli

# Kills itself before its N-th step on the file system, for every N; then looks with --check, and
# runs again, over the new protos or over the old ones. Forks of one process that has loaded
# everything, so that a round costs milliseconds.
PROGRAM = """
import json, os, shutil, signal, sys
from pathlib import Path
import paycli.toolchain.gen.modules
from paycli.toolchain.gen.generate import bring_up_to_date, generate
from paycli.toolchain.protos.workspace import find_workspace

STEPS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir"}
out = Path("generated")


def tree():
    return {str(p.relative_to(out)): p.read_text() for p in sorted(out.rglob("*")) if p.is_file()}


def is_current(root):
    return generate(find_workspace([Path(root)], []), out).drift.empty


def gen(root, kill_before=0):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = kill_before

    def hook(event, args):
        nonlocal left
        if event not in STEPS or not str(args[0]).startswith("generated"):
            return
        if event == "open" and not args[2] & (os.O_WRONLY | os.O_RDWR):
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if kill_before:
        sys.addaudithook(hook)
    bring_up_to_date(find_workspace([Path(root)], []), out)
    os._exit(0)


def fresh(root):
    shutil.rmtree(out, ignore_errors=True)
    assert gen(root) == 0
    return tree()


wanted, old = fresh("new"), fresh("old")
shutil.copytree(out, "kept")
step, rounds = 0, []
while True:
    step += 1
    ended = gen("new", kill_before=step)
    found = {"ended": ended, "finished": tree() == wanted, "current": is_current("new")}
    root, then = ("new", wanted) if step % 2 else ("old", old)
    found["mended"] = gen(root) == 0 and tree() == then
    rounds.append(found)
    if ended == 0:
        break
    shutil.rmtree(out)
    shutil.copytree("kept", out)
print(json.dumps(rounds))
"""


def write_protos(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'syntax = "proto3";\n{text}', encoding="utf-8")


@pytest.fixture
def two_trees(tmp_path: Path) -> Path:
    """`old` and `new`: one file changed, one gone, one added, one as it was."""
    same = {"a/same.proto": "package a; message Same { int32 x = 1; }\n"}
    old = "package a; message Old { int32 x = 1; }\n"
    write_protos(tmp_path / "old", same | {"a/changed.proto": old, "gone/g.proto": "message G {}"})
    new = old.replace("x = 1", "y = 2")
    write_protos(tmp_path / "new", same | {"a/changed.proto": new, "come/c.proto": "message C {}"})
    return tmp_path


def test_a_kill_before_any_step_is_noticed_and_mended(two_trees: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=two_trees, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    rounds = json.loads(run.stdout)
    assert len(rounds) > 20  # there were that many steps to kill it at
    assert rounds[-1]["current"]
    for number, found in enumerate(rounds, start=1):
        last = number == len(rounds)
        assert found["ended"] == (0 if last else -signal.SIGKILL)
        assert found["finished"] or not found["current"], f"believed when killed at step {number}"
        assert found["mended"], f"not mended after step {number}"


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_kills_at_random_moments(two_trees: Path) -> None:
    write_protos(two_trees / "new", {f"many/m{i}.proto": f"message M{i} {{}}" for i in range(150)})
    write_protos(two_trees / "old", {f"many/m{i}.proto": f"message N{i} {{}}" for i in range(150)})
    run_paycli("gen", "-I", "new", "--out", "reference", cwd=two_trees)
    started = time.monotonic()
    run_paycli("gen", "-I", "old", "--out", "generated", cwd=two_trees)
    took_s = time.monotonic() - started
    reference = content(two_trees / "reference")
    for _ in range(100):
        command = [sys.executable, "-m", "paycli", "gen", "-I", "new", "--out", "generated"]
        process = subprocess.Popen(command, cwd=two_trees, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0.3, 1.1) * took_s)
        process.kill()
        process.wait()
        checked = run_paycli("gen", "-I", "new", "--out", "generated", "--check", cwd=two_trees)
        whole = content(two_trees / "generated") == reference
        assert (checked.returncode == 0) <= whole, checked.stderr
        assert run_paycli("gen", "-I", "new", "--out", "generated", cwd=two_trees).returncode == 0
        assert content(two_trees / "generated") == reference
        assert run_paycli("gen", "-I", "old", "--out", "generated", cwd=two_trees).returncode == 0


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
