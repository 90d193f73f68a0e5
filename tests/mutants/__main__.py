"""Make each change in a copy of the tree, run the tests that concern it, and say which saw it.

`python -m tests.mutants` makes them all, `python -m tests.mutants claim lock` those whose name has one
of the words in it. A change that no test notices is a hole in the tests: exit 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

from tests.mutants.changes import CHANGES, Change

ROOT = Path(__file__).parents[2]
COPIED = ("paycli", "tests", "proto", "configs", "docs", "pyproject.toml", "buf.yaml", "README.md")
AT_ONCE = os.cpu_count() or 1
TIMEOUT_S = 150  # a change that makes a test hang was noticed, too


def main(words: list[str]) -> int:
    """The exit code."""
    chosen = [each for each in CHANGES if not words or any(word in each.what for word in words)]
    unseen = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        trees: Queue[Path] = Queue()
        for number in range(AT_ONCE):
            trees.put(_copy(Path(folder, str(number))))
        for change, seen in pool.map(lambda each: (each, _is_seen(each, trees)), chosen):
            print(f"{'seen  ' if seen else 'UNSEEN'}  {change.what}", flush=True)  # noqa: T201
            unseen += not seen
    print(f"{len(chosen)} changes, {unseen} unseen")  # noqa: T201
    return 1 if unseen else 0


def _copy(tree: Path) -> Path:
    tree.mkdir()
    for name in COPIED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tree / name)
    return tree


def _is_seen(change: Change, trees: Queue[Path]) -> bool:
    tree = trees.get()
    try:
        with _changed(tree, change):
            return _fail(tree, change.tests)
    finally:
        trees.put(tree)


@contextmanager
def _changed(tree: Path, change: Change) -> Iterator[None]:
    path = tree / "paycli" / change.path
    before = path.read_text(encoding="utf-8")
    assert before.count(change.old) == 1, f"{change.what}: {change.path} has it not once"
    path.write_text(before.replace(change.old, change.new), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


def _fail(tree: Path, tests: str) -> bool:
    line = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not chaos"]
    try:
        ended = subprocess.run(
            [*line, *tests.split()],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    return ended.returncode == 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
