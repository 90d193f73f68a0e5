"""Ids: one of a kind, in the order of time, also on both sides of a fork."""

from __future__ import annotations

import os

from paycli.engine.ids import new_payment_id

MANY = 1000


def made() -> list[str]:
    return [new_payment_id(1_800_000_000_000_000) for _ in range(MANY)]


def test_a_process_and_its_fork_make_different_ids() -> None:
    made()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, "\n".join(made()[:10]).encode())  # less than a pipe takes
        os._exit(0)
    here = made()
    os.waitpid(child, 0)
    there = os.read(reading, 4096).decode().split("\n")
    os.close(reading)
    os.close(writing)
    assert len({*here, *there}) == MANY + 10


def test_ids_are_version_7_and_rise_with_time() -> None:
    ids = [new_payment_id(1_800_000_000_000_000 + ms * 1000) for ms in range(MANY)]
    assert ids == sorted(ids)
    for each in ids:
        assert len(each) == len("pay_") + 32
        assert each[16] == "7"
        assert each[20] in "89ab"
