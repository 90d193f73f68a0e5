"""Where a value stands, and what it is the id of, if it is one: order 1 is not customer 1."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from google.protobuf.descriptor import Descriptor, MethodDescriptor

from paycli.scenarios.recording.forms import snake
from paycli.scenarios.secret_names import is_secret

_OF_ID: Final = re.compile("(^|_)(id|key|name|no|number|parent|ref|reference|uid|uuid)s?$")
_GOES_ON: Final = re.compile("(starting_)?after(_id)?|(ending_)?before(_id)?|(since|last)_id")
_KNOWN_BY: Final = re.compile("_(id|no|number|ref|reference|uid|uuid)$")
_AROUND: Final = re.compile("(Request|Response|Reply|Result|Info|Details|Summary|View)$")
_SERVES: Final = re.compile("(Service|API|Api)$")


class Thing(NamedTuple):
    """What something is, by its type and by where it stands: words joined by `_`, "" if nothing says.

    The two differ where RefundPayment is answered with a Refund, or where all is answered with a Made.
    """

    kind: str = ""
    role: str = ""
    also: tuple[str, ...] = ()  # what a request may mean besides its kind
    lists: str = ""  # what a request is answered with, of which it may say where to go on

    def latest(self, others: Sequence[Thing]) -> int | None:
        """Which of the others is the same thing, by its place in the sequence; of several the last."""
        ranks = [(self._likeness(each), place) for place, each in enumerate(others)]
        likeness, place = max(ranks, default=((0, 0), 0))
        return place if likeness > (0, 0) else None

    def _likeness(self, other: Thing) -> tuple[int, int]:
        """How surely it is the same, (0, 0) for not at all."""
        roles = {self.role, other.role}
        if self.kind == other.kind and len(roles) > 1 and self.kind not in roles:
            return 0, 0
        found = [(0, 0)]
        for place, name in enumerate((self.kind, *self.also)):
            tests = (_ends(name, other.kind, other.role), name == other.role, name == other.kind)
            found += [(n, -place) for n, is_met in enumerate(tests, 1) if name and is_met]
        return max(found)


def _ends(name: str, *others: str) -> bool:
    """Whether one is another with words before it: the from_account that was made as an account."""
    return any(each and (name.endswith(f"_{each}") or each.endswith(f"_{name}")) for each in others)


_UNSAID: Final = Thing()


class Place(NamedTuple):
    """Where a value stands; `path` is "" where nothing can be saved, as in lists and requests."""

    of: str  # the name of a field, or the key of an entry or of metadata
    thing: Thing = _UNSAID
    path: str = ""
    hides: bool = False  # within what is secret
    is_own: bool = False  # what its message is known by: the account_number of an account

    def inner(self, kind: Descriptor) -> Thing:
        """The message that stands there."""
        role = self.thing.role
        return Thing(_named(_AROUND.sub("", kind.name)) or role, role)

    def is_name(self, text: str) -> bool:
        """Whether it names such a thing as resources are named (AIP-122): `orders/1` an order."""
        found = text.split("/")
        is_pairs = len(found) > 1 and len(found) % 2 == 0 and all(found)
        return is_pairs and _named(found[-2]) in (self.thing.kind, self.thing.role)

    def entry(self, key: str) -> Place:
        """That of an entry of a map, or of JSON of any form, that stands there."""
        return place_of(key, self.thing, hides=self.hides)


def place_of(name: str, owner: Thing = _UNSAID, path: str = "", *, hides: bool = False) -> Place:
    """The place of a field in a message that is such a thing."""
    named = owner.lists if _GOES_ON.fullmatch(snake(name)) else _named(name)
    thing = Thing(named, named) if named else owner
    is_own = named in owner[:2] and _KNOWN_BY.search(snake(name)) is not None
    return Place(name, thing, path, hides or is_secret(name), is_own)


def asked(method: MethodDescriptor) -> Thing:
    """What the request of a method is about."""
    role = _object(method)
    kind = _kind(method, method.input_type) or role
    lists = answered(method).kind
    first = role.partition("_")[0]  # GetAccountBalance asks about an account
    if kind != snake(method.input_type.name):  # GetRefund may well be asked with a PaymentId
        return Thing(role, role, (first, kind), lists)
    return Thing(kind, role, (role, first), lists)


def answered(method: MethodDescriptor) -> Thing:
    """What the answer of a method is."""
    role = _object(method)
    return Thing(_kind(method, method.output_type) or role, role)


def _kind(method: MethodDescriptor, message: Descriptor) -> str:
    name = _AROUND.sub("", message.name)
    return "" if name == method.name else _named(name)


def _object(method: MethodDescriptor) -> str:
    """What stands behind the verb, or what the service is about."""
    found = snake(method.name).partition("_")[2]
    return _named(found or _SERVES.sub("", method.containing_service.name))


def _named(name: str) -> str:
    """The thing of which a name tells: `order` of order_id, orders and OrderRef; "" of id alone."""
    found = "" if name.isdigit() else _OF_ID.sub("", snake(name))
    if found.endswith("ies"):
        return f"{found[:-3]}y"
    return found[:-1] if found.endswith("s") and not found.endswith("ss") else found
