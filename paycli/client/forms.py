"""The forms of a message: JSON (or YAML), protobuf's text format, and binary."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import PurePath
from typing import Any, Final

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, EncodeError, Message

from paycli.client.json_text import Place, begins_as_json, json_documents, position_in_json
from paycli.client.json_values import Misfit, readied, unknown
from paycli.client.plain import class_of, fields_of, map_entry, nodes, values_of
from paycli.errors import DocumentError, InputError, PaycliError


class Form(StrEnum):
    """How a message is written."""

    JSON = "json"
    TEXT = "text"
    BINARY = "binary"


_YAML: Final = (".yaml", ".yml")
_SUFFIXES: Final = {
    Form.JSON: (".json", *_YAML),
    Form.TEXT: (".txtpb", ".textproto", ".textpb", ".pbtxt", ".prototxt"),
}
_OF_STRUCTS: Final = tuple(f"google.protobuf.{kind}" for kind in ("Struct", "Value", "ListValue"))
_NO_FIELD: Final = re.compile(r'Message type "(\S+)" has no field named "(\w+)"\.')
# What text reads back; another has to be shown beside its bytes.
_URL: Final = re.compile(r"[\w.-]+(/[\w.-]+)+", re.ASCII)
_SAID_MAX: Final = 300  # of protobuf's words, which may have a whole file in them
_DEPTH_MAX: Final = 1_000  # more than is in binary
_TOO_DEEP: Final = "nested too deeply: no message is inside more than 100 others"


def form_of(path: str) -> Form:
    """The form that the name of a file tells of; what tells nothing is binary, as for buf."""
    suffix = PurePath(path).suffix.lower()
    return next((form for form, known in _SUFFIXES.items() if suffix in known), Form.BINARY)


def documents_of(text: str, name: str, *, lenient: bool = False) -> Sequence[object]:
    """The documents of a text as plain data: JSON, one after another, or else YAML.

    What is called *.json, or begins as JSON does, is JSON; YAML would take much of it for something
    else, so it is asked only where that is `lenient`. Raises DocumentError; `name` is what it calls the
    text.
    """
    try:
        return json_documents(text, name)
    except DocumentError:
        suffix = PurePath(name).suffix.lower()
        if suffix == ".json" or (suffix not in _YAML and not lenient and begins_as_json(text)):
            raise
        from paycli.documents import read_text  # start-up time: most requests are JSON

        return [each.typed(exact=False) for each in read_text(text, name)]


def message_of(
    kind: Descriptor,
    document: object,
    pool: DescriptorPool,
    name: str,
    *,
    text: str = "",
    number: int = 0,
) -> Message:
    """The message of plain data, which `name` calls. Raises DocumentError for data that does not fit.

    It has a line where the data is document `number`, from 0, of a text.
    """
    try:
        message = build(kind, document, pool)
    except Misfit as wrong:
        at = _position(text, name, (number, *wrong.place)) if text else (None, None)
        raise _unfit(name, kind, str(wrong), *at) from wrong
    return _complete(kind, message, name)


def build(kind: Descriptor, document: object, pool: DescriptorPool) -> Message:
    """The message of plain data, of which what is required may be missing. Raises Misfit."""
    from google.protobuf import json_format

    message = class_of(kind)()
    try:
        ready = readied(kind, document, pool)
        json_format.ParseDict(ready, message, descriptor_pool=pool, max_recursion_depth=_DEPTH_MAX)
        _pack_again(message, pool)
        _refuse_depth(message)
    except (PaycliError, Misfit):  # PaycliError: of the reflection that was asked about an Any
        raise
    except RecursionError as problem:
        raise Misfit(_TOO_DEEP) from problem
    except Exception as problem:  # protobuf raises what it meets: KeyError, SystemError
        raise Misfit(_reason(problem)) from problem
    return message


def _refuse_depth(message: Message) -> None:
    """Raises Misfit for a message that nobody could read in binary."""
    try:
        type(message).FromString(message.SerializePartialToString())
    except DecodeError as problem:
        raise Misfit(_TOO_DEEP) from problem


def _position(text: str, name: str, place: Place) -> tuple[int | None, int | None]:
    """Line and column of a value in a text, or of its key."""
    try:
        json_documents(text, name)
    except DocumentError:
        return _position_in_yaml(text, name, place)
    return position_in_json(text, place) or (None, None)


def _position_in_yaml(text: str, name: str, place: Place) -> tuple[int, int]:
    from paycli.documents import Node, read_text

    number, *keys = place
    at = node = read_text(text, name)[int(number)]
    for key in keys:
        if isinstance(key, int):
            at = node = list(node.items(""))[key]
        else:
            inside = ((Node(node.path, each), value) for each, value in node.raw.value)
            at = next(each for each, _ in inside if each.text("") == key)
            node = node.fields("")[key]
    return at.line, at.column


def _complete(kind: Descriptor, message: Message, name: str) -> Message:
    required: Any = message  # of which its stub does not know all
    if missing := required.FindInitializationErrors():
        raise _unfit(name, kind, f"it requires {', '.join(missing)}")
    return message


def _pack_again(message: Message, pool: DescriptorPool) -> None:
    """Each Any, as `as_binary` has messages; protobuf's JSON packs maps in another order each time."""
    for _, inner in _messages(message):
        if (packed := _packed(inner, pool)) is not None:
            _pack_again(packed, pool)
            holder: Any = inner
            holder.value = as_binary(packed)


def _packed(message: Any, pool: DescriptorPool) -> Message | None:
    """What an Any has inside, if this is one and its type is known. Raises DecodeError."""
    if message.DESCRIPTOR.full_name == "google.protobuf.Any" and message.type_url:
        with suppress(KeyError):
            kind = pool.FindMessageTypeByName(message.type_url.rpartition("/")[2])
            return class_of(kind).FromString(message.value)
    return None


def _unfit(
    name: str, kind: Descriptor, why: str, line: int | None = None, column: int | None = None
) -> DocumentError:
    short = why if len(why) <= _SAID_MAX else f"{why[:_SAID_MAX]}…"
    end = short if short.endswith("?") else f"{short.rstrip('.')}."
    said = f"this is no {kind.full_name}: {end} 'paycli describe {kind.full_name}' shows one."
    return DocumentError(name, said, line, column)


def _reason(problem: Exception) -> str:
    """What protobuf says is wrong. A SystemError is about what it was caused by."""
    said = str(problem.__cause__ if isinstance(problem, SystemError) else problem)
    return " ".join(said.split())


def parse(kind: Descriptor, content: bytes, form: Form, pool: DescriptorPool, name: str) -> Message:
    """The message that a file has. Raises DocumentError, with line and column where they are known."""
    if form is Form.BINARY:
        message = _of_binary(kind, content, name)
    elif form is Form.TEXT:
        message = _of_text(kind, decoded(content, name), pool, name)
    else:
        text = decoded(content, name)
        documents = documents_of(text, name)
        if len(documents) != 1:
            raise DocumentError(name, f"{len(documents)} documents; a message is one.")
        return message_of(kind, documents[0], pool, name, text=text)
    return _complete(kind, message, name)


def _of_binary(kind: Descriptor, content: bytes, name: str) -> Message:
    message = class_of(kind)()
    try:
        message.MergeFromString(content)
    except DecodeError as problem:
        said = f"no {kind.full_name} in binary; of another form, say --from json or --from text."
        raise DocumentError(name, said) from problem
    return message


def decoded(content: bytes, name: str) -> str:
    """Text of UTF-8. Raises DocumentError, with line and column."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        column = problem.start - content.rfind(b"\n", 0, problem.start)
        raise DocumentError(name, "not UTF-8 text; is it binary?", line, column) from problem


def _of_text(kind: Descriptor, text: str, pool: DescriptorPool, name: str) -> Message:
    from google.protobuf import text_format

    message = class_of(kind)()
    try:
        text_format.Parse(text, message, descriptor_pool=pool)
        _refuse_depth(message)
    except text_format.ParseError as problem:
        line, column = problem.GetLine(), problem.GetColumn()
        why = str(problem).removeprefix(f"{line}:{column} : ")
        if line is not None:
            quoted = text.split("\n")[line - 1]
            why = why.removeprefix(f"'{quoted}': ").removeprefix("'': ")  # of the end, none
        if (missing := _NO_FIELD.match(why)) is not None:
            why = unknown(pool.FindMessageTypeByName(missing[1]), missing[2])
        raise _unfit(name, kind, " ".join(why.split()), line, column) from problem
    except (RecursionError, Misfit) as problem:
        raise _unfit(name, kind, _TOO_DEEP) from problem
    except Exception as problem:  # ValueError, of a number too large for an enum
        raise _unfit(name, kind, _reason(problem)) from problem
    return message


def as_json(
    message: Message, pool: DescriptorPool, *, indent: int | None = None, **options: Any
) -> str:
    """As protobuf's JSON has it, with the names of the proto, and maps in the order of their keys.

    Raises InputError for what it has not.
    """
    try:
        plain = as_plain(message, pool, **options)
    except ValueError as problem:
        name = message.DESCRIPTOR.full_name
        raise InputError(f"This {name} cannot be shown as JSON: {problem}.") from problem
    return json.dumps(plain, indent=indent, ensure_ascii=False)


def as_plain(message: Message, pool: DescriptorPool, **options: Any) -> dict[str, Any]:
    """`as_json` as plain data. Raises ValueError, which says why."""
    from google.protobuf import json_format

    whole: Any = message.DESCRIPTOR
    try:
        _check_utf8(message, pool)
        plain = json_format.MessageToDict(
            message, preserving_proto_field_name=True, descriptor_pool=pool, **options
        )
        for _, kind, inner in nodes(whole, plain, pool):
            _sort_maps(kind, inner, pool)
    except PaycliError:  # of the reflection that was asked about an Any
        raise
    except Exception as problem:
        # A timestamp of the year 200000, say, or an Any of a type that nobody here knows.
        raise ValueError(_reason(problem).rstrip(".")) from problem
    return plain


def _sort_maps(kind: Descriptor, plain: Any, pool: DescriptorPool) -> None:
    """Of one message; protobuf has them in another order each time."""
    if kind.full_name in _OF_STRUCTS:
        maps = _dicts(plain)
    else:
        maps = (value for _, field, value in fields_of(kind, plain, pool) if map_entry(field))
    for each in maps:
        entries = sorted(each.items())
        each.clear()
        each.update(entries)


def _dicts(plain: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plain, dict):
        yield plain
    inside = plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list) else ()
    for each in inside:
        yield from _dicts(each)


def as_text(message: Message, pool: DescriptorPool) -> str:
    """As protobuf's text format has it; what the schema does not know, by its number.

    Raises InputError for what is nested too deeply, and for maps of proto2 that are not UTF-8.
    """
    try:
        if all(_URL.fullmatch(url) for url in _urls(message, pool)):
            with suppress(DecodeError):  # of an Any whose value is not of its type
                return _text(message, pool)
        return _text(message, DescriptorPool())  # each Any as its bytes
    except (DecodeError, RecursionError, UnicodeDecodeError) as problem:
        name = message.DESCRIPTOR.full_name
        raise InputError(f"This {name} cannot be shown as text: {problem}.") from problem


def _urls(message: Message, pool: DescriptorPool) -> Iterator[str]:
    for _, each in _messages(message, pool):
        holder: Any = each
        if each.DESCRIPTOR.full_name == "google.protobuf.Any" and holder.type_url:
            yield holder.type_url


def _text(message: Message, pool: DescriptorPool) -> str:
    from google.protobuf import text_format

    return text_format.MessageToString(
        message, as_utf8=True, descriptor_pool=pool, print_unknown_fields=True
    ).rstrip("\n")


def as_binary(message: Message) -> bytes:
    """The same bytes for the same message. Raises InputError for one larger than protobuf has them."""
    try:
        return message.SerializeToString(deterministic=True)
    except EncodeError as problem:
        raise InputError(f"This cannot be written in binary: {problem}.") from problem


def unknown_fields(message: Message, pool: DescriptorPool) -> Iterator[str]:
    """The fields of a message, and of those inside it, that the schema does not know: `inner.9`."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    for where, each in _messages(message, pool):
        unknown: Any = UnknownFieldSet(each)
        yield from dict.fromkeys(f"{where}{field.field_number}" for field in unknown)


def _check_utf8(message: Message, pool: DescriptorPool) -> None:
    """Raises ValueError for a string that is only bytes, which proto2 lets pass."""
    for where, each in _messages(message, pool):
        for field, value in each.ListFields():
            one, values = values_of(field, value)
            if one.type == one.TYPE_STRING and any(isinstance(text, bytes) for text in values):
                raise ValueError(f"{where}{field.name} is not UTF-8")


def _messages(
    message: Message, pool: DescriptorPool | None = None, where: str = ""
) -> Iterator[tuple[str, Message]]:
    """A message and all inside it, each after its path: `inner.`; with a pool, what an Any has as well."""
    yield where, message
    if pool is not None:
        with suppress(DecodeError):
            packed = _packed(message, pool)
            yield from _messages(packed, pool, where) if packed is not None else ()
    for field, value in message.ListFields():
        one, values = values_of(field, value)
        for each in values if one.message_type is not None else ():
            yield from _messages(each, pool, f"{where}{field.name}.")
