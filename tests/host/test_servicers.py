"""`paycli serve MODULE:SERVICER`: somebody's own servicer is served as they wrote it.

One servicer stands on the plain server that every example makes and on ours, and one client tells what
it sees of both.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import run_paycli
from tests.processes import ready

PROTO = """
syntax = "proto3";
package every;
message Ask { string text = 1; }
message Told { string text = 1; }
service Every {
  rpc One(Ask) returns (Told);
  rpc Many(Ask) returns (stream Told);
  rpc Sum(stream Ask) returns (Told);
  rpc Talk(stream Ask) returns (stream Told);
}
service Other { rpc Only(Ask) returns (Told); }
"""
SERVICER = """
import asyncio, threading, time
from pathlib import Path

import grpc
import every_pb2_grpc
from every_pb2 import Told


class Status(grpc.Status):
    code = grpc.StatusCode.DATA_LOSS
    details = "a status"
    trailing_metadata = (("d", "4"),)


class Sync(every_pb2_grpc.EveryServicer):
    def One(self, request, context):
        what = request.text
        if what == "metadata":
            context.send_initial_metadata((("a", "1"),))
            context.set_trailing_metadata((("b", "2"), ("b-bin", bytes([0, 255]))))
            return Told(text=dict(context.invocation_metadata())["c"])
        if what == "abort":
            context.abort(grpc.StatusCode.ALREADY_EXISTS, "there, Zoë")
        if what == "abort, caught":
            try:
                context.abort(grpc.StatusCode.ALREADY_EXISTS, "there")
            except Exception:
                raise ValueError
        if what == "status":
            context.abort_with_status(Status())
        if what == "code":
            context.set_code(grpc.StatusCode.NOT_FOUND)
            context.set_details("nothing here")
            return Told()
        if what == "code, raised":
            context.set_code(grpc.StatusCode.OUT_OF_RANGE)
            context.set_details("too far")
            raise ValueError("too far")
        if what == "a number":
            context.set_code(5)
            context.set_details("nothing here")
        if what == "a number, raised":
            context.set_code(5)
            context.set_details("nothing here")
            raise ValueError("nothing here")
        if what == "aborts with a word":
            context.abort("NOT_FOUND", "nothing here")
        if what == "unimplemented":
            return super().One(request, context)
        if what == "details in bytes":
            context.set_code(grpc.StatusCode.ABORTED)
            context.set_details(b"gone")
        if what == "no metadata":
            context.send_initial_metadata(None)
            context.set_trailing_metadata(None)
        if what == "no deadline":
            return Told(text=str(context.time_remaining() > 10**9))
        if what == "deadline":
            return Told(text=str(10 < context.time_remaining() < 30))
        if what == "state":
            return Told(text=f"{context.is_active()} {context.peer()[:3]}")
        if what == "exits":
            raise SystemExit(3)
        if what == "aborts with OK":
            context.abort(grpc.StatusCode.OK, "fine")
        if what == "cancelled":
            context.cancel()
            time.sleep(0.2)
            return Told()
        if what == "left":
            context.add_callback(lambda: Path("left").touch())
            Path("entered").touch()
            while context.is_active():
                time.sleep(0.01)
            Path("noticed").touch()
        return Told(text=what)

    def Many(self, request, context):
        if request.text == "lock":
            with threading.RLock():
                for number in range(20):
                    yield Told(text=f"{number} {threading.get_ident() == begun}" if number else "")
                    begun = threading.get_ident() if not number else begun
            return
        try:
            for number in range(3):
                yield Told(text=f"{request.text}{number}")
                if request.text == "slow":
                    time.sleep(30)
            if request.text == "abort":
                context.abort(grpc.StatusCode.ABORTED, "in the middle")
        finally:
            Path(f"closed-{request.text}").touch()

    def Sum(self, requests, context):
        if dict(context.invocation_metadata()).get("first"):
            return Told(text=next(requests).text)
        return Told(text="+".join(each.text for each in requests))

    def Talk(self, requests, context):
        return (Told(text=each.text.upper()) for each in requests)


class Async(every_pb2_grpc.EveryServicer):
    async def One(self, request, context):
        if request.text.isdigit():
            context.set_code(int(request.text))
        return Told(text=request.text)

    async def Many(self, request, context):
        for number in range(3):
            yield Told(text=f"{request.text}{number}")

    async def Sum(self, requests, context):
        return Told(text="+".join([each.text async for each in requests]))

    async def Talk(self, requests, context):
        async for each in requests:
            await context.write(Told(text=each.text.upper()))


def hidden(method):
    return lambda *given: method(*given)


class Refuses(every_pb2_grpc.EveryServicer):
    async def refuse(self, request, context):
        await context.send_initial_metadata((("a", "1"),))
        await context.abort(grpc.StatusCode.ABORTED, request.text)

    One = hidden(refuse)
    Many = Sum = Talk = Sync.Many


class EveryServicer(every_pb2_grpc.EveryServicer):
    One, Many, Sum, Talk = Async.One, Async.Many, Async.Sum, Async.Talk


class Writes(Async):
    async def Many(self, request, context):
        await context.write(Told(text=f"{request.text}0"))
        yield Told(text=f"{request.text}1")
        await context.write(Told(text=f"{request.text}2"))


class Slow(Async):
    async def Many(self, request, context):
        for number in range(3):
            yield Told(text=f"{request.text}{number}")
            await asyncio.sleep(1.5)


class Decorated(Async):
    One = hidden(Async.One)
    Many = hidden(Async.Many)


class Stuck(Sync):
    def One(self, request, context):
        time.sleep(1000)


class Counted(Sync):
    at_once = most = 0

    def One(self, request, context):
        Counted.at_once += 1
        Counted.most = max(Counted.most, Counted.at_once)
        time.sleep(0.2)
        Counted.at_once -= 1
        return Told(text=str(Counted.most))
"""
PLAIN = """
from concurrent import futures
import grpc, every_pb2_grpc, servicer

server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
every_pb2_grpc.add_EveryServicer_to_server(servicer.Sync(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
"""
CLIENT = """
import json, sys, time
import grpc, every_pb2_grpc
from every_pb2 import Ask

channel = grpc.insecure_channel(sys.argv[1])
stub = every_pb2_grpc.EveryStub(channel)


def said(call):
    try:
        answer = call()
        return answer if isinstance(answer, (str, list)) else answer.text
    except grpc.RpcError as problem:
        ours = [pair for pair in problem.trailing_metadata() if pair[0] in "bd"]
        return [problem.code().name, problem.details(), *ours]


def metadata():
    answer, call = stub.One.with_call(Ask(text="metadata"), metadata=(("c", "3"),))
    trailing = [[key, repr(value)] for key, value in call.trailing_metadata()]
    return [answer.text, dict(call.initial_metadata()).get("a"), trailing]


def texts(answers):
    return [each.text for each in answers]


def all_of(answers):
    got = []
    try:
        got += (each.text for each in answers)
    except grpc.RpcError as problem:
        got.append(problem.code().name)
    return got


seen = {"metadata": said(metadata)}
for what in sys.argv[2:]:
    seen[what] = said(lambda: stub.One(Ask(text=what), timeout=20))
seen["many"] = said(lambda: texts(stub.Many(Ask(text="x"))))
seen["no deadline"] = said(lambda: stub.One(Ask(text="no deadline")))
seen["before aborts"] = [all_of(stub.Many(Ask(text="abort"))) for _ in range(30)]
seen["many, abort"] = said(lambda: texts(stub.Many(Ask(text="abort"))))
asks = lambda: iter([Ask(text="a"), Ask(text="b")])
seen["sum"] = said(lambda: stub.Sum(asks()))
seen["sum, first"] = said(lambda: stub.Sum(asks(), metadata=(("first", "1"),)))
seen["talk"] = said(lambda: texts(stub.Talk(asks())))
print(json.dumps(seen))
"""
WORDS = (
    "abort",
    "status",
    "code",
    "code, raised",
    "details in bytes",
    "no metadata",
    "a number",
    "a number, raised",
    "aborts with a word",
    "unimplemented",
    "deadline",
    "state",
    "cancelled",
    "aborts with OK",
    "plain",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a servicer beside its flat modules, as the classic line makes them."""
    folder = tmp_path_factory.mktemp("servicer")
    (folder / "every.proto").write_text(PROTO)
    line = [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--python_out=."]
    subprocess.run([*line, "--grpc_python_out=.", "every.proto"], cwd=folder, check=True)
    for name, text in {"servicer": SERVICER, "plain": PLAIN, "client": CLIENT}.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


@contextmanager
def serving(project: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of the project, and where it listens."""
    with ready(project, "every.Every ready!", "serve", *arguments) as served:
        yield served


@contextmanager
def plain(project: Path) -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "plain.py"], cwd=project, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"localhost:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def seen_by_client(project: Path, target: str, *words: str) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "client.py", target, *words],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    seen: dict[str, Any] = json.loads(run.stdout)
    return seen


def eventually(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_a_client_sees_what_it_sees_of_the_plain_server(project: Path) -> None:
    with plain(project) as target:
        expected = seen_by_client(project, target, *WORDS)
    with serving(project, "servicer:Sync") as (_, target):
        assert seen_by_client(project, target, *WORDS) == expected
    assert expected["code, raised"] == ["OUT_OF_RANGE", "too far"]
    assert expected["talk"] == ["A", "B"]
    assert expected["no deadline"] == "True"
    assert expected["before aborts"] == [["abort0", "abort1", "abort2", "ABORTED"]] * 30


@pytest.mark.parametrize("name", ["Async", "Decorated", "EveryServicer", "Writes"])
def test_methods_may_be_async_in_each_of_their_ways(project: Path, name: str) -> None:
    with serving(project, f"servicer:{name}") as (_, target):
        seen = seen_by_client(project, target, "plain")
    assert seen["plain"] == "plain"
    assert seen["many"] == ["x0", "x1", "x2"]
    assert seen["sum"] == "a+b"
    assert seen["talk"] == ["A", "B"]


STUB = """
import sys, grpc, every_pb2_grpc, concurrent.futures as f
from every_pb2 import Ask
stub = every_pb2_grpc.EveryStub(grpc.insecure_channel(sys.argv[1]))
"""


def asked(project: Path, target: str, program: str) -> str:
    """What a program prints that has a stub of the server."""
    run = subprocess.run(
        [sys.executable, "-c", STUB + program, target],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


ONE = """
def one(text, **given):
    try:
        return stub.One(Ask(text=text), timeout=10, **given).text
    except grpc.RpcError as problem:
        return problem.code().name
"""


@pytest.mark.parametrize("transport", ["aio", "native"])
def test_a_stream_that_ends_by_itself_may_end_at_a_stop(project: Path, transport: str) -> None:
    with serving(project, "servicer:Slow", "--transport", transport) as (process, target):
        program = (
            "begun = stub.Many(Ask())\n"
            "print(next(begun).text, flush=True)\n"
            "print(*(each.text for each in begun))\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", STUB + program, target],
            cwd=project,
            stdout=subprocess.PIPE,
            text=True,
        ) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == "0\n"
            process.terminate()
            assert client.communicate(timeout=30)[0] == "1 2\n"
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "waiting up to 10 s for 1 calls in flight" in said


def test_a_code_that_is_a_number_is_logged_as_its_caller_sees_it(project: Path) -> None:
    with serving(project, "servicer:Async", "--log-calls") as (process, target):
        said = asked(project, target, ONE + "print(one('5'), one('99'), one('0'), one('plain'))")
        process.terminate()
        assert process.stderr is not None
        logged = re.findall(r" code=(\w+)", process.stderr.read())
    assert said == "NOT_FOUND UNKNOWN 0 plain\n"
    assert logged == ["NOT_FOUND", "UNKNOWN", "OK", "OK"]


def test_what_ends_python_ends_a_call_alone(project: Path) -> None:
    with serving(project, "servicer:Sync") as (_, target):
        said = asked(project, target, ONE + "print(one('exits'), one('plain'))")
    assert said == "INTERNAL plain\n"


def test_a_hidden_async_method_may_refuse(project: Path) -> None:
    with serving(project, "servicer:Refuses") as (_, target):
        assert asked(project, target, ONE + "print(one('x'), one('y'))") == "ABORTED ABORTED\n"


def test_a_stream_stays_in_one_thread(project: Path) -> None:
    program = """
def many(_):
    return [each.text for each in stub.Many(Ask(text="lock"))][1:]
with f.ThreadPoolExecutor(8) as pool:
    print(all(told == [f"{n} True" for n in range(1, 20)] for told in pool.map(many, range(8))))
"""
    with serving(project, "servicer:Sync") as (_, target):
        assert asked(project, target, program) == "True\n"


def test_work_that_nobody_waits_for_is_not_begun(project: Path) -> None:
    program = """
import time
calls = [stub.One.future(Ask(), timeout=0.5) for _ in range(30)]
for call in calls:
    call.exception()
began = time.monotonic()
stub.One(Ask(), timeout=20)
print(time.monotonic() - began < 1.5)
"""
    with serving(project, "servicer:Counted", "--threads", "1") as (_, target):
        assert asked(project, target, program) == "True\n"


def test_the_third_signal_ends_what_hangs(project: Path) -> None:
    (project / "hangs.py").write_text(
        "import contextlib, time, servicer\n\n\n@contextlib.contextmanager\ndef hanging():\n"
        "    yield servicer.Sync()\n    time.sleep(1000)\n"
    )
    with serving(project, "hangs:hanging") as (process, _):
        for _ in range(3):
            process.send_signal(signal.SIGTERM)
            time.sleep(1.5)
        assert process.wait(10) == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("loops", 1, "hangs_too.py:5 goes on."),
        ("starts", 1, "hangs_too.py:10 goes on in the thread poller, which is no daemon."),
        ("fails", 2, "hangs_too.py:10 goes on in the thread poller, which is no daemon."),
    ],
)
def test_what_keeps_a_server_is_named_and_ended(
    project: Path, name: str, code: int, said: str
) -> None:
    (project / "hangs_too.py").write_text(
        "import pathlib, threading, time, servicer\n\n"
        "def loops():\n"
        "    pathlib.Path('looping').touch()\n"
        "    while True: time.sleep(1)\n\n"
        "def starts():\n"
        "    def poll():\n"
        "        while True:\n"
        "            time.sleep(1)\n"
        "    threading.Thread(target=poll, name='poller').start()\n"
        "    return servicer.Sync()\n\n"
        "def fails():\n"
        "    starts()\n"
        "    raise ValueError\n"
    )
    (project / "looping").unlink(missing_ok=True)
    (project / "kept").unlink(missing_ok=True)
    line = [sys.executable, "-m", "paycli", "serve", f"hangs_too:{name}", "--port", "0"]
    with subprocess.Popen(
        [*line, "--port-file", "kept", "--drain-timeout", "0.1"],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            if name != "fails":
                assert eventually((project / {"loops": "looping"}.get(name, "kept")).exists)
                process.send_signal(signal.SIGTERM)
            assert process.wait(30) == code
            assert process.stderr is not None
            told = process.stderr.read().splitlines()[-1]
        finally:
            process.kill()
    assert told == f"The server does not come to its end, and is ended: {said}"


def test_a_thread_notices_that_its_caller_left(project: Path) -> None:
    program = """
import sys, time, pathlib, grpc, every_pb2_grpc
from every_pb2 import Ask
stub = every_pb2_grpc.EveryStub(grpc.insecure_channel(sys.argv[1]))
call = stub.One.future(Ask(text="left"))
while not pathlib.Path("entered").exists():
    time.sleep(0.01)
call.cancel()
many = stub.Many(Ask(text="y"))
next(many)
many.cancel()
time.sleep(0.3)
"""
    with serving(project, "servicer:Sync") as (_, target):
        line = [sys.executable, "-c", program, target]
        subprocess.run(line, cwd=project, check=True, timeout=60)
        for name in ("left", "noticed", "closed-y"):
            assert eventually((project / name).exists), name


def test_a_method_that_never_ends_does_not_keep_the_server(project: Path) -> None:
    program = """
import sys, grpc, every_pb2_grpc
from every_pb2 import Ask
stub = every_pb2_grpc.EveryStub(grpc.insecure_channel(sys.argv[1]))
try:
    stub.One(Ask(), timeout=1)
except grpc.RpcError as problem:
    print(problem.code().name)
many = stub.Many(Ask(text="slow"))
print(next(many).text)
"""
    with serving(project, "servicer:Stuck", "--drain-timeout", "0.5") as (process, target):
        run = subprocess.run(
            [sys.executable, "-c", program, target],
            cwd=project,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.stdout == "DEADLINE_EXCEEDED\nslow0\n", run.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_no_more_threads_than_were_asked_for(project: Path) -> None:
    program = """
import sys, grpc, every_pb2_grpc
from every_pb2 import Ask
stub = every_pb2_grpc.EveryStub(grpc.insecure_channel(sys.argv[1]))
calls = [stub.One.future(Ask()) for _ in range(8)]
print(max(int(call.result().text) for call in calls))
"""
    with serving(project, "servicer:Counted", "--threads", "3") as (_, target):
        line = [sys.executable, "-c", program, target]
        run = subprocess.run(line, cwd=project, capture_output=True, text=True, check=True)
    assert run.stdout == "3\n"


def test_several_servicers_share_a_server_and_what_makes_them_is_closed(project: Path) -> None:
    (project / "several.py").write_text(
        """
from contextlib import asynccontextmanager
import every_pb2, every_pb2_grpc, servicer

class Other(every_pb2_grpc.OtherServicer):
    def __init__(self, name):
        self.name = name
    def Only(self, request, context):
        return every_pb2.Told(text=self.name)

@asynccontextmanager
async def other():
    yield Other("made")
    print("closed", flush=True)

async def soon():
    return Other("made later")

instance = Other("an instance")
""",
        encoding="utf-8",
    )
    program = (
        "import sys, grpc, every_pb2, every_pb2_grpc as g;"
        "print(g.OtherStub(grpc.insecure_channel(sys.argv[1])).Only(every_pb2.Ask()).text)"
    )
    for name, text in {
        "other": "made",
        "soon": "made later",
        "instance": "an instance",
    }.items():
        line = "every.Every and every.Other ready!"
        servicers = ("servicer:Sync", f"several:{name}")
        with ready(project, line, "serve", *servicers) as (process, target):
            run = subprocess.run(
                [sys.executable, "-c", program, target],
                cwd=project,
                capture_output=True,
                text=True,
                check=True,
            )
            assert run.stdout == f"{text}\n"
            process.terminate()
            rest, _ = process.communicate(timeout=20)
            assert rest == ("closed\n" if name == "other" else "")


MODULES = {
    "good": "import every_pb2_grpc\nclass Only(every_pb2_grpc.OtherServicer):\n"
    "    def Only(self, request, context): ...\n",
    "bad": """
import every_pb2_grpc, collections
class Wants(every_pb2_grpc.OtherServicer):
    def __init__(self, database): ...
class Missing(every_pb2_grpc.EveryServicer):
    def One(self, request, context): ...
    Sum = One
class Nothing: ...
class Stub(every_pb2_grpc.EveryStub): ...
class Boom(every_pb2_grpc.OtherServicer):
    def __init__(self):
        raise RuntimeError("no database\\nat all")
    def Only(self, request, context): ...
def make():
    return Nothing()
number = 5
""",
    "unmade": "import nothing_pb2\n",
    "packaged": "import made_pb2_grpc\n",
    "syntax": "x = 1\ndef x(:\n",
    "zero": "def f():\n    return 1 / 0\nf()\n",
    "leaves": "import sys\nsys.exit(3)\n",
    "odd": "class Odd(BaseException): ...\ndef make(): raise SystemExit(4)\nraise Odd('x')\n",
    "exits": "def make():\n    raise SystemExit(4)\n",
    "handmade": """
import asyncio, grpc
def handler(service):
    return grpc.method_handlers_generic_handler(service, {})
class Any(grpc.GenericRpcHandler):
    def service(self, details): return None
class Base: ...
class NoneServicer(Base): ...
def add_NoneServicer_to_server(servicer, server):
    server.add_generic_rpc_handlers((Any(),))
class PortServicer(Base): ...
def add_PortServicer_to_server(servicer, server):
    server.add_insecure_port("localhost:0")
class TwoServicer(Base): ...
def add_TwoServicer_to_server(servicer, server):
    server.add_generic_rpc_handlers((handler("two.A"), handler("two.B")))
def cancels():
    raise asyncio.CancelledError
""",
    "closing": """
import contextlib, good
@contextlib.contextmanager
def make():
    yield good.Only()
    raise ValueError("no end")
""",
}
HOW = "write MODULE:SERVICER, as in payment_service:PaymentServiceImpl."
EXTEND = "name a class such as 'class Pay(payment_pb2_grpc.PaymentServiceServicer)'."
REFUSED = {
    "nope:X": f"There is no module nope in HERE or among what is installed; {HOW}",
    "nope.deeper:X": f"There is no module nope in HERE or among what is installed; {HOW}",
    "good:Onyl": "good has no Onyl; did you mean 'Only'?",
    "bad:Wants": "bad:Wants cannot be made without arguments (missing a required argument: "
    "'database'); name a function that makes one.",
    "bad:Missing": "bad:Missing does not implement Many, Talk of EveryServicer; add them.",
    "bad:Nothing": f"bad:Nothing extends no generated servicer; {EXTEND}",
    "bad:Stub": f"bad:Stub extends no generated servicer; {EXTEND}",
    "bad:Boom": "bad:Boom() fails: RuntimeError: no database at all (bad.py:12).",
    "bad:make": f"bad:make makes a Nothing, which extends no generated servicer; {EXTEND}",
    "bad:number": f"bad:number is no servicer and nothing that makes one; {HOW}",
    "bad:collections": f"bad:collections is no servicer and nothing that makes one; {HOW}",
    "bad": f"bad has to say which servicer: it has Boom and Missing and Wants; {HOW}",
    "unmade:X": "unmade imports nothing_pb2, which is not there (unmade.py:1); "
    "make it with 'paycli gen'.",
    "packaged:X": "packaged imports made_pb2_grpc, which is not there (packaged.py:1); "
    "generated/made_pb2_grpc.py has it: write 'from generated import made_pb2_grpc'.",
    "syntax:X": "syntax fails on import: SyntaxError: invalid syntax (syntax.py:2).",
    "zero:X": "zero fails on import: ZeroDivisionError: division by zero (zero.py:2).",
    "odd:X": "odd fails on import: odd.Odd: x (odd.py:3).",
    "exits:make": "exits:make() fails: SystemExit: 4 (exits.py:2).",
    "leaves:X": "leaves fails on import: SystemExit: 3 (leaves.py:2).",
    "handmade:NoneServicer": "add_NoneServicer_to_server of handmade:NoneServicer adds no handler "
    "that says its service; make it with grpc.method_handlers_generic_handler, as generated code does.",
    "handmade:PortServicer": "add_PortServicer_to_server of handmade:PortServicer fails: "
    "AttributeError: 'Recorder' object has no attribute 'add_insecure_port' (handmade.py:13).",
    "handmade:cancels": "handmade:cancels() fails: asyncio.exceptions.CancelledError "
    "(handmade.py:18).",
    "./good.py:Only": f"'./good.py:Only' names no servicer; {HOW}",
    "good.py": f"'good.py' names no servicer; {HOW}",
    ":Only": f"':Only' names no servicer; {HOW}",
    "": f"'' names no servicer; {HOW}",
}
FINDER = """
import asyncio, contextlib, json, sys
from paycli.errors import InputError
from paycli.host.hosting.find_servicer import find_servicers

async def find(*places):
    async with contextlib.AsyncExitStack() as stack:
        try:
            return [s.name for each in await find_servicers(places, stack) for s in each.services]
        except InputError as problem:
            return str(problem)

print(json.dumps({each: asyncio.run(find(each)) for each in sys.argv[1:]}))
print(json.dumps(asyncio.run(find("good:Only", "good"))))
"""


@pytest.fixture(scope="module")
def refusals(project: Path) -> dict[str, object]:
    """What is said of each place, by one process that looks at all of them."""
    for name, text in MODULES.items():
        (project / f"{name}.py").write_text(text, encoding="utf-8")
    (project / "generated").mkdir()
    (project / "generated/made_pb2_grpc.py").touch()
    line = [sys.executable, "-c", FINDER, *REFUSED, "good", "handmade:TwoServicer"]
    run = subprocess.run(line, cwd=project, capture_output=True, text=True, check=True)
    each, twice = run.stdout.splitlines()
    return {**json.loads(each), "twice": json.loads(twice)}


@pytest.mark.parametrize("place", REFUSED)
def test_what_is_no_servicer_is_refused_in_one_sentence(
    project: Path, refusals: dict[str, object], place: str
) -> None:
    assert refusals[place] == REFUSED[place].replace("HERE", str(project))


def test_a_module_with_one_servicer_needs_no_name(refusals: dict[str, object]) -> None:
    assert refusals["good"] == ["every.Other"]


def test_one_function_may_add_several_services(refusals: dict[str, object]) -> None:
    assert refusals["handmade:TwoServicer"] == ["two.A", "two.B"]


def test_what_cannot_be_closed_is_told(project: Path, refusals: dict[str, object]) -> None:
    assert refusals
    with ready(project, "every.Other ready!", "serve", "closing:make") as (process, _):
        process.terminate()
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    last = said.splitlines()[-1]
    assert (
        last == "Error: What made a servicer fails at its end: ValueError: no end (closing.py:6)."
    )


def test_a_service_is_offered_once(refusals: dict[str, object]) -> None:
    assert refusals["twice"] == (
        "every.Other is offered twice, by good:Only and by good; leave one out."
    )


def test_a_refusal_is_wrong_usage_and_nothing_is_left(
    project: Path, refusals: dict[str, object]
) -> None:
    port_file = project / "never"
    run = run_paycli("serve", "bad:Boom", "--port-file", port_file, cwd=project)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == f"Error: {refusals['bad:Boom']}\n"
    assert not port_file.exists()
    run = run_paycli("serve", "good", "--store", "sqlite:///x.db", cwd=project)
    assert run.returncode == 2
    assert run.stderr == "Error: --store is of paycli's own payment service; leave it out.\n"


def test_a_method_that_wants_to_leave_takes_nobody_along(project: Path) -> None:
    """SystemExit and KeyboardInterrupt in a coroutine end the loop of whoever does not look."""
    (project / "leaving.py").write_text(
        "import sys\n"
        "import servicer\n"
        "class Leaving(servicer.Async):\n"
        "    async def One(self, request, context):\n"
        "        sys.exit(3)\n"
        "    async def Many(self, request, context):\n"
        "        raise KeyboardInterrupt\n"
        "        yield\n"
    )
    with serving(project, "leaving:Leaving") as (process, target):
        said = asked(
            project,
            target,
            "for call in (stub.One, lambda ask: list(stub.Many(ask))):\n"
            "    try: call(Ask())\n"
            "    except grpc.RpcError as ended: print(ended.code().name, 'incident' in ended.details())",
        )
        assert said == "INTERNAL True\nINTERNAL True\n"
        assert process.poll() is None
