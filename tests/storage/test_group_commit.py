"""When a batch begins, and what becomes of the one behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from paycli.errors import OutcomeOpen, StoreUnavailable
from paycli.payments.batch import Outcome, Withdrawn
from paycli.payments.commands import Command, Withdraw
from paycli.payments.store import Health
from paycli.storage.failures import CommitFailed
from paycli.storage.group_commit import BATCH_MAX, GroupCommit

FULL = [Withdraw("k", "c")] * BATCH_MAX


class SlowDisk:
    """Commits when it is told to."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.commits: list[asyncio.Future[None]] = []

    async def commit(self, commands: Sequence[Command]) -> list[Outcome]:
        self.begun.append(len(commands))
        self.commits.append(asyncio.get_running_loop().create_future())
        await self.commits[-1]
        return [Withdrawn()] * len(commands)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_small_batch_waits_for_the_one_before_and_a_full_one_does_not() -> None:
    async def main() -> None:
        disk = SlowDisk()
        group = GroupCommit(disk.commit, lambda _: None)
        first = group.submit([Withdraw("k", "c")], None)
        await settled()
        second = group.submit([Withdraw("k", "c")] * 3, None)
        await settled()
        assert disk.begun == [1]
        third = group.submit(FULL, None)
        await settled()
        assert disk.begun == [1, BATCH_MAX + 3]  # what waited goes with it
        fourth = group.submit(FULL, None)
        await settled()
        assert disk.begun == [1, BATCH_MAX + 3]  # two are enough to keep a writer busy
        for number in range(3):
            disk.commits[number].set_result(None)
            await settled()
        assert [len(await each) for each in (first, second, third, fourth)] == [1, 3, 1000, 1000]
        await group.close()

    asyncio.run(main())


def test_after_a_failure_the_batch_behind_it_is_unknown_too_and_it_is_said_once() -> None:
    failures: list[Health] = []

    async def main() -> None:
        disk = SlowDisk()
        group = GroupCommit(disk.commit, failures.append)
        begun = [group.submit(FULL, None) for _ in range(2)]
        await settled()
        waiting = group.submit(FULL, None)
        for commit in disk.commits:
            commit.set_exception(CommitFailed("The disk failed."))
        await settled()
        for each in begun:
            with pytest.raises(OutcomeOpen, match="The disk failed"):
                await each
        with pytest.raises(StoreUnavailable):
            await waiting
        with pytest.raises(StoreUnavailable):
            group.submit(FULL, None)
        await group.close()

    asyncio.run(main())
    assert failures == [Health.BROKEN]


def test_closing_waits_for_all_that_is_under_way() -> None:
    async def main() -> None:
        disk = SlowDisk()
        group = GroupCommit(disk.commit, lambda _: None)
        begun = [group.submit(FULL, None) for _ in range(2)]
        await settled()
        closing = asyncio.ensure_future(group.close())
        await settled()
        assert not closing.done()
        for commit in disk.commits:
            commit.set_result(None)
        await closing
        assert all([len(await each) == BATCH_MAX for each in begun])

    asyncio.run(main())
