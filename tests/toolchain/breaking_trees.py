"""Random protos in two versions that have much in common, for comparing two judges of them.

A proto is a set of slots (a field number of a message, an enum, an rpc …); each slot is filled the
same way in both versions, or anew in each, or left empty. What a syntax forbids is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hypothesis import strategies as st

MESSAGES = ("A", "B", "C")
ENUMS = ("E", "F")
NUMBERS = range(1, 6)
EXTENSIONS = (100, 101)
JSTYPES = ("int64", "uint64", "sint64", "fixed64", "sfixed64")
TEXTS = ("string", "bytes")
INT32S = ("int32", "uint32", "sint32", "fixed32", "sfixed32")
SCALARS = (*INT32S, *JSTYPES, *TEXTS, "bool", "float", "double")
DEFAULTS = {"bool": "true", "string": '"x"', "bytes": '"\\001y"', "float": "0.1", "double": "inf"}


class Field(NamedTuple):
    """A field or an extension."""

    name: str
    type: str
    label: str
    oneof: str
    options: frozenset[str]


class Shape(NamedTuple):
    """What a message has beside its fields."""

    nested: frozenset[str]
    reserved: frozenset[int]
    reserved_names: frozenset[str]
    options: frozenset[str]
    extensions_to: int


class Enum(NamedTuple):
    """An enum: number → name, beyond the zero that each has."""

    values: dict[int, str]
    reserved: frozenset[int]


Slots = Mapping[Any, Any]


def _some(words: str) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(words.split()))


def _twice(filling: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    return st.one_of(filling.map(lambda value: (value, value)), st.tuples(filling, filling))


_FIELD = st.builds(
    Field,
    st.sampled_from(["a", "b", "long_name", "d"]),
    st.sampled_from([*SCALARS, *MESSAGES, *ENUMS, "map<string, int32>", "map<int64, A>"]),
    st.sampled_from(["", "", "optional", "repeated", "required"]),
    st.sampled_from(["", "", "x", "y"]),
    _some("json_name default jstype ctype utf8 presence"),
)
_SHAPE = st.builds(
    Shape,
    _some("In Out"),
    st.frozensets(st.integers(1, 9), max_size=4),
    _some("a b x"),
    _some("accessor json"),
    st.sampled_from([101, 150, 200]),
)
_ENUM = st.builds(
    Enum,
    st.dictionaries(st.integers(1, 4), st.sampled_from(["ONE", "TWO", "SIX"]), max_size=3),
    st.frozensets(st.integers(1, 6), max_size=3),
)
_METHOD = st.tuples(
    st.sampled_from(MESSAGES),
    st.sampled_from(MESSAGES),
    st.sampled_from(["", "stream "]),
    st.sampled_from(["", "stream "]),
    st.sampled_from(["", "IDEMPOTENT", "NO_SIDE_EFFECTS"]),
)
_FILLINGS: dict[Any, st.SearchStrategy[Any]] = {
    "syntax": st.sampled_from(["proto2", "proto3", "2023"]),
    "options": _some("go java java_utf8 closed utf8 delimited implicit json"),
}
_FILLINGS |= {name: st.none() | _SHAPE for name in MESSAGES}
_FILLINGS |= {(name, number): st.none() | _FIELD for name in MESSAGES for number in NUMBERS}
_FILLINGS |= {name: st.none() | _ENUM for name in ENUMS}
_FILLINGS |= {("extend", number): st.none() | _FIELD for number in EXTENSIONS}
_FILLINGS |= {("rpc", name, rpc): st.none() | _METHOD for name in "ST" for rpc in ("Get", "Put")}
_SLOTS = st.fixed_dictionaries({slot: _twice(each) for slot, each in _FILLINGS.items()})


def versions() -> st.SearchStrategy[tuple[str, str]]:
    """A proto before and after, in package NAME."""
    return _SLOTS.map(lambda slots: (_text(slots, 0), _text(slots, 1)))


def _text(slots: Slots, version: int) -> str:
    chosen = {key: pair[version] for key, pair in slots.items()}
    editions = chosen["syntax"] == "2023"
    syntax = 'edition = "2023"' if editions else f'syntax = "{chosen["syntax"]}"'
    lines = [f"{syntax};", "package NAME;", *_file_options(chosen)]
    lines += [f"enum {name} {{\n{_enum(name, chosen)}}}" for name in ENUMS if chosen[name]]
    lines += [f"message {name} {{\n{_message(name, chosen)}}}" for name in MESSAGES if chosen[name]]
    if chosen["syntax"] != "proto3" and chosen["A"]:
        for number in EXTENSIONS:
            if field := chosen["extend", number]:
                plain = field._replace(oneof="", label=field.label.replace("required", ""))
                plain = plain._replace(options=field.options - {"json_name", "presence", "ctype"})
                if not plain.type.startswith("map"):
                    lines.append(f"extend A {{ {_field(number, plain, chosen)} }}")
    lines += [_service(name, chosen) for name in "ST"]
    return "\n".join(lines) + "\n"


def _file_options(chosen: Slots) -> list[str]:
    said = {"go": 'go_package = "g"', "java": 'java_package = "j"'}
    if chosen["syntax"] != "2023":
        said["java_utf8"] = "java_string_check_utf8 = true"
    else:
        said |= {
            "utf8": "features.utf8_validation = NONE",
            "delimited": "features.message_encoding = DELIMITED",
            "json": "features.json_format = LEGACY_BEST_EFFORT",
            # A closed enum cannot be the type of a field without presence.
            "implicit": "features.field_presence = IMPLICIT",
            "closed": "features.enum_type = CLOSED",
        }
        if "implicit" in chosen["options"]:
            del said["closed"]
    return [f"option {said[each]};" for each in sorted(chosen["options"] & said.keys())]


def _enum(name: str, chosen: Slots) -> str:
    enum = chosen[name]
    names = {f"{name}_{word}": number for number, word in enum.values.items()}
    lines = [f"  {value} = {number};\n" for value, number in ({f"{name}_ZERO": 0} | names).items()]
    reserved = sorted(enum.reserved - set(names.values()))
    lines += [f"  reserved {number};\n" for number in reserved]
    return "".join(lines)


def _message(name: str, chosen: Slots) -> str:
    shape: Shape = chosen[name]
    lines: list[str] = []
    oneofs: dict[str, list[str]] = {}
    used: dict[str, int] = {}
    for number in NUMBERS:
        field: Field | None = chosen[name, number]
        if field is None or field.name in used:
            continue
        used[field.name] = number
        if field.oneof and field.label == "" and not field.type.startswith("map"):
            oneofs.setdefault(field.oneof, []).append(_field(number, field, chosen))
        else:
            lines.append(_field(number, field._replace(oneof=""), chosen))
    lines += [f"oneof {each}_of {{ {' '.join(fields)} }}" for each, fields in oneofs.items()]
    lines += [f"message {nested} {{ }}" for nested in sorted(shape.nested)]
    lines += [f"reserved {each};" for each in sorted(shape.reserved - set(used.values()))]
    quote = "" if chosen["syntax"] == "2023" else '"'
    names = sorted(shape.reserved_names - used.keys())
    lines += [f"reserved {quote}{each}{quote};" for each in names]
    if "accessor" in shape.options:
        lines.append("option no_standard_descriptor_accessor = true;")
    if "json" in shape.options and chosen["syntax"] == "2023":
        lines.append("option features.json_format = LEGACY_BEST_EFFORT;")
    if name == "A" and chosen["syntax"] != "proto3":
        lines.append(f"extensions 100 to {shape.extensions_to};")
    return "".join(f"  {line}\n" for line in lines)


def _field(number: int, field: Field, chosen: Slots) -> str:
    wanted = field.type.removeprefix("map<int64, ").removesuffix(">")
    known = wanted not in (*MESSAGES, *ENUMS) or chosen[wanted]
    kind = field.type if known else "int32"
    is_map = kind.startswith("map")
    syntax = chosen["syntax"]
    label = "" if is_map or field.oneof else field.label
    if syntax == "2023" and label != "repeated":
        label = ""
    elif syntax == "proto3":
        label = label.replace("required", "")
    elif not (label or is_map or field.oneof):
        label = "optional"
    options = ", ".join(_field_options(field, kind, label, chosen))
    extended = number in EXTENSIONS
    name = f"ext_{field.name}_{number % 2}" if extended else field.name
    return f"{label} {kind} {name} = {number}{f' [{options}]' if options else ''};".strip()


def _field_options(field: Field, kind: str, label: str, chosen: Slots) -> list[str]:
    syntax = chosen["syntax"]
    single = label != "repeated" and not kind.startswith("map") and kind not in MESSAGES
    implicit = syntax == "2023" and "implicit" in chosen["options"]
    said: list[str] = []
    if "json_name" in field.options:
        said.append(f'json_name = "j_{field.name}"')
    if "default" in field.options and single and syntax != "proto3" and not implicit:
        default = f"{kind}_ZERO" if kind in ENUMS else DEFAULTS.get(kind, "7")
        said.append(f"default = {default}")
    elif "presence" in field.options and single and syntax == "2023" and not field.oneof:
        value = "LEGACY_REQUIRED" if kind in ENUMS else "IMPLICIT"
        said.append(f"features.field_presence = {value}")
    if "jstype" in field.options and kind in JSTYPES:
        said.append("jstype = JS_STRING")
    if "ctype" in field.options and kind in TEXTS:
        said.append("ctype = CORD")
    if "utf8" in field.options and kind == "string" and syntax == "2023":
        said.append("features.utf8_validation = NONE")
    return said


def _service(name: str, chosen: Slots) -> str:
    lines: list[str] = []
    for method in ("Get", "Put"):
        rpc = chosen["rpc", name, method]
        if rpc is None or not (chosen[rpc[0]] and chosen[rpc[1]]):
            continue
        request, response, up, down, level = rpc
        option = f" option idempotency_level = {level}; " if level else ""
        lines.append(f"  rpc {method}({up}{request}) returns ({down}{response}) {{{option}}}\n")
    return f"service {name} {{\n{''.join(lines)}}}" if lines else ""
