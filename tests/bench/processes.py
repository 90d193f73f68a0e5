"""Whole commands against whole commands: start-up, one payment, code generation."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROUNDS = 15
GEN_ROUNDS = 7
SMALL, LARGE = 4, 80  # messages a file

BARE_TYPER_APP = """
import typer
app = typer.Typer(rich_markup_mode=None)
group = typer.Typer(rich_markup_mode=None)
def command(amount: str = "1", target: str = "localhost", json: bool = False) -> None:
    "Do a thing."
for number in range({commands}):
    app.command(name=f"command{{number}}")(command)
for number in range({in_group}):
    group.command(name=f"command{{number}}")(command)
app.add_typer(group, name="group")
app()
"""

PLAIN_CLIENT = """
import sys
import grpc
sys.path.insert(0, sys.argv[2])
import payment_pb2
import payment_pb2_grpc
with grpc.insecure_channel(sys.argv[1]) as channel:
    stub = payment_pb2_grpc.PaymentServiceStub(channel)
    request = payment_pb2.PaymentRequest(order_id="1", amount=1, currency="EUR", user_id="ada")
    print(stub.ProcessPayment(request).status)
"""


PLAIN_LOOP = """
import sys
import uuid
import grpc
sys.path.insert(0, sys.argv[2])
import payment_pb2
import payment_pb2_grpc
with grpc.insecure_channel(sys.argv[1]) as channel:
    stub = payment_pb2_grpc.PaymentServiceStub(channel)
    for number in range({steps}):
        request = payment_pb2.PaymentRequest(
            order_id=str(uuid.uuid4()), amount=1.5, currency="EUR", user_id="ada"
        )
        assert stub.ProcessPayment(request).status == "SUCCESS"
        print("ok", number)
"""


class Comparison(NamedTuple):
    """Median seconds of a subject and of its baseline, and the median of their ratios."""

    subject_s: float
    baseline_s: float
    ratio: float


def compare(
    subject: list[str],
    baseline: list[str],
    *,
    rounds: int = ROUNDS,
    prepare: Callable[[], object] = lambda: None,
) -> Comparison:
    """Run both in turn, one uncounted round first, and `prepare` before each round, off the clock."""
    pairs: list[tuple[float, float]] = []
    for _ in range(rounds + 1):
        prepare()
        pairs.append((_seconds(subject), _seconds(baseline)))
    del pairs[0]
    return Comparison(
        median(pair[0] for pair in pairs),
        median(pair[1] for pair in pairs),
        median(pair[0] / pair[1] for pair in pairs),
    )


def help_text(folder: Path, commands: int, in_group: int) -> Comparison:
    """`paycli --help` against a bare Typer app with as many commands and a group of so many more."""
    bare = folder / "bare.py"
    text = BARE_TYPER_APP.format(commands=commands, in_group=in_group)
    bare.write_text(text, encoding="utf-8")
    return compare(_paycli("--help"), [sys.executable, str(bare), "--help"])


def one_payment(folder: Path, target: str) -> Comparison:
    """`paycli pay --amount 1` against a ten-line grpcio script."""
    ours = _paycli("pay", "--amount", "1", "--target", target)
    return compare(ours, _plain_client(folder, target))


def one_call(folder: Path, target: str) -> Comparison:
    """`paycli call`, which knows nothing but what reflection tells, against the same script."""
    request = '{"order_id": "1", "amount": 1, "currency": "EUR", "user_id": "ada"}'
    ours = _paycli("call", "payment.PaymentService/ProcessPayment", request, "--target", target)
    return compare(ours, _plain_client(folder, target))


def many_steps(folder: Path, target: str, steps: int) -> Comparison:
    """A suite of so many steps against a loop over the same calls."""
    call = "call: payment.PaymentService/ProcessPayment"
    request = 'request: {order_id: "${uuid}", amount: 1.5, currency: EUR, user_id: ada}'
    expect = 'expect: {status: SUCCESS, payment_id: {matches: "."}}'
    suite = folder / "suite.yaml"
    lines = (f"  - {{name: s{n}, {call}, {request}, {expect}}}\n" for n in range(steps))
    suite.write_text(f"steps:\n{''.join(lines)}", encoding="utf-8")
    ours = _paycli("smoke", str(suite), "--target", target)
    return compare(ours, _plain_client(folder, target, PLAIN_LOOP.format(steps=steps)), rounds=5)


def _plain_client(folder: Path, target: str, text: str = PLAIN_CLIENT) -> list[str]:
    root = Path(__file__).parents[2]
    flat = folder / "flat"
    flat.mkdir()
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{root}/proto"]
    protoc += [f"--python_out={flat}", f"--grpc_python_out={flat}", "payment.proto"]
    subprocess.run(protoc, check=True)
    script = folder / "client.py"
    script.write_text(text, encoding="utf-8")
    return [sys.executable, str(script), target, str(flat)]


class CodeGeneration(NamedTuple):
    """`paycli gen` against one `python -m grpc_tools.protoc` process with the same outputs."""

    cold: Comparison
    nothing_changed: Comparison
    one_changed: Comparison


def code_generation(folder: Path, protos: int, messages: int) -> CodeGeneration:
    """From nothing; again; and with a field renamed in a file that a few others import."""
    tree, out, theirs = folder / "tree", folder / "out", folder / "theirs"
    names = _write_tree(tree, protos, messages)
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{tree}"]
    protoc += [f"--{kind}_out={theirs}" for kind in ("python", "grpc_python", "pyi")]
    gen, baseline = _paycli("gen", "-I", str(tree), "--out", str(out)), [*protoc, *names]
    changed = tree / names[protos // 2]

    def rename() -> None:
        _empty(theirs)
        text = changed.read_text(encoding="utf-8")
        old, new = ("string name = 1", "string title = 1")[:: 1 if "name = 1" in text else -1]
        changed.write_text(text.replace(old, new, 1), encoding="utf-8")

    def measure(prepare: Callable[[], object]) -> Comparison:
        return compare(gen, baseline, rounds=GEN_ROUNDS, prepare=prepare)

    return CodeGeneration(
        measure(lambda: _empty(out, theirs)), measure(lambda: _empty(theirs)), measure(rename)
    )


def linting(folder: Path, protos: int) -> Comparison:
    """`paycli lint` against `buf lint`, over a tree in which both find four things a file."""
    tree = folder / f"lint{protos}"
    _write_tree(tree, protos)
    (tree / "buf.yaml").write_text("version: v2\n", encoding="utf-8")
    buf = str(Path(sys.executable).with_name("buf"))
    return compare(
        _with_findings(tree, _paycli("lint"), 1), _with_findings(tree, [buf, "lint"], 100)
    )


def breaking(folder: Path, protos: int) -> Comparison:
    """`paycli breaking` against `buf breaking`: a field deleted in the middle of a tree, and a set."""
    tree, old = folder / f"breaking{protos}", folder / f"breaking{protos}.binpb"
    names = _write_tree(tree, protos)
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{tree}", "--include_imports"]
    subprocess.run(
        [*protoc, f"--descriptor_set_out={old}", *names], check=True, capture_output=True
    )
    changed = tree / names[protos // 2]
    text = changed.read_text(encoding="utf-8")
    changed.write_text(text.replace(" int64 count = 2;", "", 1), encoding="utf-8")
    ours = _paycli("breaking", "-I", ".", "--against", str(old))
    theirs = [str(Path(sys.executable).with_name("buf")), "breaking", "--against", str(old)]
    return compare(_with_findings(tree, ours, 1), _with_findings(tree, theirs, 100))


def _with_findings(folder: Path, command: list[str], exit_code: int) -> list[str]:
    return ["sh", "-c", f"cd {folder}; {shlex.join(command)}; test $? -eq {exit_code}"]


def _empty(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()


def _write_tree(tree: Path, protos: int, messages: int = SMALL) -> list[str]:
    """Ten files a package; each imports two earlier ones of its own and one of the first."""
    names: list[str] = []
    for number in range(protos):
        package = number // 10
        name = f"acme/pkg{package}/v1/file{number}.proto"
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        own = names[package * 10 :][-2:]
        imported = sorted({*own, *names[:10][number % 10 : number % 10 + (package > 0)]})
        written = "".join(
            f"message M{number}x{m} {{ string name = 1; int64 count = 2; Kind{number} kind = 3; }}\n"
            for m in range(messages)
        )
        path.write_text(
            f'syntax = "proto3";\npackage acme.pkg{package}.v1;\n'
            + "".join(f'import "{each}";\n' for each in imported)
            + f'import "google/protobuf/timestamp.proto";\n'
            f"enum Kind{number} {{ KIND{number}_UNSPECIFIED = 0; KIND{number}_ONE = 1; }}\n"
            f"{written}message At{number} {{ google.protobuf.Timestamp at = 1; }}\n"
            f"service S{number} {{ rpc Get(M{number}x0) returns (M{number}x1);\n"
            f"  rpc Tail(M{number}x0) returns (stream M{number}x1); }}\n",
            encoding="utf-8",
        )
        names.append(name)
    return names


def _paycli(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("paycli")), *arguments]


def as_installed() -> dict[str, str]:
    """An environment for commands that run from bytecode; a checkout writes it in the uncounted round."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=as_installed(),
    )
    return time.perf_counter() - started
