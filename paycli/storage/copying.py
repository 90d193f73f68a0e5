"""A store copied into another one, of whatever kind: a page at a time, and proven at the end.

The journal goes over in its order, each page in one transaction, so what the target holds says how
far the copy is. A payment comes with its first entry, as it stands now. What is short of the journal
(balances, open questions, anchors) comes last. Until all of it is proven, the target is marked as
unfinished and nobody can serve it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, NamedTuple, Protocol

from paycli.errors import CheckFailed, InputError, StoreError
from paycli.payments.payment import Payment
from paycli.storage.anchors import Anchor
from paycli.storage.records import Progress, Verified

AT_ONCE: Final = 2000  # rows of a page

Row = Sequence[int | str]  # in the column order of its table
Phases = Callable[[str], Progress]  # what is counted now


class Copied(NamedTuple):
    """An entry with its seal, and its payment as it stands."""

    payment: Payment
    sealed_entry: Row

    @property
    def is_first(self) -> bool:
        """Whether the payment came to be with this entry."""
        return self.payment.created_seq == self.sealed_entry[0]


class Source(Protocol):
    """A store that nobody changes meanwhile; it is only read."""

    async def anchor(self, seq: int) -> Anchor:
        """Of the entries up to `seq`. Raises CheckFailed, StoreError."""

    def journal(self, after_seq: int) -> AsyncIterator[list[Copied]]:
        """Pages of what comes after `after_seq`, in order. Raises StoreError."""

    def rest(self) -> AsyncIterator[tuple[str, list[Row]]]:
        """(table, rows): pages of all that is not of the journal. Raises StoreError."""


class Target(Protocol):
    """A store that is marked as unfinished, unless it `is_whole`: then nothing is written to it."""

    is_whole: bool
    last_seq: int
    payments: int

    async def anchor(self) -> Anchor:
        """Of the entries that it has. Raises CheckFailed, StoreError."""

    async def add(self, page: Sequence[Copied], changed: Sequence[Payment]) -> None:
        """Commit a page, and what changed in payments that are there. Raises StoreError."""

    async def replace_rest(self, rest: AsyncIterator[tuple[str, list[Row]]]) -> None:
        """Commit all that is not of the journal, in place of what is there. Raises StoreError."""

    async def finish(self) -> None:
        """Take the mark away: it is a store now. Raises StoreError."""


class End(Protocol):
    """A store by its address, to copy from or to; `str` is what people call it."""

    async def place(self) -> str:
        """Equal for two addresses of one store. Raises StoreError."""

    async def verify(self, progress: Progress, *, unfinished: bool = False) -> Verified:
        """Check all of it. Raises CheckFailed, StoreError."""

    def reading(self) -> AbstractAsyncContextManager[Source]:
        """Until the block ends, no server changes it. Raises StoreError, also if one has it."""

    def filling(self) -> AbstractAsyncContextManager[Target]:
        """It is there after that, and ours until the block ends. Raises StoreError."""


async def copy(source: End, target: End, phases: Phases) -> Verified:
    """Copy all of a store that is right; after an interruption the same goes on where it was.

    Raises InputError, CheckFailed when either is not right, StoreError.
    """
    if await source.place() == await target.place():
        raise InputError(f"{source} and {target} are the same store; name another to copy to.")
    async with source.reading() as given:
        verified = await source.verify(phases("payments checked"))
        async with target.filling() as taken:
            if taken.is_whole:
                await _refuse_other(target, verified, phases)
                return verified
            await _refuse_other_part(source, given, target, taken)
            await _copy_journal(given, taken, verified.payments, phases("payments copied"))
            await taken.replace_rest(given.rest())
            await _prove(source, target, verified, phases("payments of the copy checked"))
            await taken.finish()
    return verified


async def _copy_journal(source: Source, target: Target, of_all: int, progress: Progress) -> None:
    # What came over before this run may have changed since.
    begun, done = target.last_seq, target.payments
    async for page in source.journal(begun):
        before = {
            each.payment.payment_id: each.payment
            for each in page
            if each.payment.created_seq <= begun
        }
        await target.add(page, list(before.values()))
        done += sum(each.is_first for each in page)
        progress(done, of_all)


async def _refuse_other(target: End, verified: Verified, phases: Phases) -> None:
    """A copy that was whole before this run is fine."""
    if await target.verify(phases("payments of the copy checked")) != verified:
        raise StoreError(
            f"{target} holds other payments already, and nothing was copied; name an empty store."
        )


async def _refuse_other_part(source: End, given: Source, target: End, taken: Target) -> None:
    """The journal of one is how that of the other begins."""
    if await taken.anchor() != await given.anchor(taken.last_seq):
        raise StoreError(
            f"{target} holds a part of another store than {source}, and nothing was copied; name an "
            "empty store."
        )


async def _prove(source: End, target: End, verified: Verified, progress: Progress) -> None:
    try:
        proven = await target.verify(progress, unfinished=True)
    except CheckFailed as wrong:
        raise _not_proven(source, target, wrong.message) from wrong
    if proven != verified:
        raise _not_proven(source, target, f"It holds {proven}, and should hold {verified}.")


def _not_proven(source: End, target: End, why: str) -> CheckFailed:
    return CheckFailed(
        f"The copy in {target} is not what {source} holds, and nobody can serve it. "
        f"{why.removesuffix(' Restore a backup.')} Remove it and copy again."
    )
