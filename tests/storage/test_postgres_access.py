"""How a server comes to its database: the driver, TLS, passwords that nobody sees."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests import postgres
from tests.certificates import Authority
from tests.conftest import run_paycli
from tests.processes import ready

PASSWORD = "open+s%same"
IN_URL = "open+s%25same"


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Postgres]:
    """One that wants a password."""
    with postgres.new_postgres() as found:
        postgres.sql(found.url, f"CREATE ROLE cook LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        wanted = "host all cook 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
        postgres.write(found.data / "pg_hba.conf", wanted)
        postgres.sql(found.url, "SELECT pg_reload_conf()")
        yield found


def url_of(server: postgres.Postgres, *, password: str = "", query: str = "") -> str:
    who = f"cook:{password}" if password else "cook"
    return f"postgresql://{who}@localhost:{server.port}/postgres{query}"


def migrate(url: str, **env: str) -> subprocess.CompletedProcess[str]:
    return run_paycli("db", "migrate", "--store", url, env=env)


def test_a_missing_driver_is_a_sentence_with_the_command(tmp_path: Path) -> None:
    program = "import sys; sys.modules['asyncpg'] = None; from paycli.cli.app import main; main()"
    for command in (["serve"], ["db", "status"], ["db", "copy", "sqlite:///s.db"], ["doctor"]):
        option = [] if "copy" in command else ["--store"]
        refused = subprocess.run(
            [sys.executable, "-c", program, *command, *option, "postgresql://db.example/payments"],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            check=False,
        )
        told = refused.stdout + refused.stderr
        assert "pip install 'paycli[postgres]'" in told, told
        assert "Traceback" not in told
        assert refused.returncode == (1 if command == ["doctor"] else 2)


def test_a_password_comes_from_the_environment_or_a_file(
    server: postgres.Postgres, tmp_path: Path
) -> None:
    url = url_of(server)
    refused = migrate(url)
    assert refused.returncode == 1
    assert "lets nobody in" in refused.stderr
    assert "PGPASSWORD" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert migrate(url, PGPASSWORD=PASSWORD).returncode == 0
    file = tmp_path / "pgpass"
    file.write_text(f"localhost:{server.port}:*:cook:{PASSWORD}\n", encoding="ascii")
    file.chmod(0o600)
    assert migrate(url, PGPASSFILE=str(file)).returncode == 0
    wrong = migrate(url, PGPASSWORD="guessed")
    assert "password authentication failed" in wrong.stderr
    assert "guessed" not in wrong.stderr


def test_a_password_is_seen_nowhere(server: postgres.Postgres, tmp_path: Path) -> None:
    url = url_of(server, password=IN_URL)
    refused = migrate(url)
    assert refused.returncode == 2
    assert "PAYCLI_STORE" in refused.stderr
    secrets = (PASSWORD, IN_URL)
    assert not any(each in refused.stderr for each in secrets)
    environment = {**os.environ, "PAYCLI_STORE": url}
    assert run_paycli("db", "migrate", env=environment).returncode == 0
    told = run_paycli("db", "status", env=environment)
    assert told.returncode == 0, told.stderr
    config = run_paycli("serve", "--print-config", env=environment)
    line = ("serve", "--workers", "2")
    with ready(tmp_path, "Payment Processing Service ready!", *line, env=environment) as (serve, _):
        lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
        sessions = postgres.sql(server.url, "SELECT query FROM pg_stat_activity")
        serve.terminate()
        said, errors = serve.communicate(timeout=30)
    assert "cook@localhost" in errors
    for text in (
        told.stdout,
        told.stderr,
        config.stdout,
        lines.stdout,
        said,
        errors,
        str(sessions),
    ):
        assert not any(each in text for each in secrets)


def test_the_way_to_the_database_is_encrypted_and_its_name_is_checked(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path / "ca"), Authority(tmp_path / "other")
    with postgres.tls_before(postgres.new_store(), authority.sign("localhost")) as url:

        def status(query: str, *, host: str = "localhost") -> str:
            store = f"{url.replace('127.0.0.1', host)}?{query}"
            found = run_paycli("db", "status", "--store", store)
            assert found.returncode in ((1, 2) if found.stderr else (0,))
            assert found.stderr.count("\n") == bool(found.stderr)
            return found.stderr

        full = f"sslmode=verify-full&sslrootcert={authority.certificate}"
        assert not status(full)
        assert not status("sslmode=require")
        assert "127.0.0.1" in status(full, host="127.0.0.1")
        wrong = status(f"sslmode=verify-full&sslrootcert={other.certificate}")
        assert "over TLS" in wrong
        assert "certificate verify failed" in wrong
        assert "none.pem, which is no file" in status(
            f"sslmode=verify-ca&sslrootcert={tmp_path}/none.pem"
        )
        assert status("sslmode=disable")


def test_a_server_without_tls_is_refused_where_it_is_wanted() -> None:
    url = f"{postgres.new_store()}?sslmode=require"
    refused = run_paycli("db", "status", "--store", url)
    assert refused.returncode == 1
    assert "SSL" in refused.stderr or "TLS" in refused.stderr, refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://", "names no database"),
        ("postgresql://host", "names no database"),
        ("postgresql://host/", "names no database"),
        ("postgresql://[host/x", "not one"),
        ("postgresql://localhost:1/x", "nothing listens there"),
        ("postgresql://localhost:nine/x", "cannot be used"),
        ("postgresql://nowhere.invalid/x", "cannot be used"),
        ("postgresql://localhost:1/x?sslmode=perhaps", "sslmode"),
        ("mysql://localhost/x", "is not a store"),
    ],
)
def test_what_is_no_database_is_a_sentence(url: str, said: str) -> None:
    refused = run_paycli("db", "status", "--store", url)
    assert refused.returncode in (1, 2)
    assert said in refused.stderr, refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_database_in_another_encoding_is_refused() -> None:
    name = f"latin_{os.getpid()}"
    shared = postgres.shared_server()
    query = f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
    postgres.sql(shared, query)
    refused = migrate(postgres.database(shared, name))
    assert "LATIN1" in refused.stderr
    assert "UTF8" in refused.stderr


def test_the_url_of_each_host_is_its_own() -> None:
    from paycli.storage.postgres.url import Url

    url = Url("postgresql://ada:x%40y@one:1,two/pay?sslmode=require&password=z")
    assert str(url) == "postgresql://ada@one:1,two/pay"
    assert url.without_password == "postgresql://ada@one:1,two/pay?sslmode=require"
    assert url.password == "x@y"
    assert [urlsplit(each).netloc for each in url.each] == ["ada:x%40y@one:1", "ada:x%40y@two"]


def test_a_database_that_takes_no_writes_is_a_sentence() -> None:
    store = postgres.new_store()
    name = urlsplit(store).path[1:]
    postgres.sql(store, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    refused = run_paycli("db", "status", "--store", store)
    assert refused.returncode == 1
    assert "takes no writes" in refused.stderr, refused.stderr
    assert refused.stderr.count("\n") == 1
