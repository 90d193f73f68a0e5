"""The engine of rules under `lint` and `breaking`."""

from __future__ import annotations

import pytest

from paycli.toolchain.protos.descriptors import ProtoFile
from paycli.toolchain.rules.rule import Complaints, RuleBook, Rules


def test_no_two_rules_of_a_book_have_one_id_whatever_they_look_at() -> None:
    book = RuleBook()
    files, pairs = Rules[[ProtoFile]](book), Rules[[ProtoFile, ProtoFile]](book)

    @files.rule("FILE_IS_FINE", "BASIC")
    def file_is_fine(_: ProtoFile) -> Complaints:
        """Files are fine."""
        yield from ()

    def stays_fine(_: ProtoFile, __: ProtoFile) -> Complaints:
        yield from ()

    with pytest.raises(ValueError, match="two rules are called FILE_IS_FINE"):
        pairs.rule("FILE_IS_FINE")(stays_fine)
    assert pairs.among({"FILE_IS_FINE"}) == []
    [rule] = files.among({"FILE_IS_FINE", "OTHER"})
    assert (rule.id, rule.categories, rule.purpose) == (
        "FILE_IS_FINE",
        ("BASIC",),
        "Files are fine.",
    )
    assert rule.check is file_is_fine
    assert book.categories == {"FILE_IS_FINE": ("BASIC",)}
