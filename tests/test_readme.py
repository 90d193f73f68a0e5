"""The README's tables say what the code says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paycli import errors
from paycli.cli.app import COMMANDS, EXIT_BUG, WITHIN, load_command
from paycli.cli.options import EXIT_CODES, EXIT_INTERRUPTED
from paycli.engine import simulator
from paycli.errors import PaycliError, PaymentError
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from tests.conftest import StartServer, run_paycli
from tests.host.test_metrics import free_port, scrape
from tests.wire import client_of, creation, refused

KEYS = "| key | in which lines | value |"
ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "paycli"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows(header: str) -> Iterator[list[str]]:
    """The cells of the table with this first line."""
    lines = README.partition(f"\n{header}\n")[2].splitlines()
    assert lines, header
    for line in lines[1:]:
        if not line.startswith("|"):
            return
        yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def names(cell: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def test_exit_codes() -> None:
    documented = {int(code) for code, _ in rows("| exit code | meaning |")}
    used = {each.exit_code for each in error_types()} | {0, EXIT_BUG, EXIT_INTERRUPTED}
    assert documented == used
    for code in documented:
        assert re.search(rf"\b{code}\b", EXIT_CODES), code


def test_whether_to_retry() -> None:
    documented = rows("| `retry` | the same request, sent again with its key |")
    assert [names(retry) for retry, _ in documented] == [[each] for each in errors.Retry]
    (keys,) = re.findall(r"with the keys (.*?)\. `next`", README, re.DOTALL)
    assert names(keys) == list(PaycliError("it failed").as_dict())


def test_each_status_and_each_reason() -> None:
    documented = {
        status: names(reasons) for status, reasons, _ in rows("| status | reasons | what to do |")
    }
    for each in error_types(PaymentError):
        assert each.status is None or each.status in documented, each
    assert "…" not in {name for found in documented.values() for name in found}
    listed = [re.escape(name).replace("…", ".*") for found in documented.values() for name in found]
    for reason in reasons_in_code():
        assert any(re.fullmatch(name, reason) for name in listed), f"{reason} is not in the README"


def reasons_in_code() -> set[str]:
    """All reasons that a service gives: of its errors, and spelled out where one is raised."""
    parts = ("payments", "engine", "servicers", "host", "storage")
    paths = [path for part in parts for path in (PACKAGE / part).rglob("*.py")]
    text = "".join(path.read_text(encoding="utf-8") for path in paths)
    spelled = set(re.findall(r'\breason="([A-Z_]+)"', text))
    assert len(spelled) > 10
    leaves = (each for each in error_types(PaymentError) if not each.__subclasses__())
    return spelled | {each.reason for each in leaves} - {PaymentError.reason}


def test_the_simulator() -> None:
    documented = [names(customer) for customer, _ in rows("| customer | outcome |")]
    told = re.findall(r"^(?:any other )?(sim_[\w<>.]+)", simulator.__doc__ or "", re.MULTILINE)
    assert [each.replace("...", "…") for each in told] == [name for (name,) in documented]
    for reason in simulator.DECLINE_REASONS:
        assert [f"sim_decline_{reason.lower()}"] in documented


def test_the_metrics(start_server: StartServer) -> None:
    port = free_port()
    server = start_server("--metrics-port", str(port))
    with client_of(server.target) as client:
        client.pay("order-1")
    documented = {
        names(metric)[0]: set(names(labels))
        for metric, labels, _ in rows("| metric | labels | what it is |")
    }
    until = time.monotonic() + 10  # a call is counted once it is over, a moment after its answer
    while (offered := metrics_of(port)) != documented and time.monotonic() < until:
        time.sleep(0.05)
    assert offered == documented


def metrics_of(port: int) -> dict[str, set[str]]:
    """Our metrics with their labels, as they are offered now."""
    offered: dict[str, set[str]] = {}
    for name, labels in scrape(port).names():
        if name.startswith(("grpc_", "paycli_")):
            offered.setdefault(re.sub("_(bucket|sum|count)$", "", name), set()).update(labels)
    return {name: labels - {"le"} for name, labels in offered.items()}


def test_the_keys_of_log_lines(start_server: StartServer) -> None:
    server = start_server("--log-calls", "--log-format", "json")
    with client_of(server.target) as client:
        client.pay("order-1")
        paid = client.create()
        client.get(client.refund(paid.name).name.partition("/refunds")[0])
        client.payments.GetRefund(pb.GetRefundRequest(name=f"{paid.name}/refunds/2"))
        client.batch(creation())
        with refused("PAYMENT_NOT_FOUND"):
            client.get("payments/none")
    assert server.stop() == 0
    logged = {key for line in server.stderr().splitlines() for key in json.loads(line)}
    documented = [key for keys, *_ in rows(KEYS) for key in names(keys)]
    assert len(documented) == len(set(documented))
    assert logged | {"incident", "traceback", "trace_id"} == set(documented)


def test_commands_and_their_options_exist() -> None:
    documented = [names(command) for command, _ in rows("| command | what it does |")]
    assert {each[0].split()[1] for each in documented} == set(COMMANDS)
    for shown in documented:
        name, word, *_ = (*shown[0].split()[1:], "")
        command = load_command(*WITHIN.get((name, word), (name,)))
        takers = getattr(command, "commands", {"": command}).values()
        named = set(re.findall(r"--[a-z-]+", " ".join(shown)))
        assert named <= set().union(*map(options_of, takers)), shown


def options_of(command: Any) -> set[str]:
    shown = (each for each in command.params if not getattr(each, "hidden", False))
    return {name for each in shown for name in (*each.opts, *each.secondary_opts)}


def test_its_examples_do_what_it_shows(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(store=tmp_path / ".paycli/paycli.db")
    env = {"PAYCLI_TARGET": server.target}
    seen = 0
    for line, shown in examples():
        command, *arguments = shlex.split(line, comments=True)
        assert command == "paycli"
        if arguments[0] == "serve":  # as it was just started, or in a test of its own
            assert server.first_line == shown[0] + "\n"
            continue
        ran = run_paycli(*arguments, cwd=tmp_path, env=env)
        assert alike(ran.stdout + ran.stderr) == alike("\n".join(shown) + "\n"), line
        seen += 1
    assert seen > 5


def test_its_servicer_can_be_served_as_it_stands(tmp_path: Path) -> None:
    (servicer,) = re.findall(r"^```python\n# (\S+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    name, text = servicer
    (tmp_path / name).write_text(text)
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    assert run_paycli("gen", cwd=tmp_path).returncode == 0
    (line,) = re.findall(r"^\$ paycli (serve \S+) &$", README, re.MULTILINE)
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", *line.split(), "--port", "0", "--port-file", "port"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "Payment Processing Service ready!\n"
        target = f"localhost:{(tmp_path / 'port').read_text().strip()}"
        paid = run_paycli("pay", "--amount", "1", "--target", target)
        process.terminate()
    assert "12345" in paid.stdout


def test_its_files_can_be_used_as_they_stand(start_server: StartServer, tmp_path: Path) -> None:
    target = start_server().target
    fixture, suite = re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (tmp_path / "coffee.yaml").write_text(fixture)
    (tmp_path / "suite.yaml").write_text(suite)
    env = {"PAYCLI_TARGET": target}
    paid = run_paycli("pay", "coffee.yaml", cwd=tmp_path, env=env)
    assert paid.returncode == 0, paid.stderr
    proved = run_paycli("smoke", "suite.yaml", "--target", target, cwd=tmp_path)
    assert proved.returncode == 0, proved.stderr


def examples() -> Iterator[tuple[str, list[str]]]:
    """Each command of the README's consoles, and what it prints there."""
    for block in re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL):
        for example in block.removeprefix("$ ").split("\n$ "):
            line, *shown = example.splitlines()
            yield line, [each for each in shown if each]


def alike(text: str) -> str:
    """Without what differs from run to run."""
    text = re.sub(r"pay_[0-9a-f]{32}", "ID", re.sub(r":[0-9a-f]{10,}…?", ":DIGEST", text))
    return re.sub(r"[\d,.]*\d", "N", text)


def error_types(base: type[PaycliError] = PaycliError) -> list[type[Any]]:
    found = (each for each in vars(errors).values() if isinstance(each, type))
    return [each for each in found if issubclass(each, base)]
