"""Options that several commands share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from paycli.errors import InputError

_SECONDS_MAX = 1e9  # gRPC counts deadlines in nanoseconds


def _finite(value: float | None) -> float | None:
    """Refuse nan, which is neither below nor above any bound."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a number of seconds.")
    return value


def seconds(help: str, *, least: float = 0.001, envvar: str | None = None) -> Any:
    """An option that takes a finite number of seconds."""
    return typer.Option(
        metavar="SECONDS",
        min=least,
        max=_SECONDS_MAX,
        callback=_finite,
        help=help,
        envvar=envvar,
    )


def option_of(name: str) -> str:
    """A parameter as it is written on the command line."""
    return f"--{name.replace('_', '-')}"


def is_given(context: typer.Context, name: str) -> bool:
    """Whether somebody, wherever, asked for what a parameter turns on."""
    value = context.params[name]
    source = context.get_parameter_source(name)
    is_default = source is None or source.name == "DEFAULT"
    return not is_default and value is not None and value is not False


def refuse_empty_key(key: str | None) -> None:
    """An empty key is none, and a variable that is not set; nothing would be paid only once."""
    if key == "":
        raise InputError("--idempotency-key is empty; leave it out, or give this payment its key.")


Target = Annotated[
    str, typer.Option(envvar="PAYCLI_TARGET", metavar="HOST:PORT", help="The service to call.")
]
Timeout = Annotated[float, seconds("Seconds to wait for an answer.", envvar="PAYCLI_TIMEOUT")]
Wait = Annotated[
    float,
    seconds("Wait up to so many seconds for the service to serve, first.", least=0),
]
Plaintext = Annotated[
    bool | None,
    typer.Option(
        "--plaintext/--tls",
        envvar="PAYCLI_PLAINTEXT",
        help="Default: plaintext on loopback, TLS elsewhere.",
    ),
]
Ca = Annotated[
    Path | None,
    typer.Option(envvar="PAYCLI_CA", metavar="PEM", help="Authorities to trust; means --tls."),
]
Cert = Annotated[
    Path | None,
    typer.Option(envvar="PAYCLI_CERT", metavar="PEM", help="Own certificate, for mutual TLS."),
]
Key = Annotated[
    Path | None, typer.Option("--key", envvar="PAYCLI_KEY", metavar="PEM", help="Its key.")
]
ServerName = Annotated[
    str | None,
    typer.Option(
        envvar="PAYCLI_SERVER_NAME", metavar="NAME", help="The name in the server's certificate."
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="PAYCLI_TOKEN",
        metavar="@FILE",
        help="A bearer token; @FILE and PAYCLI_TOKEN keep it from who can see processes.",
    ),
]
Headers = Annotated[
    list[str] | None, typer.Option("-H", metavar="'NAME: VALUE'", help="Goes with each call.")
]
OnlyOrder = Annotated[str, typer.Option(metavar="ID", help="Only of this order.")]
OnlyCustomer = Annotated[
    str, typer.Option("--customer-id", "--user-id", metavar="ID", help="Only of this customer.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; lists as one document a line.")]
BufConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="BUF.YAML", help="Default: the buf.yaml here, if there is."),
]
ProtoRoots = Annotated[
    list[Path] | None,
    typer.Option(
        "-I", "--proto-path", help="Root of the protos; repeatable. Default: buf.yaml's, or proto."
    ),
]
GeneratedOut = Annotated[
    Path | None,
    typer.Option("--out", help="Where the generated code goes. Default: generated."),
]


def _without_password(context: typer.Context, parameter: typer.CallbackParam, url: str) -> str:
    """A store that is named on the command line, where everybody sees it. Raises InputError."""
    source = context.get_parameter_source(str(parameter.name))
    if source is None or source.name != "COMMANDLINE":
        return url
    from paycli.storage.stores import has_password

    if has_password(url):
        raise InputError(
            "Whoever lists processes would see the password of the store. Leave it out of the URL and "
            "give it in PGPASSWORD or a pgpass file, or the whole URL in PAYCLI_STORE."
        )
    return url


def store_url(help: str) -> Any:
    """The option for a store."""
    return typer.Option(envvar="PAYCLI_STORE", metavar="URL", callback=_without_password, help=help)


Store = Annotated[str, store_url("sqlite:///FILE or postgresql://HOST/DB")]


def store_argument(metavar: str, help: str) -> Any:
    """The argument for a store."""
    return typer.Argument(metavar=metavar, callback=_without_password, help=help)


DEFAULT_STORE = "sqlite:///.paycli/paycli.db"
DEFAULT_TARGET = "localhost:50051"
DEFAULT_TIMEOUT_S = 10.0
DEFAULT_CURRENCY = "EUR"

EXIT_INTERRUPTED = 130

EXIT_CODES = """
Exit codes: 0 success; 1 it ran and failed (declined, smoke failed, drift found); 2 wrong usage or
invalid input; 3 service unreachable; 4 refused (authentication, permission); 5 outcome unknown (it
may have been paid: retry with the same key); 70 a bug in paycli; 130 stopped by Ctrl-C.
"""
