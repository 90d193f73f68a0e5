"""What is another one each time: ids and times, told by their form or by the names of their fields."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Final

_TIME: Final = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?"
_OF_HTTP: Final = r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (GMT|[+-]\d{4})"
_UUID: Final = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ULID: Final = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_HEX: Final = "(?=[a-f]*[0-9])[0-9a-f]{16,}"
_DIGITS: Final = "[0-9]{9,}"
_MIXED: Final = "(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[0-9A-Za-z]{10,}"
# Random bytes in base64url, nanoids: letters of both cases, and twice what no words have, as x9 or kQ7.
_ODD: Final = "[0-9](?=[A-Za-z])|[A-Za-z](?=[0-9])|[a-z](?=[A-Z](?![a-z]))|[A-Z](?=[A-Z][a-z])"
_PLAIN: Final = f"(?>(?:[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[0-9a-f]{{4,}}|{_ULID})(?![0-9A-Za-z]))"
_RANDOM: Final = (
    f"(?<![0-9A-Za-z_-])(?!{_PLAIN}(?:[_-]{_PLAIN})*(?![0-9A-Za-z_-]))"  # as AED-0af3…
    "(?=[0-9A-Z_-]*[a-z])(?=[0-9a-z_-]*[A-Z])"
    f"(?=(?:[0-9A-Za-z_-]*?(?:{_ODD})){{2}})[0-9A-Za-z_-]{{11,}}"
)
# The first that fits is meant: a ULID is mixed, too.
_TOKEN: Final = re.compile(
    f"(?<![0-9A-Za-z])(?:(?P<time>{_TIME})|(?P<http>{_OF_HTTP})|(?P<uuid>{_UUID})|(?P<ulid>{_ULID})"
    f"|(?P<digits>{_DIGITS})|(?P<hex>{_HEX})|(?P<random>{_RANDOM})|(?P<mixed>{_MIXED}))"
    "(?![0-9A-Za-z])"
)
_OF_TIME: Final = ("time", "http")
_PATTERNS: Final = {
    "time": "[0-9]{4}-[0-9]{2}-[0-9]{2}.[0-9:.]+(Z|[+-][0-9:]+)?",
    "http": "[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} (GMT|[+-][0-9]{4})",
    "uuid": "[0-9a-fA-F-]{36}",
    "ulid": "[0-9A-Z]{26}",
    "digits": "[0-9]+",
    "mixed": "[0-9A-Za-z]+",
}
_KIND: Final = re.compile("([a-z]{2,10}_){0,2}")  # before what is random: sess_, sk_live_
_NUMBER: Final = "(?=[a-z-]{0,8}[0-9])[0-9a-z_-]+"
_CARD: Final = re.compile(r"(?<![0-9A-Za-z])[2-6][0-9](?:[ -]?[0-9]){11,17}(?![0-9A-Za-z])")
_KEY_MAX: Final = 1000  # characters
_EXACT_MAX: Final = 2.0**53
_DAY_S: Final = 86_400
_UNITS: Final = (1, 10**3, 10**6, 10**9)  # of a second: how often times are counted
_MOMENTS_S: Final = (946_684_800, 4_102_444_800)  # 2000 to 2100

# By the last words of a field's name.
_KEY: Final = re.compile(
    "(^|_)(order|request|idempotency|deduplication|external|client_reference)_?(id|key|token)$"
)
_PARTY: Final = re.compile("(^|_)(customer|user|merchant|account|shop|tenant|client)_?id$")
_HANDLE: Final = re.compile("(^|_)(id|name|parent|payment|refund|charge|transaction)$")
_GO_ON: Final = re.compile("(page|continuation|sync)_?token$|^cursor$")
_COUNTED: Final = re.compile(
    "(^|_)(ids?|sequence|seq|etag|nonce|salt|challenge)$"
    "|(^|_)(order|invoice|receipt|ticket|confirmation|tracking|voucher)_(no|number|ref|reference|code)$"
)
_ORDINAL: Final = re.compile("(^|_)(sequence|seq|number|no|cursor|token)$")
_UNIT: Final = "(_(s|secs?|seconds|ms|millis|us|micros|ns|nanos|unix|epoch))?$"
_MOMENT: Final = re.compile(
    "(^|_)(at|on|time|timestamp|ts|date|expires|expiry|expiration|deadline|since|until|iat|exp|nbf)"
    + _UNIT
)
_SPAN: Final = re.compile(
    "(^|_)(elapsed|took|latency|duration|lag|uptime|(process|processing|run|response|wait)_time)"
    + _UNIT
)
_AFTER: Final = re.compile("^(after|since|from|start)_(.*_)?(sequence|seq)$")
_ASKS: Final = re.compile(
    "(BatchGet|Get|List|Search|Find|Lookup|Query|Check|Count|Describe|Read)(?![a-z])"
)

ANY: Final = ".+"


def is_key(field: str) -> bool:
    """Whether a service knows calls by the values of the field, so that each run needs its own."""
    return _KEY.search(snake(field)) is not None


def is_handle(field: str) -> bool:
    """Whether the field of a request says which of a service's things is meant."""
    name = snake(field)
    return bool(_HANDLE.search(name)) and not is_key(name) and not _PARTY.search(name)


def is_page_token(field: str) -> bool:
    """Whether the field of a response says where to go on."""
    return _GO_ON.search(snake(field)) is not None


def goes_on_after(field: str) -> bool:
    """Whether the field of a request says after which message of an earlier stream to begin."""
    return _AFTER.search(snake(field)) is not None


def is_new_by_name(field: str) -> bool:
    """Whether the field of a response is another one each time, whatever it looks like."""
    return is_page_token(field) or _COUNTED.search(snake(field)) is not None


def names_a_thing(field: str) -> bool:
    """Whether a number in the field of a request says which thing is meant, and not how much of it."""
    name = snake(field).removesuffix("s")
    return is_key(name) or _HANDLE.search(name) is not None or _ORDINAL.search(name) is not None


def only_asks(method: str) -> bool:
    """Whether a method of this name changes nothing."""
    return _ASKS.match(method) is not None


def has_id(text: str) -> bool:
    """Whether an id stands in it, be it all of it or `payments/pay_…`."""
    return any(found.lastgroup not in _OF_TIME for found in _TOKEN.finditer(text))


def is_new(text: str) -> bool:
    """Whether an id or a time stands in it."""
    return _TOKEN.search(text) is not None


def is_time(text: str) -> bool:
    """Whether it is a time and nothing else."""
    found = _TOKEN.fullmatch(text)
    return found is not None and found.lastgroup in _OF_TIME


def numbers(text: str, things: frozenset[str]) -> bool:
    """Whether it tells of the number of one of the things: `order 4 is paid`, `/orders/4`."""
    return bool(things) and _numbered(things).search(text) is not None


@lru_cache(maxsize=8)
def _numbered(things: frozenset[str]) -> re.Pattern[str]:
    names = "|".join(re.escape(each).replace("_", "[ _-]") for each in sorted(things))
    return re.compile(
        rf"(?<![a-z])(?:{names})s?( no\.?| number| id)?[ /:=#]{{1,2}}(?P<number>{_NUMBER})",
        re.IGNORECASE,
    )


def pattern_within(text: str, things: frozenset[str] = frozenset()) -> str:
    """A regular expression for the text with other ids, times and numbers of things in it."""
    spans = [(*found.span(), _pattern(found)) for found in _TOKEN.finditer(text)]
    if things:
        told = _numbered(things).finditer(text)
        spans += [(*found.span("number"), "[0-9A-Za-z_-]+") for found in told]
    parts, last = [], 0
    for start, end, pattern in sorted(spans):
        if start >= last:
            parts += [quoted(text[last:start]), pattern]
            last = end
    return "".join((*parts, quoted(text[last:])))


def _pattern(found: re.Match[str]) -> str:
    if found.lastgroup == "random":  # another one may have - and _ where this has none
        kind = _KIND.match(found[0])
        return f"{kind[0] if kind is not None else ''}[0-9A-Za-z_-]+"
    return _PATTERNS.get(str(found.lastgroup)) or f"[0-9a-f]{{{len(found[0])}}}"


def quoted(text: str) -> str:
    """As re.escape, but without backslashes where none is needed."""
    return re.sub(r"[][.^$*+?{}\\|()]", r"\\\g<0>", text)


def stem(text: str) -> str:
    """What stands before the part of a key that tells it from others: `order-` of order-4711."""
    found = _TOKEN.search(text)
    before = text[: found.start()] if found is not None else re.sub("[0-9]+$", "", text)
    if not re.fullmatch("[A-Za-z0-9_.-]{0,40}", before):
        return ""
    return before if not before or before[-1] in "_.-" else f"{before}-"


def is_near(number: float, now_s: float) -> bool:
    """Whether it counts a time of about now, in seconds or parts of them."""
    return any(abs(number / unit - now_s) < _DAY_S for unit in _UNITS)


def is_moment(field: str, number: float) -> bool:
    """Whether a number in the field of a response counts a time, in seconds or parts of them."""
    begin, end = _MOMENTS_S
    is_one = any(begin < number / unit < end for unit in _UNITS)
    return is_one and _MOMENT.search(snake(field)) is not None


def is_span(field: str) -> bool:
    """Whether the field of a response says how long something took."""
    return _SPAN.search(snake(field)) is not None


def fits_key(text: str) -> bool:
    """Whether YAML reads it back as a key, with all escapes that it may need."""
    return len(json.dumps(text)) < _KEY_MAX


def has_card(text: str) -> bool:
    """Whether the number of a payment card stands in it (ISO/IEC 7812)."""
    return any(_luhn(re.sub("[ -]", "", found[0])) for found in _CARD.finditer(text))


def is_card(value: object) -> bool:
    """The same of a number in JSON of any form; that of a proto's double is an amount."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_MAX
    return is_whole and has_card(f"{value:.0f}")


def _luhn(digits: str) -> bool:
    doubled = (int(each) * (1 + n % 2) for n, each in enumerate(reversed(digits)))
    return sum(each - 9 if each > 9 else each for each in doubled) % 10 == 0


def snake(name: str) -> str:
    """A name in small letters, with `_` between its words."""
    return re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")
