"""Proof that generated code imports: all of it, in a fresh interpreter, deep inside a package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

from paycli.toolchain.protos.scratch import scratch_folder

_PACKAGE: Final = ("paycli_verify", "some", "package")
# Several modules may be wrong; all are named. What the modules print is not to mix with the answer.
_PROGRAM: Final = """
import importlib, json, sys
failed = {}
for name in json.load(sys.stdin):
    try:
        importlib.import_module(name)
    except Exception as problem:
        failed[name] = f"{type(problem).__name__}: {problem}"
json.dump(failed, open(sys.argv[1], "w"))
"""


def find_import_failures(out: Path, files: Collection[str]) -> dict[str, str]:
    """Those of the generated `files` that do not import, with the reason.

    They are copied, alone, to a place of which nothing but the package's top is on sys.path: what
    imports there imports in any package. Raises InputError.
    """
    with scratch_folder() as folder:
        package = Path(folder, *_PACKAGE)
        for name in files:
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(out / name, package / name)
        modules = {
            ".".join((*_PACKAGE, *name.removesuffix(".py").split("/"))): name
            for name in sorted(files)
            if name.endswith(("_pb2.py", "_pb2_grpc.py"))
        }
        answer = Path(folder, "answer.json")
        run = subprocess.run(
            [sys.executable, "-B", "-c", _PROGRAM, str(answer)],
            cwd=folder,
            input=json.dumps(list(modules)),
            text=True,
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONSAFEPATH": ""},
        )
        if run.returncode or not answer.exists():  # the interpreter itself died
            return dict.fromkeys(modules.values(), run.stderr.strip() or f"exit {run.returncode}")
        failed = json.loads(answer.read_text(encoding="utf-8"))
        return {modules[module]: reason for module, reason in failed.items()}
