"""What `paycli gen --watch` notices, and how little it does while there is nothing to notice."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from paycli.toolchain.gen.watch import changes

IDLE_S = 5.0
WATCH = """
import sys
from pathlib import Path
from paycli.toolchain.gen.watch import changes
saved = changes([Path(sys.argv[1])], [])
print("watching", flush=True)
for names in saved:
    print(names, flush=True)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a/b/deep.proto", "a/one.proto", "two.proto"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old")
    settle(tmp_path)
    return tmp_path


def settle(tree: Path) -> None:
    """As if nothing had happened for a while."""
    for folder, _, _ in os.walk(tree):
        os.utime(folder, (time.time() - 60, time.time() - 60))


def noticed(saved: Iterator[list[str]], change: Callable[[], object]) -> list[str]:
    timer = threading.Timer(0.4, change)  # after a look that finds all as it was
    timer.start()
    try:
        return next(saved)
    finally:
        timer.join()


def test_whatever_happens_to_a_proto_is_noticed(tree: Path) -> None:
    saved = changes([tree], [])
    two, other = tree / "two.proto", tree / "other"
    assert noticed(saved, lambda: two.write_text("new")) == ["two.proto"]
    settle(tree)
    other.write_text("old")
    assert noticed(saved, lambda: other.replace(two)) == ["two.proto"]
    assert noticed(saved, lambda: (tree / "a/b/new.proto").touch()) == ["a/b/new.proto"]
    settle(tree)
    assert noticed(saved, (tree / "a/b/new.proto").unlink) == ["a/b/new.proto"]
    assert noticed(saved, lambda: (tree / "a").rename(tree / "c")) == [
        "a/b/deep.proto", "a/one.proto", "c/b/deep.proto", "c/one.proto",
    ]  # fmt: skip


def test_a_proto_that_comes_in_the_same_tick_as_another_is_noticed(tree: Path) -> None:
    saved = changes([tree], [])
    assert noticed(saved, lambda: (tree / "a/new.proto").touch()) == ["a/new.proto"]
    found = (tree / "a").stat()

    def unseen() -> None:
        (tree / "a/newer.proto").touch()
        os.utime(tree / "a", ns=(found.st_atime_ns, found.st_mtime_ns))

    assert noticed(saved, unseen) == ["a/newer.proto"]


def test_named_protos_are_watched_alone(tree: Path) -> None:
    saved = changes([tree], [tree / "two.proto"])
    (tree / "a/one.proto").write_text("new")
    assert noticed(saved, lambda: (tree / "two.proto").write_text("new")) == ["two.proto"]


def test_protos_that_come_later_are_noticed(tmp_path: Path) -> None:
    saved = changes([tmp_path], [])
    assert noticed(saved, lambda: (tmp_path / "a.proto").touch()) == ["a.proto"]


def test_watching_two_thousand_protos_takes_less_than_a_fiftieth_of_a_core(tmp_path: Path) -> None:
    for number in range(2000):
        path = tmp_path / f"pkg{number % 100}/v1/file{number}.proto"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    settle(tmp_path)
    command = [sys.executable, "-c", WATCH, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "watching\n"
            before = cpu_seconds(process.pid)
            time.sleep(IDLE_S)
            taken = cpu_seconds(process.pid) - before
            (tmp_path / "pkg7/v1/file7.proto").write_text("new")
            assert process.stdout.readline() == "['pkg7/v1/file7.proto']\n"
        finally:
            process.kill()
    assert taken / IDLE_S < 0.02


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
