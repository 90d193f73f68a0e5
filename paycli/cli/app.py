"""The root command: knows every command and turns errors into exit codes, here only."""

from __future__ import annotations

import gc
import io
import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException
from typer.main import get_command

from paycli import __version__
from paycli.cli import options, output, settings
from paycli.cli.groups import Command, CommandGroup
from paycli.cli.interrupts import end_as_process_1
from paycli.errors import InputError, PaycliError

EXIT_BUG = 70
_STDERR = 2
_COMPLETING: Final = "_PAYCLI_COMPLETE"  # as Typer calls it
_COMPLETION: Final = ("--install-completion", "--show-completion")
_SECRETS: Final = ("--token", "-H")  # what follows these
_SHELLS: Final = ("bash", "zsh", "fish", "powershell", "pwsh")

# What each command's own help says too: `paycli --help` shows it without loading any of them.
COMMANDS: Final = {
    "gen": "Compile protos to typed Python that imports inside any package.",
    "lint": "Check the style of protos by buf's rules and buf.yaml.",
    "breaking": "Name each change of protos that breaks a deployed client.",
    "serve": "Run a durable payment service, or servicers of your own; SIGTERM or Ctrl-C stops it.",
    "proxy": "Put faults on demand before any gRPC server; SIGTERM or Ctrl-C stops it.",
    "pay": "Send a payment (--amount) or the payments of YAML fixtures; 'pay settle' tells what became of one.",
    "payments": "Look at payments, and act on them: capture, void, refund.",
    "watch": "Show what happens to payments, from now on or from where you say; Ctrl-C ends it.",
    "call": "Call any method of any server, by its reflection or by protos; prints responses as JSON.",
    "describe": "Show the services of a server, or a message with a template to fill in.",
    "mcp": "Offer payments to an agent as tools (Model Context Protocol, stdio); by default it only reads.",
    "convert": "Convert a message between JSON (or YAML), protobuf's text format and binary.",
    "proto": "Take our contracts along, for code in other languages.",
    "smoke": "Prove that a service takes payments; by default, one of our own. 'smoke record' and 'smoke import' write suites.",
    "bench": "Measure a service under load; by default, one of our own.",
    "wait": "Wait until a service serves, as its health service says; --timeout 0 asks once.",
    "doctor": "Check the set-up: Python, packages, generated code, port, store. Exit 1 if something fails.",
    "docs": "Show a page of the documentation, or which pages there are.",
    "db": "Keep the books: migrate, verify, back up, restore, copy, look.",
}


# Words that are commands where arguments of another kind stand: Python's module `token` has no servicer,
# and a fixture called settle is ./settle. With the section of profiles that their settings come from.
WITHIN: Final = {
    ("serve", "token"): ("serve_token", ""),
    ("pay", "settle"): ("pay_settle", "pay"),
    ("smoke", "record"): ("smoke_record", ""),
    ("smoke", "import"): ("smoke_import", ""),
}


class _Commands(CommandGroup):
    """Loads the command that is run; Typer takes long to work out the options of all of them."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        for name, summary in COMMANDS.items():
            self.add_command(TyperCommand(name, help=summary))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if len(args) > 1 and args[0] in _COMPLETION:
            _complete_for(args[1], ctx, install=args[0] == _COMPLETION[0])
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if rest and (within := WITHIN.get((str(name), rest[0]))):
            return f"{name} {rest[0]}", load_command(*within), rest[1:]
        return name, command and load_command(str(command.name)), rest


def _complete_for(shell: str, ctx: Any, *, install: bool) -> None:
    """Do for a shell that is named what Typer does for the one that it finds itself in."""
    from typer.completion import install_callback, show_callback

    if shell not in _SHELLS:
        raise InputError(f"'{shell}' is no shell that completes; name {', '.join(_SHELLS)}.")
    ctx.color = False
    act = install_callback if install else show_callback
    act(ctx, ctx.command.params[0], shell)


def load_command(name: str, section: str = "") -> Any:
    """The command as Typer makes it of `paycli.cli.NAME.NAME`, a function or a group.

    Its settings come from the section of its name, or of another.
    """
    made = getattr(import_module(f"paycli.cli.{name}"), name)
    if not isinstance(made, typer.Typer):
        function, made = made, typer.Typer(add_completion=False, rich_markup_mode=None)
        made.command(name, cls=Command, epilog=options.EXIT_CODES)(function)
    command = get_command(made)
    settings.configure(section or name, command)
    return command


app = typer.Typer(
    name="paycli",
    cls=_Commands,
    help="Compile, run, call and prove a gRPC payment service.",
    epilog=options.EXIT_CODES,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(context: typer.Context, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
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


def main() -> None:
    """Entry point: every way out of paycli passes here."""
    end_as_process_1()
    _make_streams_safe()
    exit_code = run(sys.argv[1:])
    if exit_code == options.EXIT_INTERRUPTED:
        output.after_signal(is_shown=True)
    gc.freeze()  # spares the interpreter's end two searches for garbage in all that is loaded
    sys.exit(exit_code)


def _make_streams_safe() -> None:
    """No order id may break its own receipt: what the terminal cannot show is shown escaped.

    A stream that the caller closed becomes the null device, or the next file opened takes its place.
    """
    while (lowest := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(lowest, True)
    os.close(lowest)
    sys.stdin, sys.stdout, sys.stderr = (
        open(os.devnull, mode, encoding="utf-8") if stream is None else stream  # noqa: PTH123, SIM115 - open to the end
        for stream, mode in ((sys.stdin, "r"), (sys.stdout, "w"), (sys.stderr, "w"))
    )
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding, stream = sys.stdout.encoding, sys.stdout.detach()
        if isinstance(stream, io.RawIOBase):  # PYTHONUNBUFFERED: it may write less than it is given
            stream = io.BufferedWriter(stream)
        sys.stdout = output.Stdout(stream, encoding, "backslashreplace")


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # our sentence says it; C-core would too
    if os.environ.get(_COMPLETING, "").startswith("complete_"):
        return _complete(arguments)
    as_json = "--json" in arguments
    try:
        return app(arguments, prog_name="paycli", standalone_mode=False) or 0
    except PaycliError as error:
        output.error(error, as_json=as_json)
        return error.exit_code
    except TyperException as error:  # wrong usage: unknown flag, missing value
        command = _command_line(arguments)
        mistake = _misplaced(arguments) or f"{_sentence(error)} See '{command} --help'."
        output.error(InputError(mistake), as_json=as_json)
        return InputError.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return options.EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our stdout went away, as `head` does
        return 1
    except Exception as problem:  # noqa: BLE001 - the outermost edge: what reaches it is our bug
        if (outside := _of_surroundings(problem)) is not None:
            output.error(outside, as_json=as_json)
            return outside.exit_code
        import traceback

        output.progress(traceback.format_exc().rstrip())
        output.progress("This is a bug in paycli. Please report it with the lines above.")
        return EXIT_BUG


def _complete(arguments: list[str]) -> int:
    """Answer a shell. What is typed so far may be anything: nothing is complained of, or read on."""
    from paycli.cli import completion

    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, sys.stdin.fileno())
    os.dup2(nothing, _STDERR)
    with suppress(Exception, KeyboardInterrupt):
        completion.rejoin(os.environ)
        app(arguments, prog_name="paycli", standalone_mode=False)
    return 0


def _of_surroundings(problem: Exception) -> InputError | None:
    """What the place or the words of the call make impossible anywhere; None for our bugs."""
    if isinstance(problem, UnicodeEncodeError):
        shown = ascii(problem.object)[1:-1]
        return InputError(f"'{shown}' is no UTF-8 text; write it in UTF-8.")
    if isinstance(problem, FileNotFoundError):
        try:
            os.getcwd()  # noqa: PTH109 - Path.cwd does the same with more
        except FileNotFoundError:
            return InputError("The working directory is gone. Go to one that is there.")
    return None


def _sentence(error: TyperException) -> str:
    said = error.format_message().rstrip(".")
    return said if said.endswith("?") else f"{said}."


def _misplaced(arguments: list[str]) -> str:
    """What to say of options of a command that stand before it; "" when none do."""
    at = next((n for n, each in enumerate(arguments) if each in COMMANDS), 0)
    if not at or not arguments[0].startswith("-"):
        return ""
    options = ["…" if _is_secret(arguments, n) else each for n, each in enumerate(arguments[:at])]
    import shlex  # start-up time

    mended = shlex.join(["paycli", *arguments[at:], *options])
    return f"Options stand after the command: {mended}"


def _is_secret(arguments: list[str], at: int) -> bool:
    return arguments[at].startswith("--token=") or (at > 0 and arguments[at - 1] in _SECRETS)


def _command_line(arguments: list[str]) -> str:
    """The command that was meant, down to where nothing of that name is known."""
    if tuple(arguments[:2]) in WITHIN:
        return " ".join(["paycli", *arguments[:2]])
    command, words = get_command(app), ["paycli"]
    for each in arguments:
        found = getattr(command, "commands", {}).get(each)
        if found is None:
            break
        command = load_command(each) if len(words) == 1 else found
        words.append(each)
    return " ".join(words)
