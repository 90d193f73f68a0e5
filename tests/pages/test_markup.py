"""What is not markup is text, whoever wrote it."""

from __future__ import annotations

from html.parser import HTMLParser

from paycli.pages.markup import element

HOSTILE = "</p><script>alert(1)</script> ]]> \"'&amp; <!-- "


class Reader(HTMLParser):
    """What a browser finds: elements with their attributes, texts, ends."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(tag)

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def test_what_others_wrote_is_text_in_contents_and_attributes() -> None:
    reader = Reader()
    reader.feed(element("p", HOSTILE, element("b", HOSTILE), class_=HOSTILE))
    reader.close()
    assert reader.found == [("p", [("class", HOSTILE)]), HOSTILE, ("b", []), HOSTILE, "b", "p"]


def test_what_is_unseen_is_shown() -> None:
    assert element("p", "\u202eabc\x00\x1b[31m \ud800") == (
        "<p>\\u202eabc\\x00\\x1b[31m \\ud800</p>"
    )
