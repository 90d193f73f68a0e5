"""What users install: the wheel, in a fresh environment, far from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(folder: Path, *command: str | Path) -> str:
    """Run a command far from the checkout and return what it said, both streams."""
    ran = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


@pytest.mark.timeout(600)
def test_the_wheel_installs_and_pays(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    run(tmp_path, sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", wheels, ROOT)
    (wheel,) = wheels.iterdir()
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    run(tmp_path, python, "-m", "pip", "install", "--constraint", constraints, wheel)
    assert "0 failed, 0 skipped" in run(tmp_path, environment / "bin" / "paycli", "smoke")
    shown = run(tmp_path, environment / "bin" / "paycli", "docs", "bulk")
    assert shown.rstrip() == (ROOT / "docs/bulk.md").read_text(encoding="utf-8").rstrip()
    (package,) = environment.glob("lib/python*/site-packages/paycli")
    assert (package / "py.typed").exists()
    shipped = package / "data/proto/payment.proto"
    assert shipped.read_bytes() == (ROOT / "proto/payment.proto").read_bytes()
