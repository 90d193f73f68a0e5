"""Our own generated code works on the oldest and on the newest versions that we declare."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNTIME = ("grpcio", "protobuf", "googleapis-common-protos")
PROGRAM = """
import importlib, sys
from pathlib import Path
import grpc
from google.protobuf import __version__
for path in sorted(Path("some/place").rglob("*_pb2*.py")):
    importlib.import_module(".".join(path.with_suffix("").parts))
payment = importlib.import_module("some.place.payment_pb2")
stubs = importlib.import_module("some.place.payment_pb2_grpc")
request = payment.PaymentRequest(order_id="1", amount=9.5, currency="EUR", user_id="ada")
assert payment.PaymentRequest.FromString(request.SerializeToString()) == request
assert stubs.PaymentServiceStub(grpc.insecure_channel("localhost:1")).ProcessPayment
print(grpc.__version__, __version__)
"""


def lower_bounds() -> dict[str, str]:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    found = (re.match(r"([\w-]+)>=([\d.]+)", entry) for entry in declared)
    return {match[1]: match[2] for match in found if match and match[1] in RUNTIME}


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_our_code_works_on_the_versions_we_declare(tmp_path: Path, which: str) -> None:
    bounds = lower_bounds()
    assert bounds.keys() == set(RUNTIME)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv/bin/python")
    sign = "==" if which == "oldest" else ">="
    wanted = [f"{name}{sign}{version}" for name, version in bounds.items()]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    shutil.copytree(ROOT / "paycli/generated", tmp_path / "some/place")
    run = subprocess.run(
        [python, "-W", "error", "-c", PROGRAM],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    if which == "oldest":
        assert run.stdout.split() == [bounds["grpcio"], bounds["protobuf"]]
