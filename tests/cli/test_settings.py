"""Settings: command line before environment before profile before default."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paycli.cli import settings, variables
from paycli.cli.app import COMMANDS, load_command
from tests.certificates import Authority
from tests.conftest import Server, run_paycli


def file(folder: Path, text: str, name: str = "configs/paycli.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def explained(folder: Path, *arguments: str, **environment: str) -> dict[str, str]:
    """Each setting with its source, as `serve --print-config` shows them."""
    run = run_paycli("serve", "--print-config", *arguments, cwd=folder, env=environment)
    assert run.returncode == 0, run.stderr
    rows = [line.strip().partition(": ") for line in run.stdout.splitlines()[1:]]
    return {key: " ".join(rest.split()) for key, _, rest in rows}


def test_the_nearest_of_four_places_wins(tmp_path: Path) -> None:
    file(tmp_path, "profiles:\n  default:\n    serve: {port: 1, threads: 2}\n")
    assert explained(tmp_path)["port"] == "1 # configs/paycli.yaml:3"
    assert explained(tmp_path, PAYCLI_PORT="2")["port"] == "2 # PAYCLI_PORT"
    assert explained(tmp_path, "--port", "3", PAYCLI_PORT="2")["port"] == "3 # command line"
    assert explained(tmp_path)["host"] == "localhost # default"
    assert explained(tmp_path)["threads"] == "2 # configs/paycli.yaml:3"


def test_what_is_explained_is_a_profile(tmp_path: Path) -> None:
    said = ("--host", "::1", "--store", "sqlite:///a: b#c.db", "--log-calls", "m:S", "n:T")
    run = run_paycli("serve", "--print-config", *said, cwd=tmp_path)
    lines = "".join(f"    {line}\n" for line in run.stdout.splitlines())
    file(tmp_path, f"profiles:\n  default:\n{lines}")
    again = explained(tmp_path)
    assert {key: value.partition(" # ")[0] for key, value in again.items()} == {
        key: value.partition(" # ")[0] for key, value in explained(tmp_path, *said).items()
    }
    assert again["servicers"].startswith("[m:S, n:T] # configs/paycli.yaml:")
    assert again["log-calls"].startswith("true # configs/paycli.yaml:")


def test_a_profile_of_another_name_or_file(tmp_path: Path) -> None:
    other = file(tmp_path, "profiles: {a: {serve: {port: 1}}, b: {port: 2}}", "other.yaml")
    assert explained(tmp_path)["port"].endswith("default")
    assert explained(tmp_path, "--config", str(other))["port"].endswith("default")
    assert explained(tmp_path, "--profile", "b", "--config", str(other))["port"].startswith("2 ")
    chosen = {"PAYCLI_CONFIG": str(other), "PAYCLI_PROFILE": "a"}
    assert explained(tmp_path, **chosen)["port"].startswith("1 ")


def test_what_commands_share_stands_above_their_sections(tmp_path: Path, server: Server) -> None:
    file(
        tmp_path,
        f"profiles:\n  default:\n    target: {server.target}\n    store: sqlite:///{server.store}\n"
        "    plaintext: true\n    pay: {timeout: 5}\n",
    )
    paid = run_paycli("pay", "--amount", "5", cwd=tmp_path)
    assert paid.returncode == 0, paid.stderr
    looked = run_paycli("db", "status", cwd=tmp_path)
    assert looked.returncode == 0, looked.stderr
    assert explained(tmp_path)["store"].startswith(f"sqlite:///{server.store} # configs/paycli")


def test_smoke_keeps_to_its_own_server_unless_its_section_names_one(tmp_path: Path) -> None:
    suite = Path("configs/smoke/01-contract.yaml").absolute()
    file(tmp_path, "profiles: {default: {target: 'localhost:1', serve: {host: nowhere}}}")
    unruly = {"PAYCLI_HOST": "0.0.0.0", "PAYCLI_TOKENS": "none", "PAYCLI_TARGET": "localhost:1"}
    run = run_paycli("smoke", suite, cwd=tmp_path, env=unruly)
    assert run.returncode == 0, run.stderr
    file(tmp_path, "profiles: {default: {smoke: {target: 'localhost:1'}}}")
    assert run_paycli("smoke", suite, cwd=tmp_path).returncode == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "profiles: {default: {sevre: {}}}",
            ":1:22: unknown key 'sevre' in a profile; did you mean",
        ),
        ("profiles:\n default:\n  serve:\n   tls-crt: x", ":4:4: unknown key 'tls-crt' in section"),
        ("profiles: {default: {serve: {port: no}}}", ":1:36: 'port': 'no' is not a valid"),
        ("profiles: {default: {serve: {port: 65536}}}", ":1:36: 'port': 65536 is not in the range"),
        ("profiles: {default: {serve: {port: [1]}}}", ":1:36: 'port' must be a single value"),
        (
            "profiles: {default: {serve: {drain-timeout: nan}}}",
            ":1:45: 'drain-timeout': nan is not",
        ),
        ("profiles: {default: {serve: {log-calls: perhaps}}}", ":1:41: 'log-calls': "),
        (
            "profiles: {default: {serve: {log-format: xml}}}",
            ":1:42: 'log-format': 'xml' is not one",
        ),
        ("profiles: {default: {serve: {servicers: m:S}}}", ":1:41: 'servicers' must be a list"),
        ("profiles: {default: {serve: {reload: true}}}", ":1:30: unknown key 'reload' in section"),
        ("profiles: {default: {threads: 3}}", ":1:22: unknown key 'threads' in a profile"),
        ("profiles: {default: {port: 1, port: 2}}", ":1:31: duplicate key 'port'"),
        ("profile: {}", ":1:1: unknown key 'profile' in the file; did you mean 'profiles'?"),
        ("profiles: [a]", ":1:11: profiles must be a mapping"),
        ("profiles: {a: {", ":2:1: not YAML"),
        ("", ": the file is empty."),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file(tmp_path, text)
    refused = run_paycli("serve", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"Error: configs/paycli.yaml{said}")
    assert refused.stderr.count("\n") == 1


def test_a_profile_that_is_not_there(tmp_path: Path) -> None:
    missing = run_paycli("serve", "--profile", "ci", cwd=tmp_path)
    assert missing.returncode == 2
    assert "no profile 'ci' without configs/paycli.yaml" in missing.stderr
    file(tmp_path, "profiles: {cd: {}}")
    other = run_paycli("serve", "--profile", "ci", cwd=tmp_path)
    assert other.returncode == 2
    assert "paycli.yaml:1:11: there is no profile 'ci'; known are cd." in other.stderr
    assert run_paycli("serve", "--config", "none.yaml", cwd=tmp_path).returncode == 2


def test_the_null_device_is_no_file(tmp_path: Path) -> None:
    file(tmp_path, "profiles: {default: {port: 1}}")
    assert explained(tmp_path, PAYCLI_CONFIG=os.devnull)["port"].endswith("default")


def test_a_token_is_not_shown(tmp_path: Path) -> None:
    command = load_command("pay")
    with command.make_context("pay", ["--amount", "1", "--token", "s3cret"]) as context:
        assert "token: (secret)" in settings.explained(context)
        assert "s3cret" not in settings.explained(context)


def test_the_shipped_profiles_are_right() -> None:
    production = explained(Path(), "--profile", "production")
    assert production["tls-cert"].startswith("/run/secrets/tls.crt # configs/paycli.yaml:")
    assert explained(Path())["port"] == "50051 # default"


def commands() -> Iterator[tuple[str, Any]]:
    for name in COMMANDS:
        command = load_command(name)
        for each in getattr(command, "commands", {}).values() or [command]:
            yield name, each


def test_the_settings_that_commands_share_are_all_named() -> None:
    users: dict[str, set[str]] = {}
    for name, command in commands():
        for each in command.params:
            if each.envvar and each.expose_value:
                users.setdefault(each.envvar, set()).add(name)
    shared = {variable for variable, names in users.items() if len(names) > 1}
    named = {f"PAYCLI_{each.upper().replace('-', '_')}" for each in settings.SHARED}
    assert shared <= named <= users.keys()
    assert set().union(*users.values()) == set(settings.SECTIONS)


def test_a_variable_that_is_almost_a_setting_is_told(tmp_path: Path) -> None:
    """Once, whatever the command; in JSON where all is JSON. Others' variables are let alone."""
    names = {each.envvar for _, command in commands() for each in command.params if each.envvar}
    assert {f"{variables.PREFIX}{name}" for name in variables.NAMES} == names
    said = "Warning: PAYCLI_TRAGET has no effect; did you mean PAYCLI_TARGET?"
    others = {"_PAYCLI_COMPLETE": "", "PAYCLI_TEST_TARGET": "x", "PAYCLI_VERSION": "1"}
    environment = {**others, "PAYCLI_TRAGET": "localhost:1", "PAYCLI_STORE": "sqlite:///s.db"}
    for words in (("db", "status"), ("serve", "--print-config")):
        run = run_paycli(*words, cwd=tmp_path, env=environment)
        assert run.stderr.splitlines()[0] == said
        assert run.stderr.count("PAYCLI") == 2
    in_json = ("serve", "--tokens", "none", "--log-format", "json", "--host", "192.0.2.1")
    for more in ((), ("--workers", "1")):
        run = run_paycli(*in_json, *more, cwd=tmp_path, env=environment)
        lines = [json.loads(line)["message"] for line in run.stderr.splitlines()]
        assert lines.count(said) == 1
        assert "Warning: without TLS, whoever is on the way can read the tokens." in lines


def test_what_is_there_and_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/paycli.yaml").symlink_to("nowhere")
    run = run_paycli("serve", "--print-config", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert "configs/paycli.yaml: no such file" in run.stderr


def test_of_tls_and_plaintext_the_nearer_one_holds(tmp_path: Path, server: Server) -> None:
    pem = Authority(tmp_path).certificate
    file(tmp_path, f"profiles: {{default: {{ca: {pem}}}, plain: {{plaintext: true}}}}")
    pay = ("pay", "--amount", "1", "--target", server.target)
    assert "plaintext, and TLS was asked for" in run_paycli(*pay, cwd=tmp_path).stderr
    assert run_paycli(*pay, "--plaintext", cwd=tmp_path).returncode == 0
    said = run_paycli(*pay, "--ca", pem, "--profile", "plain", cwd=tmp_path).stderr
    assert "TLS was asked for" in said
    both = run_paycli(*pay, "--plaintext", "--ca", pem, cwd=tmp_path)
    assert both.returncode == 2
    # How to get in elsewhere is of no use to a server of one's own.
    suite = Path(__file__).parents[2] / "configs/smoke/01-contract.yaml"
    smoke = run_paycli("smoke", suite, cwd=tmp_path)
    assert smoke.returncode == 0, smoke.stderr


def test_what_tells_of_a_payment_chooses_the_same_profile(tmp_path: Path, server: Server) -> None:
    file(tmp_path, "profiles: {shop: {user: {}}}".replace("user: {}", f"target: {server.target}"))
    words = ("pay", "--amount", "1", "--order-id", "o", "--user-id", "sim_lost_answer")
    lost = run_paycli(*words, "--profile", "shop", cwd=tmp_path)
    assert lost.returncode == 5
    settle, _, again = lost.stderr.partition("To learn the outcome: paycli ")[2].partition(
        " To send the same again: paycli "
    )
    for command in (again.split(), settle.split()):
        chosen = command[command.index("--profile") :][:4]
        assert chosen == ["--profile", "shop", "--target", server.target]
        assert run_paycli(*command, cwd=tmp_path).returncode == 0
