"""YAML with a long list: read as it comes, gzipped, from a pipe, and flat in memory."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from paycli.documents import MAX_BYTES
from paycli.errors import DocumentError
from paycli.excerpts import Lines
from paycli.long_documents import LongDocument

TEXT = "# list\nlist:\n- {a: 1}\n- [2,\n   3]\nhead: {b: c}\n"


def opened(path: Path) -> LongDocument:
    return LongDocument(path, "a thing", ("head", "list"), "list")


def read(path: Path) -> None:
    document = opened(path)
    document.head()
    list(document.items())


def shown(path: Path) -> list[object]:
    document = opened(path)
    head = document.head()
    assert head["head"].fields("head")["b"].text("b") == "c"
    return [each.typed() for each in document.items()]


def test_plain_gzipped_and_piped_are_the_same(tmp_path: Path) -> None:
    plain, packed, pipe = (tmp_path / each for each in ("a.yaml", "a.yaml.gz", "pipe"))
    plain.write_text(TEXT)
    packed.write_bytes(gzip.compress(TEXT.encode()))
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_text, args=(TEXT,), daemon=True).start()
    assert shown(plain) == shown(packed) == shown(pipe) == [{"a": 1}, [2, 3]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty."),
        ("# nothing\n", "the file is empty."),
        ("- 1\n", ":1:1: a thing must be a mapping"),
        ("list: [1]\nlist: [2]\n", ":2:1: duplicate key 'list'"),
        ("list: [1]\nheat: 2\n", ":2:1: unknown key 'heat' in a thing; did you mean 'head'?"),
        ("list: [1]\n---\nlist: [2]\n", ":2:1: a second document begins here"),
        ("list: []\n", ":1:7: list is empty; list at least one."),
        ("list:\n- a: b: c\n", ":2:7: not YAML"),
        ("list:\n- &a [1]\n- *a\n- *b\n", ":4:3: not YAML"),
        ("list: [\xff\n", "not UTF-8"),
        ("list: [" + "[" * 40 + "]" * 40 + "]\n", "nested too deeply"),
    ],
)
def test_a_mistake_is_named_where_it_stands(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DocumentError) as refused:
        read(path)
    assert said in str(refused.value)


def test_a_packed_file_that_breaks_off_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml.gz"
    path.write_bytes(gzip.compress(os.urandom(50).hex().join(["list: ['", "']\n"]).encode())[:-12])
    with pytest.raises(DocumentError, match="cannot be unpacked"):
        list(opened(path).items())


def test_one_value_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    with path.open("w") as file:
        file.write("list:\n- '")
        for _ in range(MAX_BYTES // 1000 + 1000):
            file.write("x" * 999 + "\n")
    with pytest.raises(DocumentError, match="one value of more than 16 MiB"):
        list(opened(path).items())


_PEAK = """
import resource, sys
from pathlib import Path
from paycli.client.fixtures import Fixture
count = sum(1 for _ in Fixture(Path(sys.argv[1])))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    for number, count in enumerate((100, 20_000)):
        path = tmp_path / f"{number}.yaml"
        with path.open("w") as file:
            file.write("payments:\n")
            for n in range(count):
                file.write(f"- {{order_id: order-{n}, amount: 5, currency: EUR}}\n# {'x' * 1000}\n")
        run = subprocess.run(
            [sys.executable, "-c", _PEAK, path], capture_output=True, text=True, check=True
        )
        read, peak = map(int, run.stdout.split())
        assert read == count
        peaks.append(peak)
    assert path.stat().st_size > MAX_BYTES
    assert peaks[1] - peaks[0] < 8_000  # KiB, for 20 MB


def test_the_line_of_a_mistake_is_shown_with_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("first: 1\nsecond: 2\n" + "x" * 500 + "Y" + "z" * 500 + "\n")
    lines = Lines(path)
    assert lines.excerpt(DocumentError(path, "no", 2, 9)) == (
        "    2 | second: 2\n"
        "      |         ^"
    )  # fmt: skip
    text, mark = lines.excerpt(DocumentError(path, "no", 3, 501)).splitlines()
    assert text[mark.index("^")] == "Y"
    assert len(text) < 90
    assert lines.excerpt(DocumentError(path, "no", 1)) == "    1 | first: 1"
    assert lines.excerpt(DocumentError(path, "no", 9, 1)) == ""
    assert lines.excerpt(DocumentError(tmp_path / "other", "no", 1, 1)) == ""
    lines.close()
