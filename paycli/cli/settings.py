"""Settings: what is not said on the command line comes from `PAYCLI_*`, a profile, or the default.

A setting is an option with an environment variable, PAYCLI_TLS_CERT for --tls-cert. A profile of
configs/paycli.yaml names settings as options without their dashes: in the section of a command, or,
for those that several commands share, above the sections.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from typer import BadParameter
from typer.core import TyperOption

from paycli.cli.variables import PREFIX
from paycli.errors import InputError

if TYPE_CHECKING:
    from paycli.documents import Node

DEFAULT_FILE: Final = Path("configs/paycli.yaml")
DEFAULT_PROFILE: Final = "default"
SECTIONS: Final = (
    "serve",
    "proxy",
    "pay",
    "payments",
    "watch",
    "call",
    "describe",
    "mcp",
    "convert",
    "smoke",
    "bench",
    "wait",
    "db",
    "doctor",
)
SHARED: Final = (
    "ca",
    "cert",
    "key",
    "plaintext",
    "port",
    "server-name",
    "store",
    "target",
    "timeout",
    "token",
)

_OF_ONE_RUN: Final = {"help", "print_config", "reload", "worker"}
_SECRET: Final = {"token"}
_PLAIN: Final = r"[\w./-]*\w(:[\w./-]+)*"
_RANKS: Final = ("DEFAULT", "DEFAULT_MAP", "ENVIRONMENT", "COMMANDLINE")
_WHERE: Final = "paycli.settings.where"
_CHOICE: Final = "paycli.settings.choice"


def configure(name: str, command: Any) -> None:
    """Let a command, or all commands of a group, take their settings from everywhere."""
    commands = list(getattr(command, "commands", {}).values()) or [command]
    if name == "serve":
        for parameter in command.params:
            if parameter.envvar is None and parameter.name not in _OF_ONE_RUN:
                parameter.envvar = PREFIX + parameter.name.upper()
    keys = {_key(parameter) for each in commands for parameter in _settings(each)}
    for each in commands:
        if any(_settings(each)):
            each.params += _profile_options(name, keys)


def explained(context: Any) -> str:
    """All settings of the command that runs, as a profile would have them, each with its source."""
    rows = [
        (f"{_key(each)}: {_shown(each.name, context.params[each.name])}", _source(context, each))
        for each in _settings(context.command)
    ]
    width = max(len(row) for row, _ in rows)
    lines = [f"{row:{width}}  # {source}" for row, source in rows]
    return "\n".join([f"{context.command.name}:", *(f"  {line}" for line in lines)])


def rank(context: Any, name: str) -> int:
    """How near to the call a value was said: on the command line 3, in the environment 2, in a profile 1."""
    return _RANKS.index(context.get_parameter_source(name).name)


def chosen(context: Any) -> tuple[str, ...]:
    """The words that choose the same profile again."""
    choice = context.meta.get(_CHOICE, {})
    return tuple(
        word
        for name in ("config", "profile")
        if choice.get(name) is not None
        for word in (f"--{name}", choice[name])
    )


def profiles(context: Any) -> list[str]:
    """The names to choose from. Raises InputError, DocumentError."""
    from paycli.documents import read

    root = read(Path(context.meta[_CHOICE]["config"] or DEFAULT_FILE))
    return list(root.fields("the file", ("profiles",))["profiles"].fields("profiles"))


def _settings(command: Any) -> Iterator[Any]:
    return (each for each in command.params if each.envvar and each.expose_value)


def _key(parameter: Any) -> str:
    return str(parameter.name).replace("_", "-")


def _shown(name: str, value: object) -> str:
    if value is None or value == ():
        return "~"
    if name in _SECRET:
        return "(secret)"
    if name == "store":
        from paycli.storage.stores import shown

        return _quoted(shown(str(value)))
    if isinstance(value, tuple):
        return f"[{', '.join(map(_quoted, value))}]"
    return str(value).lower() if isinstance(value, bool) else _quoted(value)


def _quoted(value: object) -> str:
    """As YAML has it."""
    text = str(value)
    if re.fullmatch(_PLAIN, text):
        return text
    import json

    return json.dumps(text)


def _source(context: Any, parameter: Any) -> str:
    match context.get_parameter_source(parameter.name).name:
        case "COMMANDLINE":
            return "command line"
        case "ENVIRONMENT":
            return str(parameter.envvar)
        case "DEFAULT_MAP":
            return str(context.meta[_WHERE][parameter.name])
        case _:
            return "default"


def _profile_options(section: str, keys: Collection[str]) -> list[TyperOption]:
    file = TyperOption(
        param_decls=["--config"],
        envvar="PAYCLI_CONFIG",
        metavar="FILE",
        help=f"Profiles of settings. Default: {DEFAULT_FILE}, if it is there.",
    )
    profile = TyperOption(
        param_decls=["--profile"],
        envvar="PAYCLI_PROFILE",
        metavar="NAME",
        help=f"Which of them. Default: {DEFAULT_PROFILE}.",
        autocompletion=lambda context, _args, _incomplete: profiles(context),
    )
    for each in (file, profile):
        each.is_eager = True  # before the options whose values they give
        each.expose_value = False
        each.callback = partial(_choose, section, keys)
    return [file, profile]


def _choose(
    section: str, keys: Collection[str], context: Any, parameter: Any, value: str | None
) -> None:
    """Take the profile once both options are known, in whichever order they come."""
    choice = context.meta.setdefault(_CHOICE, {})
    choice[parameter.name] = value
    if len(choice) < 2:
        return
    profile = _read_profile(choice["config"], choice["profile"])
    context.default_map, context.meta[_WHERE] = {}, {}
    for setting, node in _given(profile, section, keys, list(_settings(context.command))):
        if not node.is_null:  # as if it was not said
            context.default_map[setting.name] = _value(context, setting, node)
            context.meta[_WHERE][setting.name] = f"{node.path}:{node.line}"


def _read_profile(file: str | None, name: str | None) -> Node | None:
    """The profile of this name, or the default one if there is. Raises InputError, DocumentError."""
    path = Path(file or DEFAULT_FILE)
    if file == os.devnull or (file is None and _is_absent(path)):
        if name is None:
            return None
        raise InputError(f"There is no profile '{name}' without {DEFAULT_FILE} or --config FILE.")
    from paycli.documents import nearest, read

    root = read(path)
    profiles = root.fields("the file", ("profiles",)).get("profiles")
    if profiles is None:
        raise root.error("there is no 'profiles:'.")
    named = profiles.fields("profiles")
    if name is not None and name not in named:
        raise profiles.error(f"there is no profile '{name}'; {nearest(name, named)}")
    return named.get(name or DEFAULT_PROFILE)


def _is_absent(path: Path) -> bool:
    """Nothing of this name is there; what is there and cannot be read is a mistake."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _given(
    profile: Node | None, section: str, keys: Collection[str], settings: Sequence[Any]
) -> Iterator[tuple[Any, Node]]:
    """What a profile gives these settings: first what all commands share, then what is the section's."""
    if profile is None:
        return
    fields = profile.fields("a profile", {*SHARED, *SECTIONS})
    variables = {each.envvar: each for each in settings}
    for key, node in fields.items():
        setting = variables.get(PREFIX + key.upper().replace("-", "_"))
        if setting is not None:
            yield setting, node
    if section in fields:
        own = fields[section].fields(f"section {section}", keys)
        yield from ((each, own[_key(each)]) for each in settings if _key(each) in own)


def _value(context: Any, setting: Any, node: Node) -> Any:
    """The value as it is typed on a command line. Raises DocumentError if it would be refused there."""
    what = f"'{_key(setting)}'"
    many = setting.nargs == -1
    value = [each.text(what) for each in node.items(what)] if many else node.text(what)
    if value == "":
        raise node.error(f"{what} is empty; leave it out, or write ~ for its default.")
    try:
        setting.process_value(context, value)
    except BadParameter as problem:
        raise node.error(f"{what}: {problem.message}") from problem
    return value
