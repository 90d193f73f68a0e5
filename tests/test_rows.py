"""Files of rows: whatever stands in them, each row comes or is refused with its line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paycli.errors import DocumentError
from paycli.rows import Row, Rows

NAMES: Mapping[str, str] = {}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def read(path: Path, text: bytes) -> list[Row | DocumentError]:
    path.write_bytes(text)
    with Rows(path, NAMES) as rows:
        return list(rows)


@given(
    st.binary(max_size=400)
    | st.sampled_from([b"a,b\n", b"{"]).flatmap(
        lambda head: st.binary(max_size=200).map(lambda rest: head + rest)
    )
)
def test_any_bytes_are_rows_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.csv"
    try:
        rows = read(path, data)
    except DocumentError as problem:
        rows = [problem]
    assert all(str(row).startswith(str(path)) for row in rows if isinstance(row, DocumentError))
    lines = [row.line or 0 for row in rows]
    assert lines == sorted(lines)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), st.sampled_from(",;\t"))
def test_what_csv_writes_comes_back(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[str, str]], delimiter: str
) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(("one", "two"))
    writer.writerows(values)
    rows = read(tmp_path_factory.getbasetemp() / "some.csv", written.getvalue().encode())
    assert [row.fields for row in rows if isinstance(row, Row)] == [
        {"one": one, "two": two} for one, two in values if one or two
    ]


@given(st.lists(st.dictionaries(TEXT, TEXT | st.integers(), max_size=4), min_size=1, max_size=5))
def test_what_json_writes_comes_back(
    tmp_path_factory: pytest.TempPathFactory, values: list[dict[str, str | int]]
) -> None:
    written = "".join(json.dumps(each) + "\n" for each in values)
    rows = read(tmp_path_factory.getbasetemp() / "some.ndjson", written.encode())
    expected = [
        (number, {name: str(value) for name, value in each.items()})
        for number, each in enumerate(values, 1)
    ]
    assert [(row.line, row.fields) for row in rows if isinstance(row, Row)] == expected


def test_a_row_is_at_the_line_that_it_begins_on(tmp_path: Path) -> None:
    rows = read(tmp_path / "rows.csv", b'a,b\n1,"x\ny"\n\n2,z\n3\n4,"open\n')
    assert [(row.line, isinstance(row, Row)) for row in rows] == [
        (2, True), (5, True), (6, False), (7, False),
    ]  # fmt: skip


def test_much_is_read_a_little_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 100_000)
    with Rows(path, NAMES) as rows:
        next(iter(rows))
        assert rows.bytes_read < 100_000
