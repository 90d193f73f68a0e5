"""Where the rules of `breaking` are entered: their categories, and the kinds of things they compare.

Each rule gets the old thing and the new one, and complains of every promise that no longer holds.
"""

from __future__ import annotations

from typing import Final

from paycli.toolchain.protos.descriptors import Enum, Field, Message, Method, ProtoFile, Service
from paycli.toolchain.protos.places import Place
from paycli.toolchain.protos.schema import Schema
from paycli.toolchain.rules.rule import Complaint, RuleBook, Rules

# From strict to lax: generated code, the same per package, JSON and binary bytes, binary bytes.
FILE: Final = "FILE"
PACKAGE: Final = "PACKAGE"
WIRE_JSON: Final = "WIRE_JSON"
WIRE: Final = "WIRE"
IN_SOURCE: Final = (FILE, PACKAGE)
IN_JSON: Final = (FILE, PACKAGE, WIRE_JSON)
ALWAYS: Final = (FILE, PACKAGE, WIRE_JSON, WIRE)

BOOK: Final = RuleBook()
SCHEMAS: Final = Rules[[ProtoFile, Schema]](BOOK)  # each old file against all that is new
FILES: Final = Rules[[ProtoFile, ProtoFile]](BOOK)  # files of one name
MESSAGES: Final = Rules[[Message, Message]](BOOK)  # messages of one full name
FIELDS: Final = Rules[[Field, Field]](BOOK)  # fields of one message, or extensions, of one number
ENUMS: Final = Rules[[Enum, Enum]](BOOK)
SERVICES: Final = Rules[[Service, Service]](BOOK)
METHODS: Final = Rules[[Method, Method]](BOOK)


def broken(place: Place, what: str, effect: str) -> Complaint:
    """A promise that no longer holds: where to look now, what happened, and to whom it matters.

    The place is in the new file; in the old one if that is gone.
    """
    return Complaint(place, f"{what}: {effect}.")
