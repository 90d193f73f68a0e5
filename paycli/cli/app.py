"""The root command: registers every command and turns errors into exit codes, here only."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from typer.exceptions import TyperException

from paycli import __version__
from paycli.cli import breaking, db, doctor, gen, lint, options, output, pay, serve, smoke
from paycli.errors import PaycliError

EXIT_BUG = 70
EXIT_INTERRUPTED = 130
_STDERR = 2

app = typer.Typer(
    name="paycli",
    help="Compile, run, call and prove a gRPC payment service.",
    epilog=options.EXIT_CODES,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        output.result(f"paycli {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Compile, run, call and prove a gRPC payment service."""


COMMANDS: tuple[Callable[..., None], ...] = (
    gen.gen,
    lint.lint,
    breaking.breaking,
    serve.serve,
    pay.pay,
    smoke.smoke,
    doctor.doctor,
)

for command in COMMANDS:
    app.command(epilog=options.EXIT_CODES)(command)
app.add_typer(db.app, name="db", epilog=options.EXIT_CODES)


def main() -> None:
    """Entry point: every way out of paycli passes here."""
    _make_streams_safe()
    sys.exit(run(sys.argv[1:]))


def _make_streams_safe() -> None:
    """No order id may break its own receipt: what the terminal cannot show is shown escaped.

    A stream that the caller closed becomes the null device, or the next file opened takes its place.
    """
    while (lowest := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(lowest, True)
    os.close(lowest)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None when the caller closed it
            stream.reconfigure(errors="backslashreplace")


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # our sentence says it; C-core would too
    as_json = "--json" in arguments
    try:
        return app(arguments or ["--help"], prog_name="paycli", standalone_mode=False) or 0
    except PaycliError as error:
        output.error(error, as_json=as_json)
        return error.exit_code
    except TyperException as error:  # wrong usage: unknown flag, missing value
        output.usage_error(error, as_json=as_json)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our stdout went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception:  # noqa: BLE001 - the outermost edge: what reaches it is our bug
        import traceback

        traceback.print_exc()
        output.progress("This is a bug in paycli. Please report it with the lines above.")
        return EXIT_BUG
